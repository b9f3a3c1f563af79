"""Lines with faults: the same for a seed, each of its kind, and everything else as without."""

import itertools
import json
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from music_platform.eventsim import EVENT_TYPES, GeneratorError, GeneratorOptions, generate_files
from music_platform.eventsim.options import make_plan
from music_platform.eventsim.sinks import FileSink
from music_platform.eventsim.streaming import Pace, stream

_CLEAN = GeneratorOptions(users=60, start=datetime(2026, 11, 1, tzinfo=UTC), days=4, seed=3)
_FAULTY = replace(_CLEAN, faults=0.1)
_LEVELS = ("free", "paid")


def _lines(folder: Path) -> dict[str, list[bytes]]:
    return {name: (folder / f"{name}.jsonl").read_bytes().split(b"\n")[:-1] for name in EVENT_TYPES}


def _is_good(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return record["itemInSession"] >= 0 and isinstance(record["sessionId"], int) and record.get("level") in _LEVELS


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    folder = tmp_path_factory.mktemp("clean")
    generate_files(_CLEAN, folder)
    return _lines(folder)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    folder = tmp_path_factory.mktemp("faulty")
    summary = generate_files(_FAULTY, folder)
    lines = _lines(folder)
    assert summary.rows == {name: len(of) for name, of in lines.items()}
    return lines


def test_each_line_is_there_or_broken_once(clean: dict[str, list[bytes]], faulty: dict[str, list[bytes]]) -> None:
    for name in EVENT_TYPES:
        found = Counter(faulty[name])
        kept, broken = set(clean[name]) & found.keys(), [line for line in faulty[name] if line not in set(clean[name])]
        assert {found[line] for line in kept} <= {1, 2}
        assert len(kept) + len(broken) == len(clean[name])
        assert not any(map(_is_good, broken))


def test_the_kinds_have_their_shares(clean: dict[str, list[bytes]], faulty: dict[str, list[bytes]]) -> None:
    lines, found = len(clean["page_view_events"]), faulty["page_view_events"]
    times = [json.loads(line)["ts"] for line in found if _is_good(line)]
    late = next(place for place, (a, b) in enumerate(itertools.pairwise(times)) if b < a)
    counts = {
        "twice": sum(count == 2 for count in Counter(found).values()),
        "late": len(times) - late - 1,
        "cut off": sum(not line.endswith(b"}") for line in found),
        "wrong": sum(line.endswith(b"}") and not _is_good(line) for line in found),
    }
    expected = {"twice": 0.05, "late": 0.025, "cut off": 0.005, "wrong": 0.02}
    for kind, share in expected.items():
        assert counts[kind] == pytest.approx(lines * share, abs=4 * (lines * share) ** 0.5), kind


@pytest.mark.parametrize("page_views_at_once", [50, 800_000])
def test_the_same_seed_gives_the_same_faults(
    tmp_path: Path, faulty: dict[str, list[bytes]], page_views_at_once: int
) -> None:
    generate_files(_FAULTY, tmp_path, page_views_at_once=page_views_at_once)
    assert _lines(tmp_path) == faulty


def test_another_seed_gives_others(tmp_path: Path, clean: dict[str, list[bytes]]) -> None:
    generate_files(replace(_FAULTY, seed=4), tmp_path)
    assert not set(_lines(tmp_path)["listen_events"]) & set(clean["listen_events"])


def test_a_stream_sends_the_same_lines_each_late_one_after_its_time(
    tmp_path: Path, faulty: dict[str, list[bytes]]
) -> None:
    stream(make_plan(_FAULTY), FileSink(tmp_path), Pace(speed=None), threading.Event())
    sent = _lines(tmp_path)
    assert {name: sorted(of) for name, of in sent.items()} == {name: sorted(of) for name, of in faulty.items()}


@pytest.mark.parametrize("faults", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path: Path, faults: float) -> None:
    with pytest.raises(GeneratorError, match="--faults"):
        generate_files(replace(_CLEAN, faults=faults), tmp_path)


def test_all_lines_can_have_a_fault(tmp_path: Path) -> None:
    summary = generate_files(replace(_CLEAN, faults=1.0), tmp_path)
    assert summary.total_rows > 0
