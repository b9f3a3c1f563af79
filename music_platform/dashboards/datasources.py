"""The Druid datasources that dashboards ask, with the columns that they may use: the one place that says so.

Types are Druid's: a boolean is 1, 0 or null, a moment other than the row's own is milliseconds since 1970 (UTC).
"""

from __future__ import annotations

from music_platform.contracts.aggregates import (
    ACTIVE_USERS,
    LEVEL_FUNNEL,
    LOGIN_SUCCESS,
    RETENTION_COHORTS,
    TOP_SONGS,
)
from music_platform.contracts.facts import FACT_PAGE_VIEWS, FACT_SESSIONS, FACT_STREAMS
from music_platform.contracts.table import ColumnType, TableContract

TIME = "__time"
_TYPES = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.LONG: "BIGINT",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.DOUBLE: "DOUBLE",
    ColumnType.BOOLEAN: "BIGINT",
    ColumnType.TIMESTAMP: "BIGINT",
}


def _columns(contract: TableContract, *names: str, **others: str) -> dict[str, str]:
    return {TIME: "TIMESTAMP"} | {name: _TYPES[contract.column(name).type] for name in names} | others


_PLACE_AND_DEVICE = ("state", "state_name", "device", "operating_system", "browser")

DATASOURCES: dict[str, dict[str, str]] = {
    "streams": _columns(
        FACT_STREAMS, "user_key", "song_key", "artist", "song", "level", "gender", "city", *_PLACE_AND_DEVICE,
        "duration_seconds", "played_seconds", "is_skipped",
    ),
    "page_views": _columns(
        FACT_PAGE_VIEWS, "page", "auth", "method", "status", "level", *_PLACE_AND_DEVICE,
        page_views="BIGINT",  # rolled up by the hour
    ),
    "sessions": _columns(
        FACT_SESSIONS, "session_key", "user_key", "entry_page", "exit_page", "level_at_start", "level_at_end",
        "duration_seconds", "page_views", "pages", "songs", "skips", "played_seconds", "errors", "is_converted",
        "is_downgraded", "is_cancelled",
    ),
    "daily_engagement": _columns(ACTIVE_USERS, "active_1_day", "active_7_days", "active_30_days", "users"),
    "retention": _columns(
        RETENTION_COHORTS, "registration_week", "weeks_since_registration", "users", "active_users", "retention"
    ),
    "top_songs": _columns(
        TOP_SONGS, "plays_rank", "listeners_rank", "song_key", "title", "artist", "plays", "listeners", "played_seconds",
        "skips",
    ),
    "funnel": _columns(LEVEL_FUNNEL, "stage", "stage_order", "users", "sessions", "events"),
    "logins": _columns(LOGIN_SUCCESS, "attempts", "successes", "failures", "overcounted", "success_rate"),
    # One row an hour, layer and table, in quarantine also a rule: what the manifests of the hour's partitions say.
    "pipeline": {
        TIME: "TIMESTAMP",
        "layer": "VARCHAR",
        "table_name": "VARCHAR",
        "rule": "VARCHAR",
        "row_count": "BIGINT",
        "byte_count": "BIGINT",
        "lag_seconds": "DOUBLE",  # from the hour's end to the partition's publishing
    },
}  # fmt: skip
