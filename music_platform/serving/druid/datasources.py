"""Every Druid datasource: which table it serves, of gold or of the recommendations, with which of its columns, and how its
segments are cut.

Add a datasource here and it is an asset with checks, an ingestion spec in druid/datasources/ and a place in docs/serving.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from music_platform.tables.columns import UNKNOWN_KEY
from music_platform.tables.contract import Cadence, Column, TableContract
from music_platform.tables.gold.active_users import ACTIVE_USERS
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_sessions import FACT_SESSIONS
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.gold.level_funnel import LEVEL_FUNNEL
from music_platform.tables.gold.login_success import LOGIN_SUCCESS
from music_platform.tables.gold.pipeline import PIPELINE
from music_platform.tables.gold.retention_cohorts import RETENTION_COHORTS
from music_platform.tables.gold.top_artists import TOP_ARTISTS
from music_platform.tables.gold.top_songs import TOP_SONGS
from music_platform.tables.recommendations.evaluation import EVALUATION
from music_platform.tables.recommendations.recommendations_by_name import RECOMMENDATIONS_BY_NAME
from music_platform.tables.recommendations.similar_songs_by_name import SIMILAR_SONGS_BY_NAME


class Granularity(StrEnum):
    """How Druid truncates time, by its own names."""

    NONE = "NONE"
    HOUR = "HOUR"
    DAY = "DAY"


@dataclass(frozen=True, kw_only=True)
class DistinctCount:
    """An HLL sketch of how many values a column has among the rows that were rolled up; ``unknown`` is not counted.

    Source: https://druid.apache.org/docs/latest/development/extensions-core/datasketches-hll
    """

    name: str
    column: str
    unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class Datasource:
    """A datasource of the rows of one table of gold or of the recommendations, partition by partition.

    ``columns`` are the table's columns that it holds, without its time. Where ``row_count`` names a metric the rows are rolled
    up by the other columns and ``query_granularity``; ``distinct_counts`` are kept as sketches beside it. ``keeps_days``
    is how many days it keeps of a daily table, the last published one among them; None keeps all. ``version`` is raised when the
    same rows of the table come to give other segments.
    """

    name: str
    contract: TableContract
    description: str
    columns: tuple[str, ...]
    query_granularity: Granularity = Granularity.NONE
    row_count: str | None = None
    distinct_counts: tuple[DistinctCount, ...] = ()
    keeps_days: int | None = None
    version: str = "1"

    @property
    def asset_key(self) -> list[str]:
        return ["druid", self.name]

    @property
    def path(self) -> str:
        """``druid/<name>``: the asset key joined by a slash."""
        return f"druid/{self.name}"

    @property
    def time_column(self) -> str:
        """The gold column that becomes ``__time``: the one that partitions the table."""
        return self.contract.partition_column

    @property
    def segment_granularity(self) -> Granularity:
        """A segment a partition, so that a partition is replaced as a whole and no other with it."""
        return Granularity.HOUR if self.contract.cadence is Cadence.HOURLY else Granularity.DAY

    @property
    def is_rolled_up(self) -> bool:
        return self.row_count is not None

    @property
    def dimensions(self) -> tuple[Column, ...]:
        """The columns of the contract that it holds."""
        return tuple(self.contract.column(name) for name in self.columns)

    @property
    def rows_expression(self) -> str:
        """In Druid SQL, how many of gold's rows the rows stand for."""
        return f'COALESCE(SUM("{self.row_count}"), 0)' if self.is_rolled_up else "COUNT(*)"


_PLACE_AND_DEVICE = ("state", "state_name", "device", "operating_system", "browser")

