"""Lands a handful of events and waits until their hour is in silver, in gold and, where it is served, in Druid.

Usage: landing_test.py [forward://HOST:PORT]; with a collector the events go through it, else `music-platform land` lands them.
The seed and the first user are new each time, so that the events of an earlier test are others.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from music_platform.lake.lake import Lake
from music_platform.lake.manifest import read_manifest
from music_platform.partitions import key_of_hour
from music_platform.serving.druid.client import DruidResource
from music_platform.settings import Settings
from music_platform.tables.contract import TableContract
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.silver import SILVER

SECONDS = 800
DEADLINE = time.monotonic() + SECONDS
EVENTS = Path("/tmp/events")


def main(sink: str | None) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    settings = Settings()
    lake, partition = Lake(settings), key_of_hour(hour)
    before = rows(lake, SILVER["page_view_events"], partition)
    seed = str(int(time.time()))
    generate = ["music-platform", "generate", "--quiet", "--users", "1000", "--seed", seed, "--first-user-id", seed]
    generate += ["--from", hour.isoformat(), "--to", (hour + timedelta(hours=1)).isoformat()]
    subprocess.run([*generate, "--output", str(EVENTS)], check=True)
    events = sum(1 for _ in (EVENTS / "page_view_events.jsonl").open())
    if not events:
        sys.exit("the generator made no page views")
    if sink:
        subprocess.run([*generate, "--sink", sink, "--retry-seconds", "120"], check=True)
    else:
        subprocess.run(["music-platform", "land", str(EVENTS)], check=True)
    print(f"sent {events} page views of {partition}, which had {before}", flush=True)
    wanted = before + events
    await_rows("silver", wanted, lambda: rows(lake, SILVER["page_view_events"], partition))
    await_rows("gold", wanted, lambda: rows(lake, FACT_PAGE_VIEWS, partition))
    if settings.druid_enabled:
        druid = DruidResource(settings)
        await_rows("Druid", wanted, lambda: rows_of_druid(druid, hour))


def rows(lake: Lake, contract: TableContract, partition: str) -> int:
    found = read_manifest(lake.store, contract, partition)
    return found[0].rows if found else 0


def rows_of_druid(druid: DruidResource, hour: datetime, datasource: str = "page_views") -> int:
    """The page views that Druid counts in an hour; 0 before a first run has made the datasource."""
    of_datasource = [{"type": "VARCHAR", "value": datasource}]
    if not druid.sql("SELECT 1 FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME = ?", parameters=of_datasource):
        return 0
    query = f'SELECT SUM(page_views) AS found FROM "{datasource}" WHERE __time >= ? AND __time < ?'
    times = [{"type": "TIMESTAMP", "value": f"{time:%Y-%m-%d %H:%M:%S}"} for time in (hour, hour + timedelta(hours=1))]
    return druid.sql(query, parameters=times)[0]["found"] or 0


def await_rows(where: str, wanted: int, count: Callable[[], int]) -> None:
    while (found := count()) < wanted:
        if time.monotonic() > DEADLINE:
            sys.exit(f"{where} has {found} of {wanted} page views after {SECONDS} seconds")
        time.sleep(5)
    print(f"{where} has {found} page views", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
