"""One row per page view, with its keys."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame

from music_platform.tables.columns import (
    DATETIME_KEY,
    EVENT_ID,
    LOCATION_KEY,
    SESSION_KEY,
    SONG_KEY,
    USER_AGENT_COLUMNS,
    USER_KEY,
)
from music_platform.tables.contract import Layer, TableContract
from music_platform.tables.events.page_view_events import PAGE_VIEW_EVENTS
from music_platform.tables.frames import columns_of
from music_platform.tables.gold.fact_streams import PLACE, STATE_NAME
from music_platform.tables.gold_table import GoldTable, silver
from music_platform.tables.reconciliations import holds_every_row
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.keys import with_keys

FACT_PAGE_VIEWS = TableContract(
    layer=Layer.GOLD,
    name="fact_page_views",
    description="One row a page view; a song that starts is a view of the page NextSong.",
    columns=(
        EVENT_ID, *PAGE_VIEW_EVENTS.columns("event_time"), USER_KEY,
        replace(SONG_KEY, description="Song in dim_songs; the unknown member on a page without a song."),
        LOCATION_KEY, SESSION_KEY, DATETIME_KEY,
        *PAGE_VIEW_EVENTS.columns("session_id", "item_in_session", "page", "auth", "method", "status", "level",
        "user_id", "registered_at"), *PLACE, STATE_NAME, *USER_AGENT_COLUMNS,
    ),
    partition_column="event_time",
    sort_columns=("event_time", "event_id"),
    unique_columns=("event_id",),
)  # fmt: skip


def fact_page_views(page_views: DataFrame) -> DataFrame:
    """Silver's page views with their keys."""
    return columns_of(with_keys(page_views), FACT_PAGE_VIEWS)


TABLE = GoldTable(
    FACT_PAGE_VIEWS,
    lambda frames: fact_page_views(frames["page_view_events"]),
    silver("page_view_events"),
    reconciliations=[holds_every_row("silver", SILVER["page_view_events"])],
    is_row_by_row=True,
)
