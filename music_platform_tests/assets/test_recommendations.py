"""The recommendations through the definitions: three days in one run, their checks, and what is made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.derived_tables import check_derived
from music_platform.recommendation.lookup import UnknownSongError, latest_day, neighbours_of, offers_to
from music_platform.settings import Settings
from music_platform.tables.catalogue import made_recommendation_tables
from music_platform_tests.assets.local_platform import (
    LocalPlatform,
    evaluations,
    good_record,
    gzip_lines,
    materialized,
    milliseconds,
    to_line,
)

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]
TABLES = made_recommendation_tables(is_served=False)
LISTS, EVALUATION = "recommendations/recommendations", "recommendations/evaluation"
_LISTENERS, _SONGS, _PLAYS, _SCENES = 60, 48, 6, 4


def hour_of(day: str) -> str:
    return f"{day}-05:00"


def plays_of(day: str, listeners: range = range(_LISTENERS)) -> list[bytes]:
    """Each listener plays some songs of the scene that is theirs."""
    number = DAYS.index(day)
    lines = []
    for user in listeners:
        random = np.random.default_rng((number, user))
        scene = np.arange(user % _SCENES, _SONGS, _SCENES)
        for place, song in enumerate(random.choice(scene, _PLAYS, replace=False)):
            values: dict[str, Any] = {
                "userId": user + 1, "sessionId": 100 * number + user, "itemInSession": place, "song": f"Song {song}",
                "artist": f"Artist {song % 7}", "ts": milliseconds(hour_of(day), minute=place * 5),
            }  # fmt: skip
            lines.append(to_line(good_record("listen_events", hour_of(day), **values)))
            page = good_record("page_view_events", hour_of(day), page="NextSong", **values)
            lines.append(to_line(page))
    return lines


def land(platform: LocalPlatform, day: str, lines: list[bytes], chunk: int) -> None:
    for event_type, is_page in (("listen_events", False), ("page_view_events", True)):
        chosen = [line for line in lines if (b'"page"' in line) is is_page]
        platform.land(event_type, hour_of(day), gzip_lines(chosen), chunk=chunk)


def make(platform: LocalPlatform) -> dg.JobExecutionResult:
    for day in DAYS:
        land(platform, day, plays_of(day), 1)
    platform.run(hour_of(DAYS[0]), hour_of(DAYS[-1]))
    return platform.run_day(DAYS[0], DAYS[-1])


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalPlatform, dg.JobExecutionResult]:
    platform = LocalPlatform(Settings(lake=str(tmp_path_factory.mktemp("recommendations") / "lake")))
    return platform, make(platform)


@pytest.fixture
def made(made_once: tuple[LocalPlatform, dg.JobExecutionResult]) -> LocalPlatform:
    return made_once[0]


def test_a_range_makes_every_table_and_its_checks_pass(
    made_once: tuple[LocalPlatform, dg.JobExecutionResult],
) -> None:
    platform, result = made_once
    assert set(TABLES) <= materialized(result)
    found = {name: check for name, check in evaluations(result).items() if name.startswith("recommendations/")}
    assert {name for name, check in found.items() if not check.passed} == set()
    names = {f"{path} {reconciliation.name}" for path, table in TABLES.items()
             for reconciliation in table.reconciliations}  # fmt: skip
    assert set(found) == names | {f"{path} contract" for path in TABLES}
    assert [platform.manifest(LISTS, day).rows > 0 for day in DAYS] == [True] * 3
    assert [platform.manifest(EVALUATION, day).rows for day in DAYS] == [0, 3, 3]


def test_figures_are_numbers_of_each_partition(made_once: tuple[LocalPlatform, dg.JobExecutionResult]) -> None:
    _, result = made_once
    metadata = {
        ("/".join(event.asset_key.path), event.partition): event.materialization.metadata
        for event in result.all_events
        if event.is_step_materialization and event.asset_key is not None
    }
    model = metadata["recommendations/song_factors", DAYS[1]]
    assert model["trained_from"].value == "scratch, for there are 1.5 times the pairs of the day before"
    assert isinstance(model["training_seconds"], dg.FloatMetadataValue)
    assert isinstance(metadata[EVALUATION, DAYS[2]]["ndcg_at_10_served"], dg.FloatMetadataValue)
    examples = metadata[LISTS, DAYS[2]]["examples"]
    assert isinstance(examples, dg.TableMetadataValue)
    assert [record.data["listener"] for record in examples.records] == ["1", "2", "3", "4", "5"]
    assert not any("Jane" in str(record.data) for record in examples.records)


def test_a_day_made_again_is_unchanged(made: LocalPlatform) -> None:
    before = made.data_versions()
    made.run_day(DAYS[1], tables=list(TABLES))
    assert made.data_versions() == before


def test_late_plays_end_in_what_would_have_been_made_with_them(tmp_path: Any) -> None:
    whole, late = (LocalPlatform(Settings(lake=str(tmp_path / name))) for name in ("whole", "late"))
    make(whole)
    for day in DAYS:
        listeners = range(_LISTENERS // 2) if day == DAYS[0] else range(_LISTENERS)
        land(late, day, plays_of(day, listeners), 1)
    late.run(hour_of(DAYS[0]), hour_of(DAYS[-1]))
    late.run_day(DAYS[0], DAYS[-1])
    land(late, DAYS[0], plays_of(DAYS[0], range(_LISTENERS // 2, _LISTENERS)), 2)
    late.run(hour_of(DAYS[0]))
    late.run_day(DAYS[0], DAYS[-1])
    for path in TABLES:
        assert late.rows(path, DAYS[-1]) == whole.rows(path, DAYS[-1]), path


def test_a_damaged_yesterday_is_named_and_trained_around(tmp_path: Any) -> None:
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake")))
    make(platform)
    [key] = platform.manifest("recommendations/song_factors", DAYS[1]).keys
    platform.lake.store.delete([key])
    result = platform.run_day(DAYS[2], tables=["recommendations/song_factors"])
    [metadata] = [event.materialization.metadata for event in result.all_events if event.is_step_materialization]
    assert str(metadata["trained_from"].value).startswith(
        "scratch, for the day before cannot be read: recommendations/song_factors"
    )
    assert DAYS[1] in str(metadata["trained_from"].value)


def _first(rows: pa.Table, **changes: Any) -> pa.Table:
    """The rows with some values of the first one changed."""
    records = rows.to_pylist()
    records[0] |= {name: change(records[0]) if callable(change) else change for name, change in changes.items()}
    return pa.Table.from_pylist(records, schema=rows.schema)


_FAULTS: dict[str, tuple[str, Callable[[LocalPlatform, pa.Table], pa.Table]]] = {
    "contract": (LISTS, lambda _, rows: _first(rows, song_key=rows["song_key"][1].as_py())),
    "ranks_have_no_hole": (LISTS, lambda _, rows: _first(rows, rank=50)),
    "scores_fall": (LISTS, lambda _, rows: _first(rows, score=-9.0)),
    "holds_no_song_that_was_played": (
        LISTS,
        lambda made, rows: _first(rows, song_key=lambda row: next(
            pair["song_key"] for pair in made.rows("gold/user_song_interactions", DAYS[2]) if pair["user_key"] == row["user_key"]
        )),
    ),
    "holds_offered_songs_alone": (LISTS, lambda _, rows: _first(rows, song_key="f" * 16)),
    "resolves_song_key": (LISTS, lambda _, rows: _first(rows, song_key="f" * 16)),
    "resolves_user_key": (LISTS, lambda _, rows: _first(rows, user_key="f" * 16)),
    "every_active_listener_has_a_list": (
        LISTS,
        lambda _, rows: rows.filter(pa.array([key != rows["user_key"][0].as_py() for key in rows["user_key"].to_pylist()])),
    ),
    "lists_are_whole": (LISTS, lambda _, rows: rows.slice(1)),
    "coverage_holds": (
        LISTS,
        lambda _, rows: rows.set_column(
            rows.schema.get_field_index("song_key"), "song_key", pa.repeat(rows["song_key"][0], rows.num_rows)
        ),
    ),
    "holds_every_song_played": ("recommendations/song_factors", lambda _, rows: rows.slice(1)),
    "factors_have_one_length": ("recommendations/song_factors", lambda _, rows: _first(rows, factors=[1.0, 2.0])),
    "holds_every_active_listener": ("recommendations/listen_again", lambda _, rows: rows.slice(1)),
    "judges_every_list": (EVALUATION, lambda _, rows: _first(rows, judged_listeners=1)),
    "not_below_popularity": (
        EVALUATION,
        lambda _, rows: _first(
            rows.sort_by([("model", "descending")]), gain_over_popularity=-0.5, gain_standard_error=0.01, judged_listeners=10**6
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _FAULTS)
def test_each_rule_finds_its_fault(made: LocalPlatform, name: str) -> None:
    path, break_rows = _FAULTS[name]
    before = {stored.key: made.lake.store.get(stored.key) for stored in made.lake.store.list(f"{path}/date={DAYS[2]}")}
    made.tamper(path, DAYS[2], break_rows(made, made.table(path, DAYS[2])))
    try:
        outcomes = {
            outcome.check: outcome for outcome in check_derived(TABLES[path], [DAYS[2]], made.lake, SparkEngine())
        }
    finally:
        for key, content in before.items():
            made.lake.store.put(key, content or b"")
    assert not outcomes[name].passed
    assert DAYS[2] in outcomes[name].description
    assert outcomes[name].is_blocking is (name != "not_below_popularity")


def test_factors_that_are_no_numbers_break_the_contract(made: LocalPlatform) -> None:
    path = "recommendations/song_factors"
    before = {stored.key: made.lake.store.get(stored.key) for stored in made.lake.store.list(f"{path}/date={DAYS[2]}")}
    rows = made.table(path, DAYS[2])
    made.tamper(path, DAYS[2], _first(rows, factors=lambda row: [float("nan"), *row["factors"][1:]]))
    try:
        [contract, *_] = check_derived(TABLES[path], [DAYS[2]], made.lake, SparkEngine())
    finally:
        for key, content in before.items():
            made.lake.store.put(key, content or b"")
    assert not contract.passed
    assert "factors_are_finite" in contract.description


def test_a_list_is_looked_up_with_its_reasons(made: LocalPlatform) -> None:
    assert latest_day(made.lake) == DAYS[-1]
    found = offers_to(made.lake, 1, DAYS[-1], 5)
    assert found.has_list
    assert [offer.rank for offer in found.offers] == [1, 2, 3, 4, 5]
    played = {play.song.title for play in offers_to(made.lake, 1, DAYS[-1], 50).last_plays}
    assert not played & {offer.song.title for offer in found.offers}
    scene = {f"Song {song}" for song in range(0, _SONGS, _SCENES)}
    assert {play.song.title for play in found.last_plays} <= scene
    by_model = [offer for offer in found.offers if offer.source == "model"]
    assert by_model
    assert all(offer.because is not None and offer.because.title in scene for offer in by_model)
    assert json.dumps(found.to_json(), default=str)


def test_an_unknown_listener_gets_what_is_popular(made: LocalPlatform) -> None:
    found = offers_to(made.lake, 9999, DAYS[-1], 3)
    assert not found.has_list
    assert [(offer.rank, offer.source, offer.because) for offer in found.offers] == [
        (rank, "popularity", None) for rank in (1, 2, 3)
    ]
    popular = made.rows("recommendations/popular_songs", DAYS[-1])[:3]
    assert [offer.song.key for offer in found.offers] == [row["song_key"] for row in popular]


def test_songs_like_one_are_of_its_scene(made: LocalPlatform) -> None:
    found = neighbours_of(made.lake, "song 5", DAYS[-1], 5)
    assert found.song.title == "Song 5"
    assert all((int(entry.song.title.split()[1]) - 5) % _SCENES == 0 for entry in found.similar)
    with pytest.raises(UnknownSongError, match="'Song'"):
        neighbours_of(made.lake, "Song", DAYS[-1], 5)