_DATASOURCES = (
    Datasource(
        name="streams",
        contract=FACT_STREAMS,
        description="One row a listen, for whatever question of who listened to what, when and where.",
        columns=(
            "user_key", "song_key", "session_key", "artist", "song", "level", "gender", "city", "latitude", "longitude",
            *_PLACE_AND_DEVICE, "duration_seconds", "played_seconds", "is_skipped",
        ),
    ),
    Datasource(
        name="page_views",
        contract=FACT_PAGE_VIEWS,
        description="Page views rolled up by the hour; distinct users and sessions as sketches.",
        columns=("page", "auth", "method", "status", "level", *_PLACE_AND_DEVICE),
        query_granularity=Granularity.HOUR,
        row_count="page_views",
        distinct_counts=(
            DistinctCount(name="users", column="user_key", unknown=UNKNOWN_KEY),
            DistinctCount(name="sessions", column="session_key"),
        ),
        version="2",
    ),
    Datasource(
        name="sessions",
        contract=FACT_SESSIONS,
        description="One row a session, at the time when it started.",
        columns=(
            "session_key", "user_key", "entry_page", "exit_page", "level_at_start", "level_at_end", "duration_seconds",
            "page_views", "pages", "songs", "skips", "played_seconds", "errors", "is_converted", "is_downgraded",
            "is_cancelled",
        ),
    ),
    Datasource(
        name="daily_engagement",
        contract=ACTIVE_USERS,
        description="One row a day: listeners active on it, in the week and in the 30 days that end with it, exactly.",
        columns=("active_1_day", "active_7_days", "active_30_days", "users"),
    ),
    Datasource(
        name="retention",
        contract=RETENTION_COHORTS,
        description="Listeners by the week of their registration, and how many of them are active, day by day.",
        columns=("registration_week", "weeks_since_registration", "users", "active_users", "retention"),
    ),
    Datasource(
        name="top_songs",
        contract=TOP_SONGS,
        description="The day's leading songs by plays and by listeners.",
        columns=("plays_rank", "listeners_rank", "song_key", "title", "artist", "plays", "listeners", "played_seconds",
                 "skips"),
    ),
    Datasource(
        name="top_artists",
        contract=TOP_ARTISTS,
        description="The day's leading artists by plays and by listeners.",
        columns=("plays_rank", "listeners_rank", "artist_key", "artist", "plays", "listeners", "played_seconds", "skips"),
    ),
    Datasource(
        name="funnel",
        contract=LEVEL_FUNNEL,
        description="Listeners at each stage from free to paid and back, by day.",
        columns=("stage", "stage_order", "users", "sessions", "events"),
    ),
    Datasource(
        name="logins",
        contract=LOGIN_SUCCESS,
        description="One row a day: attempts to log in and how many succeeded.",
        columns=("attempts", "successes", "failures", "overcounted", "success_rate"),
    ),
    Datasource(
        name="pipeline",
        contract=PIPELINE,
        description="One row an hour and hourly table, in quarantine one for each rule: rows, bytes and lag.",
        columns=("layer", "table_name", "rule", "row_count", "byte_count", "lag_seconds", "arrival_seconds"),
    ),
    Datasource(
        name="recommendations",
        contract=RECOMMENDATIONS_BY_NAME,
        description="The first songs that each listener is offered, by name; the last days alone.",
        columns=("user_key", "user_id", "rank", "song_key", "title", "artist", "source", "weight"),
        keeps_days=3,
    ),
    Datasource(
        name="similar_songs",
        contract=SIMILAR_SONGS_BY_NAME,
        description="The songs most similar to each song, by name; the last day alone.",
        columns=("song_key", "title", "artist", "rank", "similar_song_key", "similar_title", "similar_artist", "similarity"),
        keeps_days=1,
    ),
    Datasource(
        name="recommendation_quality",
        contract=EVALUATION,
        description="What the lists of the day before were worth on each day, beside popularity's and the model's alone.",
        columns=(
            "model", "weight", "judged_listeners", "ndcg_at_10", "map_at_10", "recall_at_20", "recall_at_50",
            "hit_rate_at_10", "coverage_at_10", "novelty_at_10", "gain_over_popularity", "gain_standard_error",
        ),
    ),
)  # fmt: skip
DATASOURCES: dict[str, Datasource] = {datasource.name: datasource for datasource in _DATASOURCES}
