"""Every gold table: its contract, what it is made from, and the transform that makes it.

Add a table here and it is an asset with checks, lineage and a place in the dictionary. How it is run stands in gold.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import DataFrame, SparkSession

from music_platform.lake.song_catalogue import read_catalogue
from music_platform.settings import Settings
from music_platform.tables.aggregates import (
    ACTIVE_USERS,
    HOURLY_PLAYS,
    LEVEL_FUNNEL,
    LOGIN_SUCCESS,
    RETENTION_COHORTS,
    TOP_ARTISTS,
    TOP_SONGS,
    USER_ACTIVITY,
    USER_SONG_INTERACTIONS,
)
from music_platform.tables.catalogue import SILVER
from music_platform.tables.contract import TableContract
from music_platform.tables.dimensions import DIM_ARTISTS, DIM_DATETIME, DIM_LOCATIONS, DIM_SONGS, DIM_USERS
from music_platform.tables.facts import FACT_PAGE_VIEWS, FACT_PLAYS, FACT_SESSIONS, FACT_STREAMS, SESSION_DAYS
from music_platform.tables.transforms import aggregates, dimensions, facts


@dataclass(frozen=True)
class Input:
    """A table that another is made from. A daily table reads its day of it, and so many days around."""

    contract: TableContract
    days_before: int = 0
    days_after: int = 0


@dataclass(frozen=True)
class Frames:
    """What a transform is given: its inputs' rows, of the partitions that are made and the days around them.

    ``previous`` is the table's own day before; None for tables that do not carry forward, and at the beginning of history.
    """

    inputs: Mapping[str, DataFrame]
    previous: DataFrame | None
    partitions: Sequence[str]
    spark: SparkSession
    settings: Settings

    def __getitem__(self, name: str) -> DataFrame:
        return self.inputs[name]

    def catalogue(self) -> DataFrame | None:
        """The song catalogue of the settings, in catalogue_seed's columns; None without one."""
        if not self.settings.song_catalogue:
            return None
        return self.spark.createDataFrame(read_catalogue(self.settings.song_catalogue))

    @property
    def day(self) -> str:
        """The one day that is made, of a table that carries forward."""
        [day] = self.partitions
        return day


@dataclass(frozen=True)
class GoldTable:
    """``version`` is raised when the same input comes to give other rows.

    ``is_row_by_row`` where each row is made of one row of the one input, and lies in the same partition.
    """

    contract: TableContract
    transform: Callable[[Frames], DataFrame]
    inputs: dict[str, Input] = field(default_factory=dict)
    carries_forward: bool = False
    is_row_by_row: bool = False
    version: str = "1"


def _silver(*names: str) -> dict[str, Input]:
    return {name: Input(SILVER[name]) for name in names}


def _events(frames: Frames) -> dict[str, DataFrame]:
    """The four event types, by the names that the dimensions know them by."""
    return {
        "page_views": frames["page_view_events"],
        "listens": frames["listen_events"],
        "auths": frames["auth_events"],
        "status_changes": frames["status_change_events"],
    }


def _union(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(DataFrame.union, frames)


_TABLES = (
    GoldTable(
        FACT_STREAMS,
        lambda frames: facts.fact_streams(frames["listen_events"], frames["page_view_events"]),
        _silver("listen_events", "page_view_events"),
    ),
    GoldTable(
        FACT_PAGE_VIEWS,
        lambda frames: facts.fact_page_views(frames["page_view_events"]),
        _silver("page_view_events"),
        is_row_by_row=True,
    ),
    GoldTable(
        FACT_PLAYS,
        lambda frames: facts.fact_plays(frames["streams"], frames["page_views"], frames.partitions),
        {"streams": Input(FACT_STREAMS, days_after=1), "page_views": Input(FACT_PAGE_VIEWS, days_after=1)},
    ),
    GoldTable(
        SESSION_DAYS,
        lambda frames: facts.session_days(frames["page_views"], frames["plays"]),
        {"page_views": Input(FACT_PAGE_VIEWS), "plays": Input(FACT_PLAYS)},
    ),
    GoldTable(
        FACT_SESSIONS,
        lambda frames: facts.fact_sessions(frames["session_days"], frames.partitions),
        {"session_days": Input(SESSION_DAYS, days_before=1, days_after=facts.DAYS_AFTER_THE_START)},
    ),
    GoldTable(
        DIM_USERS,
        lambda frames: dimensions.dim_users(frames.previous, **_events(frames), day=frames.day),
        _silver(*SILVER),
        carries_forward=True,
    ),
    GoldTable(
        DIM_SONGS,
        lambda frames: dimensions.dim_songs(frames.previous, frames["listen_events"], frames.catalogue(), frames.day),
        _silver("listen_events"),
        carries_forward=True,
        version="2",
    ),
    GoldTable(
        DIM_ARTISTS,
        lambda frames: dimensions.dim_artists(frames.previous, frames["listen_events"], frames.catalogue(), frames.day),
        _silver("listen_events"),
        carries_forward=True,
        version="2",
    ),
    GoldTable(
        DIM_LOCATIONS,
        lambda frames: dimensions.dim_locations(frames.previous, **_events(frames), day=frames.day),
        _silver(*SILVER),
        carries_forward=True,
    ),
    GoldTable(
        DIM_DATETIME, lambda frames: _union(dimensions.dim_datetime(frames.spark, day) for day in frames.partitions)
    ),
    GoldTable(
        USER_ACTIVITY,
        lambda frames: aggregates.user_activity(frames.previous, frames["plays"], frames["page_views"], frames.day),
        {"plays": Input(FACT_PLAYS), "page_views": Input(FACT_PAGE_VIEWS)},
        carries_forward=True,
    ),
    GoldTable(
        ACTIVE_USERS,
        lambda frames: aggregates.active_users(frames["user_activity"], frames.partitions),
        {"user_activity": Input(USER_ACTIVITY)},
    ),
    GoldTable(
        RETENTION_COHORTS,
        lambda frames: aggregates.retention_cohorts(frames["user_activity"]),
        {"user_activity": Input(USER_ACTIVITY)},
    ),
    GoldTable(
        TOP_SONGS,
        lambda frames: aggregates.top_songs(frames["plays"], frames["songs"]),
        {"plays": Input(FACT_PLAYS), "songs": Input(DIM_SONGS)},
    ),
    GoldTable(
        TOP_ARTISTS,
        lambda frames: aggregates.top_artists(frames["plays"], frames["artists"]),
        {"plays": Input(FACT_PLAYS), "artists": Input(DIM_ARTISTS)},
    ),
    GoldTable(HOURLY_PLAYS, lambda frames: aggregates.hourly_plays(frames["plays"]), {"plays": Input(FACT_PLAYS)}),
    GoldTable(
        LEVEL_FUNNEL,
        lambda frames: aggregates.level_funnel(frames["page_views"], frames["status_change_events"], frames.partitions),
        {"page_views": Input(FACT_PAGE_VIEWS)} | _silver("status_change_events"),
    ),
    GoldTable(
        LOGIN_SUCCESS,
        lambda frames: aggregates.login_success(frames["auth_events"], frames["page_views"], frames.partitions),
        {"page_views": Input(FACT_PAGE_VIEWS)} | _silver("auth_events"),
    ),
    GoldTable(
        USER_SONG_INTERACTIONS,
        lambda frames: aggregates.user_song_interactions(frames.previous, frames["plays"], frames.day),
        {"plays": Input(FACT_PLAYS)},
        carries_forward=True,
    ),
)
GOLD_TABLES: dict[str, GoldTable] = {table.contract.path: table for table in _TABLES}
