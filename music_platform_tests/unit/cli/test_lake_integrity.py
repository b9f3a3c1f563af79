"""All hours of the window are examined: what is damaged is named with the command that mends it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from music_platform.cli.lake_status import lake_status
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import DataFile, Manifest, manifest_key, partition_folder
from music_platform.settings import Settings

NOW = datetime(2026, 11, 4, 12, 30, tzinfo=UTC)
HOUR, DAY = "2026-11-02-05:00", "2026-11-02"
_CONTENT = b"four"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(Settings(lake=str(tmp_path / "lake")))
    for hour in range(24):
        publish(lake, "silver/listen_events", f"2026-11-02-{hour:02}:00")
    publish(lake, "silver/listen_events", "2026-11-04-11:00")
    publish(lake, "gold/fact_plays", DAY)
    return lake


def publish(lake: Lake, table: str, partition: str) -> None:
    file = DataFile("part.parquet", 1, len(_CONTENT), "0" * 64)
    manifest = Manifest(table, partition, (file,), "none", "a-run", "2026-11-02T00:00:00+00:00")
    lake.store.put(f"{partition_folder(table, partition)}/part.parquet", _CONTENT)
    lake.store.put(manifest_key(table, partition), manifest.to_json())


def damaged(lake: Lake, hours: int = 72) -> list[str]:
    return list(lake_status(lake, NOW, hours).damaged)


def test_a_whole_lake_has_no_damage(lake: Lake) -> None:
    assert damaged(lake) == []


@pytest.mark.parametrize("table", ["silver/listen_events", "gold/fact_plays"])
@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_a_file_of_an_older_partition_that_is_not_whole(lake: Lake, table: str, damage: str) -> None:
    partition = HOUR if table.startswith("silver") else DAY
    key = f"{partition_folder(table, partition)}/part.parquet"
    if damage == "deleted":
        lake.store.delete([key])
    else:
        lake.store.put(key, _CONTENT[:-1])
    [message] = damaged(lake)
    assert message.startswith(f"{table} partition {partition} lacks '{key}' (1 of its 1 files")
    assert message.endswith(f"./run dagster asset materialize --select '{table}' --partition '{partition}'")
    assert damaged(lake, hours=12) == []  # of an older window


@pytest.mark.parametrize("table", ["silver/listen_events", "gold/fact_plays"])
def test_a_manifest_of_an_older_partition_that_cannot_be_read(lake: Lake, table: str) -> None:
    partition = HOUR if table.startswith("silver") else DAY
    lake.store.put(manifest_key(table, partition), b"{")
    [message] = damaged(lake)
    assert f"manifest '{manifest_key(table, partition)}' cannot be read" in message
    assert message.endswith(f"./run dagster asset materialize --select '{table}' --partition '{partition}'")


def test_much_damage_is_counted(lake: Lake) -> None:
    for hour in range(24):
        lake.store.delete([f"{partition_folder('silver/listen_events', f'2026-11-02-{hour:02}:00')}/part.parquet"])
    found = damaged(lake)
    assert len(found) == 4
    assert found[-1] == (
        "silver/listen_events: so are 21 more partitions: 2026-11-02-03:00...2026-11-02-23:00 (21 partitions)"
    )
