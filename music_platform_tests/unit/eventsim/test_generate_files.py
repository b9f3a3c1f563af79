"""Generated files: records as Eventsim writes them, the same bytes for the same seed, options and their errors."""

import hashlib
import itertools
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from music_platform.eventsim import EVENT_TYPES, GeneratorError, GeneratorOptions, Progress, generate_files
from music_platform.eventsim import generator as generator_module
from music_platform.eventsim.files import LineFiles
from music_platform.eventsim.generator import Run
from music_platform.eventsim.options import make_plan
from music_platform.eventsim.population import create_population

_START = datetime(2026, 11, 1, tzinfo=UTC)
_OPTIONS = GeneratorOptions(users=100, growth_rate=20.0, start=_START, days=10, seed=7)

_DEVICE = ["city", "zip", "state", "userAgent", "lon", "lat"]
_USER = ["userId", "lastName", "firstName", "gender", "registration"]
_SONG = ["artist", "song", "duration"]

# SHA-256 of the files of _OPTIONS. Who generated events before must get the same ones: a change here needs a reason.
_DIGESTS = {
    "auth_events.jsonl": "aeb8806d277af49633e59a2346249eaa95e76fceda0e31c7581bc74b07a1f344",
    "listen_events.jsonl": "e18e7043ff6907a7dd5982738451948b14c12f889bb0732b7b2fb789ec37bb4d",
    "page_view_events.jsonl": "f1bc82e201ce0407edf736c62fae111b45a33ee308a85ae950067f02ce430685",
    "status_change_events.jsonl": "39febdb1f42bff98572cd0c9b9c667a4f70ef8cbec760d3f1e6ba77ad140d51d",
}

Records = dict[str, list[dict[str, Any]]]


def _read(folder: Path) -> Records:
    return {
        event_type: [json.loads(line) for line in (folder / f"{event_type}.jsonl").read_bytes().split(b"\n")[:-1]]
        for event_type in EVENT_TYPES
    }


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events")
    generate_files(_OPTIONS, path)
    return path


@pytest.fixture(scope="module")
def records(folder: Path) -> Records:
    return _read(folder)


def test_keys_stand_in_eventsims_order(records: Records) -> None:
    for record in records["page_view_events"]:
        keys = ["ts", "sessionId", "page", "auth", "method", "status", "level", "itemInSession", *_DEVICE]
        keys += _USER if record["auth"] in ("Logged In", "Cancelled") else []
        keys += _SONG if record["page"] == "NextSong" else []
        assert list(record) == keys
    for record in records["listen_events"]:
        assert list(record) == [*_SONG, "ts", "sessionId", "auth", "level", "itemInSession", *_DEVICE, *_USER]
    for record in records["auth_events"]:
        user = _USER if record["success"] else []
        assert list(record) == ["ts", "sessionId", "level", "itemInSession", *_DEVICE, *user, "success"]
    for record in records["status_change_events"]:
        assert list(record) == ["ts", "sessionId", "auth", "level", "itemInSession", *_DEVICE, *_USER]


def test_values_have_their_types(records: Records) -> None:
    kinds = {
        **dict.fromkeys(["ts", "sessionId", "itemInSession", "status", "userId", "registration"], int),
        **dict.fromkeys(["lon", "lat", "duration"], float),
        "success": bool,
    }
    for record in (record for rows in records.values() for record in rows):
        assert all(type(value) is kinds.get(key, str) for key, value in record.items())
        assert len(record["zip"]) == 5
        assert record["ts"] % 1_000 == 0
        assert _START.timestamp() * 1_000 <= record["ts"] < (_START.timestamp() + 10 * 86_400) * 1_000


def test_some_zips_begin_with_0_and_most_agents_are_quoted(records: Records) -> None:
    devices = {record["userAgent"]: record["zip"] for record in records["page_view_events"]}
    assert any(code.startswith("0") for code in devices.values())
    assert any(agent.startswith('"') and agent.endswith('"') for agent in devices)


def test_files_are_sorted_by_time(records: Records) -> None:
    for rows in records.values():
        times = [row["ts"] for row in rows]
        assert times == sorted(times)


