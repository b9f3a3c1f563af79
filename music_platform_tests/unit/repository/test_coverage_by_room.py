"""The report of `./run coverage`: lines of modules added up by room."""

from __future__ import annotations

import pytest

from music_platform_tests.coverage_by_room import Measured, by_room, room_of


@pytest.mark.parametrize(
    ("module", "room"),
    [
        ("music_platform/lake/lake.py", "lake/"),
        ("music_platform/landing/watch/plan.py", "landing/"),
        ("music_platform/errors.py", "(outside of rooms)"),
    ],
)
def test_a_module_is_in_a_room(module: str, room: str) -> None:
    assert room_of(module) == room


def test_rooms_add_up_their_modules_and_the_least_executed_is_first() -> None:
    modules = [
        Measured("music_platform/lake/a.py", 30, 0),
        Measured("music_platform/lake/below/b.py", 70, 10),
        Measured("music_platform/cli/c.py", 10, 5),
        Measured("music_platform/cli/__init__.py", 0, 0),
    ]
    assert by_room(modules) == [Measured("cli/", 10, 5), Measured("lake/", 100, 10)]
    assert [room.percent for room in by_room(modules)] == [50.0, 90.0]


def test_a_module_without_code_is_whole() -> None:
    assert Measured("music_platform/cli/__init__.py", 0, 0).percent == 100.0
