"""The real Eventsim sample through the spine in one range run: 120,743 landed lines reconcile to the last one."""

from __future__ import annotations

import json
import lzma
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from local_platform import LocalPlatform, evaluations, gzip_lines, materialized

from music_platform.contracts.events import EVENT_CONTRACTS
from music_platform.contracts.tables import TABLES
from music_platform.partitions import key_of_hour, keys_in_range
from music_platform.settings import Settings

HOURS = keys_in_range("2026-11-01-00:00", "2026-11-16-00:00")  # one event lies at the end time of the sample
LINES = {"auth_events": 852, "listen_events": 54_763, "page_view_events": 65_069, "status_change_events": 59}


@dataclass
class SampleRun:
    """The platform after one run over all hours, and how many lines were landed in each."""

    platform: LocalPlatform
    result: dg.ExecuteInProcessResult
    landed: dict[str, Counter[str]]

    def silver(self, event_type: str) -> pa.Table:
        return pa.concat_tables(self.platform.table(f"silver/{event_type}", hour) for hour in HOURS)


@pytest.fixture(scope="module")
def sample(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    platform = LocalPlatform(Settings(lake=str(tmp_path_factory.mktemp("sample") / "lake")))
    landed: dict[str, Counter[str]] = {}
    for event_type in EVENT_CONTRACTS:
        with lzma.open(shared_folder / "eventsim" / "sample" / f"{event_type}.jsonl.xz") as file:
            lines = file.read().split(b"\n")[:-1]
        by_hour: defaultdict[str, list[bytes]] = defaultdict(list)
        for line in lines:
            moment = datetime.fromtimestamp(json.loads(line)["ts"] / 1000, UTC)
            by_hour[key_of_hour(moment.replace(minute=0, second=0, microsecond=0))].append(line)
        for partition, lines_of_hour in by_hour.items():
            platform.land(event_type, partition, gzip_lines(lines_of_hour))
        landed[event_type] = Counter({partition: len(lines_of_hour) for partition, lines_of_hour in by_hour.items()})
    return SampleRun(platform, platform.run(HOURS[0], HOURS[-1]), landed)


def test_every_line_is_accounted_for_hour_by_hour(sample: SampleRun) -> None:
    assert {event_type: hours.total() for event_type, hours in sample.landed.items()} == LINES
    assert sum(LINES.values()) == 120_743
    for event_type, hours in sample.landed.items():
        for partition in HOURS:
            silver = sample.platform.manifest(f"silver/{event_type}", partition)
            quarantine = sample.platform.manifest(f"quarantine/{event_type}", partition)
            assert sample.platform.manifest(f"bronze/{event_type}", partition).rows == hours[partition]
            assert silver.rows + silver.counts.get("duplicates", 0) + quarantine.rows == hours[partition]


def test_all_of_the_sample_is_good(sample: SampleRun) -> None:
    assert sample.result.success
    assert materialized(sample.result) == set(TABLES)
    found = evaluations(sample.result)
    assert len(found) == 24
    assert [f"{name}: {evaluation.description}" for name, evaluation in found.items() if not evaluation.passed] == []
    told = {name: evaluation.description for name, evaluation in found.items() if "reconciles_with_bronze" in name}
    assert told == {
        f"silver/{event_type} reconciles_with_bronze": f"{rows:,} bronze rows = {rows:,} silver + 0 duplicates + 0 quarantined"
        for event_type, rows in LINES.items()
    }


def test_text_of_the_sample_is_repaired(sample: SampleRun) -> None:
    listens = sample.silver("listen_events")
    bronze = pa.concat_tables(sample.platform.table("bronze/listen_events", hour) for hour in HOURS)
    for column in ("artist", "song"):
        assert pc.any(pc.match_substring_regex(bronze[column], "[\u00c2-\u00f4][\u0080-\u00bf]")).as_py()
        assert not pc.any(pc.match_substring_regex(listens[column], "[\u0000-\u0008\u000e-\u001f]")).as_py()
        assert not pc.any(pc.match_substring_regex(listens[column], '^".*"$')).as_py()
        assert not pc.any(pc.match_substring_regex(listens[column], "\u00c3[\u0080-\u00bf]")).as_py()
    assert pc.any(pc.equal(listens["device"], "iPhone")).as_py()
    assert not pc.any(pc.starts_with(listens["user_agent"], '"')).as_py()


def test_listens_have_their_page_views(sample: SampleRun) -> None:
    keys = ("session_id", "item_in_session", "event_time", "user_id", "artist", "song", "duration_seconds")
    views = sample.silver("page_view_events")
    songs = views.filter(pc.equal(views["page"], "NextSong")).select(keys)
    listens = sample.silver("listen_events").select(keys)
    order = [(key, "ascending") for key in keys]
    assert songs.sort_by(order).equals(listens.sort_by(order))