def test_each_event_has_its_page_view_twin(records: Records) -> None:
    views = {(row["sessionId"], row["itemInSession"]): row for row in records["page_view_events"]}
    assert len(views) == len(records["page_view_events"])
    for event_type in ("listen_events", "auth_events", "status_change_events"):
        for row in records[event_type]:
            twin = views[row["sessionId"], row["itemInSession"]]
            assert all(twin[key] == row[key] for key in row if key != "success")
    songs = [key for key, row in views.items() if row["page"] == "NextSong"]
    assert sorted((row["sessionId"], row["itemInSession"]) for row in records["listen_events"]) == sorted(songs)
    changes = [key for key, row in views.items() if row["page"] in ("Submit Upgrade", "Submit Downgrade")]
    assert sorted((row["sessionId"], row["itemInSession"]) for row in records["status_change_events"]) == sorted(
        changes
    )


def test_status_changes_say_the_level_before(records: Records) -> None:
    pages = {(row["sessionId"], row["itemInSession"]): row["page"] for row in records["page_view_events"]}
    levels = {"Submit Upgrade": "free", "Submit Downgrade": "paid"}
    assert records["status_change_events"]
    for row in records["status_change_events"]:
        assert row["level"] == levels[pages[row["sessionId"], row["itemInSession"]]]


def test_one_song_follows_another_after_its_whole_seconds_and_redirects_take_one(records: Records) -> None:
    sessions = defaultdict(list)
    for row in records["page_view_events"]:
        sessions[row["sessionId"]].append(row)
    pairs = [pair for rows in sessions.values() for pair in itertools.pairwise(rows)]
    assert all(after["itemInSession"] == before["itemInSession"] + 1 for before, after in pairs)
    for before, after in pairs:
        passed = (after["ts"] - before["ts"]) // 1_000
        if before["page"] == after["page"] == "NextSong":
            assert passed == int(before["duration"])
        if after["status"] == 307:
            assert passed == 1


def test_a_session_belongs_to_one_listener_and_device(records: Records) -> None:
    owners = defaultdict(set)
    for row in records["page_view_events"]:
        owners[row["sessionId"]].add((row["zip"], row["userAgent"]))
    assert all(len(devices) == 1 for devices in owners.values())


def test_nobody_comes_back_after_cancelling() -> None:
    run = Run(make_plan(replace(_OPTIONS, users=5_000, growth_rate=0.0)))
    batch = run.simulation.advance(run.end)
    cancelled = np.array([state.page == "Cancellation Confirmation" for state in run.simulation.machine.states])
    last_state = np.zeros(run.listeners, dtype=np.int64)
    last_state[batch.user] = batch.state  # page views are in order of time, so the last one stays
    leavers = np.unique(batch.user[cancelled[batch.state]])
    assert leavers.size
    assert cancelled[last_state[leavers]].all()


def test_new_listeners_register_when_they_join_and_begin_as_guests(records: Records) -> None:
    new = {row["userId"]: row for row in records["page_view_events"] if row.get("userId", 0) > 100}
    assert len(new) > 20
    assert all(row["registration"] >= _START.timestamp() * 1_000 for row in new.values())
    assert Counter(row["page"] for row in records["page_view_events"])["Submit Registration"] >= len(new) / 2


def test_a_seed_gives_the_bytes_that_it_gave_before(folder: Path) -> None:
    assert {name: hashlib.sha256(content).hexdigest() for name, content in _bytes(folder).items()} == _DIGESTS


@pytest.mark.parametrize("page_views_at_once", [200, 5_000, 10_000_000])
def test_chunks_do_not_change_a_byte(folder: Path, tmp_path: Path, page_views_at_once: int) -> None:
    summary = generate_files(_OPTIONS, tmp_path, page_views_at_once=page_views_at_once)
    assert _bytes(tmp_path) == _bytes(folder)
    assert summary.rows == {event_type: len(rows) for event_type, rows in _read(folder).items()}
    assert sum(summary.bytes.values()) == sum(len(content) for content in _bytes(folder).values())


@pytest.mark.parametrize(("threads", "rows"), [(1, 100), (4, 37)])
def test_threads_do_not_change_a_byte(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, rows: int
) -> None:
    monkeypatch.setattr(generator_module, "_WRITING_THREADS", threads)
    monkeypatch.setattr(generator_module, "ROWS_AT_ONCE", rows)
    monkeypatch.setattr("music_platform.eventsim.rendering.ROWS_AT_ONCE", rows)
    generate_files(_OPTIONS, tmp_path)
    assert _bytes(tmp_path) == _bytes(folder)


