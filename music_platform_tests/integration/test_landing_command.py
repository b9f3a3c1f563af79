"""The music-platform landing command: objects that no table reads are listed, and brought in once they are meant to be."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import ERRORS_PREFIX, errors_key, landed_key, parse_errors_key
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.event_files import LandingInputError
from music_platform.landing.refiling import refile
from music_platform.landing.unread import find_unread
from music_platform.partitions import hour_of_key
from music_platform.settings import current_settings
from music_platform_tests.integration.command_line import HOUR, auth_event, materialize_hour, words
from music_platform_tests.integration.landed_files import error_records, landed_lines, objects_of

_NAME = f"2026110107_{'0' * 32}.json.gz"
_PLACE = "auth_events", hour_of_key(HOUR)
_ERROR = b'{"message":"broken","__reason":"json_object","__tag":"eventsim.auth_events","__time":"2024-05-01T10:00:00.000Z"}\n'


@pytest.fixture
def lake(commands: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("MUSIC_PLATFORM_START", "2026-11-01T00:00")
    current_settings.cache_clear()
    return Lake(current_settings())


def put_lines(store: ObjectStore, key: str, *lines: str) -> None:
    store.put(key, gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def test_misplaced_objects_are_landed_by_the_hour_of_each_event_and_removed(commands: CliRunner, lake: Lake) -> None:
    next_hour = auth_event(3601)
    put_lines(lake.store, f"landing/auth_events/dt=2026-11-01/hour=5/{_NAME}", auth_event(1), next_hour)
    put_lines(lake.store, f"landing/auth_events/dt=2026-13-40/{_NAME}", auth_event(2), "no event")
    lake.store.put("landing/auth_events/dt=2026-11-01/hour=05/auth_events.jsonl", f"{auth_event(3)}\n".encode())
    before = objects_of(lake.store)

    listed = commands.invoke(app, ["landing", "unread", "--json"])
    assert listed.exit_code == 1
    assert {json.loads(line)["key"] for line in listed.stdout.splitlines()} == set(before)
    plan = commands.invoke(app, ["landing", "refile"])
    assert plan.exit_code == 0, plan.output
    assert "3 objects would be refiled and removed; nothing was changed. --yes does it" in plan.output
    assert objects_of(lake.store) == before

    done = commands.invoke(app, ["landing", "refile", "--yes"])
    assert done.exit_code == 0, done.output
    for key in before:
        assert f"'{key}' removed" in done.output
    assert "2026-11-01-05:00...2026-11-01-06:00 (2 partitions)" in done.output
    assert {place: sorted(lines) for place, lines in landed_lines(lake.store).items()} == {
        _PLACE: sorted(auth_event(number).encode() for number in (1, 2, 3)),
        ("auth_events", hour_of_key("2026-11-01-06:00")): [next_hour.encode()],
    }
    assert len(error_records(lake.store)) == 1
    assert commands.invoke(app, ["landing", "unread"]).exit_code == 0
    materialize_hour(current_settings())
    checked = commands.invoke(app, ["check", "--partition", HOUR])
    assert checked.exit_code == 0, checked.output
    assert "3 landed lines = 3 bronze rows" in words(checked.output)

    # An object that comes back, as after a kill between landing and removing, changes nothing else.
    landed = objects_of(lake.store, "landing")
    for key, content in before.items():
        lake.store.put(key, content)
    assert commands.invoke(app, ["landing", "refile", "--yes"]).exit_code == 0
    assert objects_of(lake.store, "landing") == landed
    assert len(error_records(lake.store)) == 1
    assert "nothing to refile" in commands.invoke(app, ["landing", "refile", "--yes"]).output


@pytest.mark.parametrize("command", ["unread", "refile"])
def test_a_missing_lake_is_named_and_not_made(commands: CliRunner, lake: Lake, command: str) -> None:
    result = commands.invoke(app, ["landing", command])
    assert result.exit_code == 1
    assert f"there is no lake: no folder {lake.location}" in result.output
    assert not Path(lake.location).exists()


def test_an_unknown_event_type_has_to_be_said(commands: CliRunner, lake: Lake) -> None:
    key = f"landing/skip_events/dt=2026-11-01/hour=05/{_NAME}"
    put_lines(lake.store, key, auth_event(1))
    stays = commands.invoke(app, ["landing", "refile", "--yes"])
    assert stays.exit_code == 0
    assert "1 objects of no known event type stay" in stays.stderr
    assert "nothing to refile" in stays.output
    assert set(objects_of(lake.store)) == {key}
    assert commands.invoke(app, ["landing", "refile", "--event-type", "auth_events", "--yes"]).exit_code == 2
    assert commands.invoke(app, ["landing", "refile", "landing/", "--event-type", "clicks"]).exit_code == 2
    done = commands.invoke(app, ["landing", "refile", "landing/skip_events/", "--event-type", "auth_events", "--yes"])
    assert done.exit_code == 0, done.output
    assert landed_lines(lake.store) == {_PLACE: [auth_event(1).encode()]}


def test_events_before_the_start_stay_and_the_setting_is_reported(commands: CliRunner, lake: Lake) -> None:
    early = f"landing/auth_events/dt=2020-01-01/hour=00/2020010100_{'0' * 32}.json.gz"
    put_lines(lake.store, early, auth_event(1, ts=1_577_836_800_000))
    put_lines(lake.store, f"landing/auth_events/{_NAME}", auth_event(1, ts=1_577_840_400_000))
    result = commands.invoke(app, ["landing", "refile", "--yes"])
    assert result.exit_code == 0, result.output
    assert "1 objects of events before MUSIC_PLATFORM_START stay, of 2020-01-01-00:00; set" in result.stderr
    assert "1 lines lie before MUSIC_PLATFORM_START (2026-11-01T00:00) and will not be read" in result.stderr
    assert result.stderr.count("MUSIC_PLATFORM_START=2020-01-01T0") == 2
    assert lake.store.get(early) is not None


def test_what_cannot_be_read_or_holds_no_event_stays_and_is_an_error(commands: CliRunner, lake: Lake) -> None:
    truncated = gzip.compress(b"".join(auth_event(number).encode() + b"\n" for number in range(100)))[:-40]
    kept = {f"landing/auth_events/a/{_NAME}": truncated, "landing/auth_events/README": b"What lies here.\n"}
    for key, content in kept.items():
        lake.store.put(key, content)
    put_lines(lake.store, f"landing/auth_events/b/{_NAME}", auth_event(1))
    result = commands.invoke(app, ["landing", "refile", "--yes"])
    assert result.exit_code == 1
    assert "'landing/auth_events/README' stays: 'landing/auth_events/README' holds no event" in result.stderr
    assert f"cannot read landing/auth_events/a/{_NAME}:" in result.stderr
    assert "2 of 3 objects were not refiled" in result.stderr
    assert {key: lake.store.get(key) for key in kept} == kept
    assert landed_lines_of_hours(lake.store) == [auth_event(1).encode()]


def landed_lines_of_hours(store: ObjectStore) -> list[bytes]:
    found = objects_of(store, "landing/auth_events/dt=2026-11-01/hour=05")
    return [line for content in found.values() for line in gzip.decompress(content).splitlines()]


def test_error_records_go_to_the_current_hour_and_are_in_quarantine(commands: CliRunner, lake: Lake) -> None:
    packed = gzip.compress(_ERROR)
    of_old_file = errors_key(datetime(2024, 5, 1, 10, tzinfo=UTC), "0" * 32)
    other = packed[:-1] + packed[-1:]
    lake.store.put(of_old_file, packed)
    lake.store.put(f"errors/{_NAME}", gzip.compress(_ERROR.replace(b"broken", b"other")))  # with the same chunk id
    lake.store.put("errors/by-hand.json", _ERROR.replace(b"broken", b"plain"))
    result = commands.invoke(app, ["landing", "refile", "--yes"])
    assert result.exit_code == 0, result.output
    keys = list(objects_of(lake.store, ERRORS_PREFIX))
    assert len(keys) == 3
    hours = {parse_errors_key(key) for key in keys}
    assert None not in hours
    assert max(hour for hour in hours if hour) <= datetime.now(UTC)
    assert sorted(json.loads(record)["message"] for record in error_records(lake.store)) == ["broken", "other", "plain"]
    # Two copies of what is there already, put back as a kill would leave them, become no further records.
    lake.store.put(of_old_file, other)
    assert commands.invoke(app, ["landing", "refile", "--yes"]).exit_code == 0
    assert list(objects_of(lake.store, ERRORS_PREFIX)) == keys


def test_error_records_of_an_hour_to_come_are_named_everywhere_and_brought_in(commands: CliRunner, lake: Lake) -> None:
    put_lines(lake.store, f"landing/{_PLACE[0]}/dt=2026-11-01/hour=05/2026110105_{'0' * 32}.json.gz", auth_event(1))
    materialize_hour(current_settings())
    ahead = errors_key(datetime.now(UTC) + timedelta(days=40), "0" * 32)
    lake.store.put(ahead, gzip.compress(_ERROR))

    listed = commands.invoke(app, ["landing", "unread", "--json"])
    assert listed.exit_code == 1
    [told] = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (told["key"], told["reason"]) == (ahead, "hour_to_come")
    status = json.loads(commands.invoke(app, ["status", "--json"]).stdout)
    [problem] = [problem for problem in status["problems"] if ahead in problem]
    assert problem.startswith("1 objects (")
    assert "hours that have not begun" in problem
    [group] = status["lake"]["unread"]
    assert (group["reason"], group["objects"]) == ("hour_to_come", 1)
    checked = commands.invoke(app, ["check", "--partition", HOUR])
    assert checked.exit_code == 1
    assert "1 of " in checked.stderr
    assert "landing/collector_errors every_landed_object_is_read" in checked.stderr

    done = commands.invoke(app, ["landing", "refile", "--yes"])
    assert done.exit_code == 0, done.output
    [key] = objects_of(lake.store, ERRORS_PREFIX)
    assert f"'{ahead}' is now '{key}'" in done.output
    hour = parse_errors_key(key)
    assert hour is not None
    assert hour <= datetime.now(UTC)
    assert [json.loads(record)["message"] for record in error_records(lake.store)] == ["broken"]
    assert commands.invoke(app, ["landing", "unread"]).exit_code == 0


def test_land_names_error_records_of_its_files_that_lie_in_an_hour_to_come(
    commands: CliRunner, lake: Lake, tmp_path: Path
) -> None:
    file = tmp_path / "auth_events.jsonl"
    file.write_text(f"{auth_event(1)}\nbroken\n")
    assert "no table reads them" not in commands.invoke(app, ["land", str(file)]).stderr
    [key] = objects_of(lake.store, ERRORS_PREFIX)
    content = lake.store.get(key)
    assert content is not None
    ahead = errors_key(datetime.now(UTC) + timedelta(days=40), key.rpartition("_")[2].removesuffix(".json.gz"))
    lake.store.put(ahead, content)
    lake.store.delete([key])
    again = commands.invoke(app, ["land", str(file)])
    assert again.exit_code == 0, again.output
    assert list(objects_of(lake.store, ERRORS_PREFIX)) == [ahead]
    assert "1 objects of error records of these files were there already, where no table reads them" in words(
        again.stderr
    )
    assert ahead in again.stderr


def test_objects_of_a_wrong_clock_are_set_aside_whole(commands: CliRunner, lake: Lake) -> None:
    early = f"landing/auth_events/dt=2020-01-01/hour=00/2020010100_{'0' * 32}.json.gz"
    ahead = landed_key("auth_events", datetime.now(UTC) + timedelta(days=40), "0" * 32)
    good = landed_key(*_PLACE, "0" * 32)
    for key in (early, ahead, good):
        put_lines(lake.store, key, auth_event(1))
    before = objects_of(lake.store)
    assert commands.invoke(app, ["status"]).exit_code == 1
    assert commands.invoke(app, ["landing", "set-aside"]).exit_code == 2
    plan = commands.invoke(app, ["landing", "set-aside", "landing/"])
    assert plan.exit_code == 0, plan.output
    assert "2 objects would be moved to set_aside/; nothing was changed. --yes does it" in plan.output
    assert objects_of(lake.store) == before

    done = commands.invoke(app, ["landing", "set-aside", "landing/", "--yes"])
    assert done.exit_code == 0, done.output
    assert f"'{early}' is now 'set_aside/{early}'" in done.output
    assert objects_of(lake.store) == {
        good: before[good], f"set_aside/{early}": before[early], f"set_aside/{ahead}": before[ahead],
    }  # fmt: skip
    assert commands.invoke(app, ["landing", "unread"]).exit_code == 0
    assert "nothing to set aside" in commands.invoke(app, ["landing", "set-aside", "landing/", "--yes"]).output
    problems = json.loads(commands.invoke(app, ["status", "--json"]).stdout)
    assert problems["lake"]["unread"] == problems["lake"]["held"] == []

    # One that comes back is the same object; another of its name is kept beside it.
    lake.store.put(early, before[early])
    assert commands.invoke(app, ["landing", "set-aside", early, "--yes"]).exit_code == 0
    lake.store.put(early, b"another")
    assert commands.invoke(app, ["landing", "set-aside", early, "--yes"]).exit_code == 0
    kept = objects_of(lake.store, "set_aside/landing/auth_events/dt=2020-01-01/hour=00")
    assert sorted(kept.values()) == sorted([before[early], b"another"])


def test_an_object_is_removed_only_after_its_lines_are_landed(
    commands: CliRunner, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"landing/auth_events/{_NAME}"
    put_lines(lake.store, key, auth_event(1))
    [unread] = find_unread(lake).objects
    removed: list[str] = []
    monkeypatch.setattr(ObjectStore, "delete", lambda _, keys: removed.extend(keys))

    def fails(*_: object, **__: object) -> None:
        raise LandingInputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "put", fails)
        with pytest.raises(LandingInputError):
            refile(lake.store, unread, "auth_events", current_settings().start, datetime.now(UTC))
    assert removed == []
    refile(lake.store, unread, "auth_events", current_settings().start, datetime.now(UTC))
    assert removed == [key]
