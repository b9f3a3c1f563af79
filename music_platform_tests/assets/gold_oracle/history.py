"""The whole history as frames: each event once, in silver's columns, with its keys. Text is good as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from ua_parser import parse

from music_platform.partitions import hour_of_key, key_of_hour
from music_platform.tables.contract import ColumnType
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform_tests.assets.gold_oracle.keys import event_id, location_key, song_key, surrogate_key, user_key

ONE_DAY = pd.Timedelta(days=1)
_STATE_NAMES = {"TX": "Texas", "MA": "Massachusetts", "NY": "New York"}  # of the states that plans take places from


@dataclass(frozen=True)
class Event:
    """One event as its producer writes it."""

    event_type: str
    record: dict[str, Any]

    @property
    def hour(self) -> str:
        """The hourly partition in which it happened."""
        return key_of_hour(pd.Timestamp(self.record["ts"], unit="ms", tz="UTC").floor("h").to_pydatetime())


@dataclass(frozen=True)
class History:
    """All events of all the days, in any order, some of them several times; and the rows of a song catalogue."""

    events: Sequence[Event]
    days: Sequence[str]
    catalogue: Sequence[dict[str, Any]] = ()

    @property
    def starts_of_days(self) -> list[pd.Timestamp]:
        return [pd.Timestamp(day, tz="UTC") for day in self.days]

    @cached_property
    def page_views(self) -> pd.DataFrame:
        return self._of_type("page_view_events")

    @cached_property
    def listens(self) -> pd.DataFrame:
        return self._of_type("listen_events")

    @cached_property
    def auths(self) -> pd.DataFrame:
        return self._of_type("auth_events")

    @cached_property
    def status_changes(self) -> pd.DataFrame:
        return self._of_type("status_change_events")

    def _of_type(self, event_type: str) -> pd.DataFrame:
        return _frame_of(event_type, [event.record for event in self.events if event.event_type == event_type])


def _frame_of(event_type: str, records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    fields = EVENT_CONTRACTS[event_type].fields
    rows = [
        {"event_id": event_id(event_type, record)} | {field.column.name: record.get(field.key) for field in fields}
        for record in records
    ]
    names = ["event_id", *(field.column.name for field in fields)]
    frame = pd.DataFrame(rows, columns=names, dtype=object).drop_duplicates("event_id", ignore_index=True)
    for field in fields:
        name = field.column.name
        if field.column.type is ColumnType.TIMESTAMP:
            frame[name] = pd.to_datetime(frame[name].astype("Int64"), unit="ms", utc=True)
        elif field.column.type is ColumnType.DOUBLE:
            frame[name] = frame[name].astype("float64")
        elif field.column.type in (ColumnType.LONG, ColumnType.INTEGER):
            frame[name] = frame[name].astype("Int64")
    return _with_keys(frame)


def _with_keys(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    agents = [parse(row["user_agent"]) for row in rows]
    return frame.assign(
        user_key=[user_key(row.get("user_id")) for row in rows],
        song_key=[song_key(row.get("artist"), row.get("song"), row.get("duration_seconds")) for row in rows],
        artist_key=[surrogate_key(row.get("artist")) for row in rows],
        location_key=[
            location_key(row["zip"], row["city"], row["state"], row["latitude"], row["longitude"]) for row in rows
        ],
        session_key=[surrogate_key(row["session_id"], row["tag"], row["zip"], row["user_agent"]) for row in rows],
        datetime_key=[int(f"{row['event_time']:%Y%m%d%H}") for row in rows],
        hour_time=frame["event_time"].dt.floor("h"),
        day=frame["event_time"].dt.floor("D"),
        state_name=frame["state"].map(_STATE_NAMES).fillna("Unknown"),
        device=[agent.device.family if agent.device else "Other" for agent in agents],
        operating_system=[agent.os.family if agent.os else "Other" for agent in agents],
        browser=[agent.user_agent.family if agent.user_agent else "Other" for agent in agents],
    )


def days_between(hours: Iterable[str]) -> list[str]:
    """Every day from the first of the hours to the last."""
    moments = [hour_of_key(hour) for hour in hours]
    return [f"{day:%Y-%m-%d}" for day in pd.date_range(min(moments).date(), max(moments).date())]