def test_another_seed_makes_other_events(folder: Path, tmp_path: Path) -> None:
    generate_files(replace(_OPTIONS, seed=8), tmp_path)
    assert _bytes(tmp_path) != _bytes(folder)


def test_a_tag_stands_where_the_user_does(tmp_path: Path) -> None:
    generate_files(replace(_OPTIONS, tag='te"st', days=2, first_user_id=5_000), tmp_path)
    for rows in _read(tmp_path).values():
        for row in rows:
            assert ("tag" in row) == ("userId" in row)
            assert row.get("tag", 'te"st') == 'te"st'
            assert row.get("userId", 5_000) >= 5_000


def test_attrition_takes_the_share_that_was_asked_for() -> None:
    options = replace(_OPTIONS, users=20_000, growth_rate=0.0, attrition_rate=2.0)
    plan = make_plan(options)
    people = create_population(plan.config, plan.request)
    assert (people.leaves < plan.request.end).mean() == pytest.approx(1 - 2.718 ** (-2.0 * 10 / 365.25), rel=0.1)


def test_attrition_thins_out_sessions_but_ends_nobody_at_once() -> None:
    base = replace(_OPTIONS, users=3_000, growth_rate=0.0)
    late_sessions = []
    for options in (base, replace(base, attrition_rate=30.0)):
        run = Run(make_plan(options))
        batch = run.simulation.advance(run.end)
        late_sessions.append(np.count_nonzero((batch.item == 0) & (batch.ts >= run.start + 5 * 86_400)))
    # On average seven and a half of ten days at 30 a year leave exp(-0.62), about 54 %, of the later sessions.
    assert late_sessions[1] / late_sessions[0] == pytest.approx(0.54, abs=0.07)


def test_growth_follows_the_rate() -> None:
    options = replace(_OPTIONS, users=10_000, growth_rate=0.5, days=100)
    plan = make_plan(options)
    people = create_population(plan.config, plan.request)
    assert len(people) == pytest.approx(10_000 * 2.718 ** (0.5 * 100 / 365.25), rel=0.02)


def test_a_growth_without_bounds_is_refused() -> None:
    plan = make_plan(replace(_OPTIONS, growth_rate=900.0, days=300))
    with pytest.raises(GeneratorError, match="growth rate of 900"):
        create_population(plan.config, plan.request)


def test_progress_comes_to_the_end(tmp_path: Path) -> None:
    seen: list[Progress] = []
    summary = generate_files(_OPTIONS, tmp_path, seen.append, page_views_at_once=2_000)
    assert len(seen) > 2
    assert [state.now for state in seen] == sorted(state.now for state in seen)
    assert (seen[-1].now, seen[-1].page_views) == (summary.end, summary.rows["page_view_events"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"users": 0}, "--users"),
        ({"users": 10**9}, "--users"),
        ({"days": 0}, "--days"),
        ({"end": _START, "days": None}, "--from and --to"),
        ({"growth_rate": -1.0}, "--growth-rate"),
        ({"attrition_rate": float("nan")}, "--attrition-rate"),
        ({"first_user_id": -1}, "--first-user-id"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        generate_files(replace(_OPTIONS, **changes), tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(GeneratorError, match=r"taken.*Check --output"):
        generate_files(_OPTIONS, tmp_path / "taken")


def test_a_failure_leaves_older_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "listen_events.jsonl").write_text("older\n")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("music_platform.eventsim.files.os.pwrite", fail)
    with pytest.raises(GeneratorError, match="No space left on device"):
        generate_files(_OPTIONS, tmp_path)
    assert _bytes(tmp_path) == {"listen_events.jsonl": b"older\n"}


def test_pieces_take_their_places_in_order(tmp_path: Path) -> None:
    files = LineFiles({"a": tmp_path / "a.jsonl"})
    files.open()

    def writer(piece: int) -> Callable[[], None]:
        return lambda: files.write(piece, {"a": (1, memoryview(f"{piece}\n".encode() * (piece + 1)))})

    threads = [threading.Thread(target=writer(piece)) for piece in reversed(range(8))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files.close(complete=True)
    assert (tmp_path / "a.jsonl").read_text() == "".join(f"{piece}\n" * (piece + 1) for piece in range(8))
    assert files.lines == {"a": 8}
