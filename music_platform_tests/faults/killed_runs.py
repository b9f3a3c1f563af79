"""Runs of the platform's own assets for an hour of one event type, in processes that may be killed on the way.

What is expected of the lake after that stands in the tests.
"""

from __future__ import annotations

import gzip
import json
from multiprocessing.connection import Connection

import dagster as dg

from music_platform.definitions import build_definitions
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.object_store import ObjectStore
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

EVENT_TYPE = "listen_events"
HOUR = "2026-11-01-05:00"
TABLES = [BRONZE[EVENT_TYPE], SILVER[EVENT_TYPE], QUARANTINE[EVENT_TYPE]]
LINES_OF_AN_OBJECT = 200  # of which one is no JSON


def land(settings: Settings, number: int) -> None:
    """Land another object in the hour."""
    first_millisecond = int(hour_of_key(HOUR).timestamp() * 1000)
    events = [
        {
            "artist": "Artist", "song": f"Song {index}", "duration": 200.5, "ts": first_millisecond + 1000 * index,
            "sessionId": number + 1, "auth": "Logged In", "level": "free", "itemInSession": index, "city": "City",
            "zip": "01234", "state": "CA", "userAgent": "Mozilla/5.0", "lon": 1.5, "lat": 2.5, "userId": number,
            "lastName": "Last", "firstName": "First", "gender": "F", "registration": first_millisecond,
        }
        for index in range(LINES_OF_AN_OBJECT - 1)
    ]  # fmt: skip
    lines = [*(json.dumps(event) for event in events), "no JSON"]
    key = landed_key(EVENT_TYPE, hour_of_key(HOUR), f"{number:032x}")
    ObjectStore.from_settings(settings).put(key, gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def run_hour(settings: Settings) -> list[str]:
    """Materialize bronze, silver and quarantine of the hour with their checks; what failed, by step and error."""
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            partition_key=HOUR,
            asset_selection=[dg.AssetKey(contract.asset_key) for contract in TABLES],
            instance=instance,
            raise_on_error=False,
        )
    failures = [event for event in result.all_events if event.is_step_failure]
    return [f"{event.step_key}: {event.step_failure_data.error_display_string}" for event in failures]


def run_hour_on_signal(settings: Settings, parent: Connection) -> None:
    """For a process of its own: tells when it begins and how it ended."""
    parent.send("begins")
    parent.send(run_hour(settings))
