"""The datasets: for each Druid datasource the measures that charts use, in SQL with columns in double quotes."""

from __future__ import annotations

from music_platform.serving.superset.axes import PERCENT
from music_platform.serving.superset.bands import PLAYED_SHARE, SESSION_LENGTH, SKIPPED_AFTER, WEEKDAY, plays_between
from music_platform.serving.superset.datasources import TIME
from music_platform.serving.superset.model import ComputedColumn, Dataset, Metric
from music_platform.serving.superset.recommendation_datasets import (
    RECOMMENDATION_QUALITY,
    RECOMMENDATIONS,
    SIMILAR_SONGS,
)
from music_platform.tables.gold.level_funnel import STAGES

_LEVEL_LABELS = {"level": "Level", "state": "State", "state_name": "State"}

STREAMS = Dataset(
    datasource="streams",
    description="One row a listen.",
    metrics=(
        Metric(key="plays", label="Plays", expression="COUNT(*)", description="Songs started."),
        Metric(key="listeners", label="Listeners", expression='COUNT(DISTINCT "user_key")', description="Who played."),
        Metric(key="songs", label="Songs", expression='COUNT(DISTINCT "song_key")', description="Different songs."),
        Metric(
            key="paid_share",
            label="Share of paid plays",
            number_format=PERCENT,
            expression="SUM(CASE WHEN \"level\" = 'paid' THEN 1.0 ELSE 0.0 END) / NULLIF(COUNT(*), 0)",
            description="Plays at level paid among all.",
        ),
        Metric(
            key="skip_rate",
            label="Skip rate",
            number_format=PERCENT,
            expression='SUM("is_skipped") * 1.0 / NULLIF(COUNT("is_skipped"), 0)',
            description="Skipped plays among those of which it is known.",
        ),
        Metric(key="skips", label="Skips", expression='SUM("is_skipped")', description="Plays that were skipped."),
        Metric(
            key="skip_place",
            label="Place",
            expression=f"MIN({PLAYED_SHARE})",
            description="Orders the parts of a song.",
        ),
        Metric(
            key="plays_of_week", label="Last 7 days", expression=plays_between(7, 0), description="Plays, up to now."
        ),
        Metric(key="plays_before", label="7 days before", expression=plays_between(14, 7), description="Plays."),
        Metric(
            key="change_of_week",
            label="Change",
            number_format="+,d",
            expression=f"{plays_between(7, 0)} - {plays_between(14, 7)}",
            description="Plays of the last 7 days less those of the 7 days before.",
        ),
    ),
    computed=(
        ComputedColumn(name="state_code", label="State", expression="'US-' || \"state\""),
        ComputedColumn(name="weekday", label="Weekday", expression=WEEKDAY),
        ComputedColumn(name="hour_of_day", label="Hour, UTC", expression=f"TIME_FORMAT(\"{TIME}\", 'HH')"),
        ComputedColumn(name="skipped_after", label="Skipped after", expression=SKIPPED_AFTER),
    ),
    labels={
        **_LEVEL_LABELS,
        "song": "Song",
        "artist": "Artist",
        "operating_system": "Operating system",
        "browser": "Browser",
    },
)

PAGE_VIEWS = Dataset(
    datasource="page_views",
    description="Page views, rolled up by the hour.",
    metrics=(Metric(key="views", label="Page views", expression='SUM("page_views")'),),
    labels={**_LEVEL_LABELS, "page": "Page"},
)

SESSIONS = Dataset(
    datasource="sessions",
    description="One row a session, at the time when it started.",
    metrics=(
        Metric(key="sessions", label="Sessions", expression="COUNT(*)"),
        Metric(
            key="minutes_per_session", label="Minutes a session", number_format=",.1f",
            expression='SUM("duration_seconds") / 60.0 / NULLIF(COUNT(*), 0)',
            description="From a session's first event to its last.",
        ),
        Metric(
            key="songs_per_session", label="Songs a session", number_format=",.1f",
            expression='SUM("songs") * 1.0 / NULLIF(COUNT(*), 0)',
        ),
        Metric(
            key="hours", label="Hours listened", expression='SUM("played_seconds") / 3600.0',
            description="Of the plays whose end is known.",
        ),
        Metric(
            key="length_place", label="Place", expression='MIN("duration_seconds")', description="Orders the lengths.",
        ),
    ),
    computed=(
        ComputedColumn(name="level", label="Level", expression='"level_at_start"'),
        ComputedColumn(name="length", label="Length", expression=SESSION_LENGTH),
    ),
)  # fmt: skip

DAILY_ENGAGEMENT = Dataset(
    datasource="daily_engagement",
    description="One row a day: how many listeners were active.",
    metrics=(
        Metric(key="active_1_day", label="On the day", expression='MAX("active_1_day")'),
        Metric(key="active_7_days", label="In 7 days", expression='MAX("active_7_days")'),
        Metric(key="active_30_days", label="In 30 days", expression='MAX("active_30_days")'),
    ),
)

RETENTION = Dataset(
    datasource="retention",
    description="Listeners by the week of their registration, day by day.",
    metrics=(
        Metric(
            key="retention", label="Still active", number_format=",.0%",
            expression='SUM("active_users") * 1.0 / NULLIF(SUM("users"), 0)',
            description="Active in the 7 days before, among the cohort's listeners.",
        ),
    ),
    computed=(
        ComputedColumn(
            name="cohort", label="Registered in the week of",
            expression="TIME_FORMAT(MILLIS_TO_TIMESTAMP(\"registration_week\"), 'yyyy-MM-dd')",
        ),
    ),
    labels={"weeks_since_registration": "Weeks since registration"},
)  # fmt: skip

TOP_SONGS = Dataset(
    datasource="top_songs",
    description="Each day's leading songs by plays and by listeners.",
    metrics=(
        Metric(key="plays", label="Plays", expression='SUM("plays")'),
        Metric(key="skips", label="Skips", expression='SUM("skips")'),
        Metric(
            key="skip_rate", label="Skip rate", expression='SUM("skips") * 1.0 / NULLIF(SUM("plays"), 0)',
            number_format=PERCENT,
        ),
    ),
    labels={"title": "Song", "artist": "Artist"},
)  # fmt: skip

_STAGE_LABELS = {
    "active_free": "Active at level free",
    "upgrade_page": "Saw the upgrade page",
    "submit_upgrade": "Submitted the upgrade",
    "became_paid": "Became paid",
    "active_paid": "Active at level paid",
    "downgrade_page": "Saw the downgrade page",
    "submit_downgrade": "Submitted the downgrade",
    "became_free": "Became free",
    "cancel": "Asked to cancel",
    "cancelled": "Cancelled",
}
# Numbered within each way (to paid, to free, out), so that the labels sort as the stages do.
_STAGES_OF_A_WAY = 4
_LABEL_OF_STAGE = " ".join(
    f"WHEN '{stage}' THEN '{number % _STAGES_OF_A_WAY + 1}. {_STAGE_LABELS[stage]}'"
    for number, stage in enumerate(STAGES)
)


def _events_of(key: str, label: str, stage: str) -> Metric:
    expression = f'SUM(CASE WHEN "stage" = \'{stage}\' THEN "events" ELSE 0 END)'
    return Metric(key=key, label=label, expression=expression)


FUNNEL = Dataset(
    datasource="funnel",
    description="What known listeners did on the way from free to paid and back, by day.",
    metrics=(
        Metric(
            key="user_days", label="Listener days", expression='SUM("users")',
            description="Listeners of each day, added up over the days.",
        ),
        Metric(key="stage_place", label="Place", expression='MIN("stage_order")', description="Orders the stages."),
        _events_of("upgrades", "Upgrades", "became_paid"),
        _events_of("downgrades", "Downgrades", "became_free"),
        _events_of("cancellations", "Cancellations", "cancelled"),
    ),
    computed=(ComputedColumn(name="stage_label", label="Stage", expression=f'CASE "stage" {_LABEL_OF_STAGE} END'),),
)  # fmt: skip

LOGINS = Dataset(
    datasource="logins",
    description="One row a day: attempts to log in.",
    metrics=(
        Metric(key="successes", label="Succeeded", expression='SUM("successes")'),
        Metric(key="failures", label="Failed", expression='SUM("failures")'),
        Metric(
            key="success_rate", label="Login success", number_format=PERCENT,
            expression='SUM("successes") * 1.0 / NULLIF(SUM("attempts"), 0)',
        ),
    ),
)  # fmt: skip


_LATE_SECONDS = 24 * 3600


def _rows_of(layer: str) -> str:
    return f'SUM(CASE WHEN "layer" = \'{layer}\' THEN "row_count" ELSE 0 END)'


PIPELINE = Dataset(
    datasource="pipeline",
    description="One row an hour, layer and table, in quarantine also a rule.",
    metrics=(
        Metric(key="total_rows", label="Rows", expression='SUM("row_count")'),
        Metric(key="landed_rows", label="Landed lines", expression=_rows_of("bronze")),
        Metric(key="quarantined_rows", label="Quarantined rows", expression=_rows_of("quarantine")),
        Metric(
            key="quarantine_rate", label="Quarantine rate", number_format=",.2%",
            expression=f"{_rows_of('quarantine')} * 1.0 / NULLIF({_rows_of('bronze')}, 0)",
            description="Quarantined rows among the landed lines.",
        ),
        Metric(
            key="usual_lag", label="Usual lag", number_format="DURATION",  # of milliseconds
            expression='ROUND(APPROX_QUANTILE_DS("lag_seconds", 0.5, 1024)) * 1000',
            description="From the landing of an hour's last object to its publishing: the median of tables and hours.",
        ),
        Metric(
            key="longest_lag", label="Longest lag, hours", number_format=",.2~f", expression='MAX("lag_seconds") / 3600.0',
            description="From the landing of an hour's last object to the last publishing of its slowest table.",
        ),
        Metric(
            key="late_hours", label="Hours landed late",
            expression=f'COUNT(DISTINCT CASE WHEN "arrival_seconds" >= {_LATE_SECONDS} THEN "{TIME}" END)',
            description="Hours of which an object landed more than a day after their end.",
        ),
        Metric(key="total_bytes", label="Bytes", number_format=".3~s", expression='SUM("byte_count")'),
        Metric(key="newest_hour", label="Newest hour", expression=f"TIME_FORMAT(MAX(\"{TIME}\"), 'yyyy-MM-dd HH:mm')"),
    ),
    labels={"layer": "Layer", "table_name": "Table", "rule": "Rule"},
)  # fmt: skip

DATASETS: tuple[Dataset, ...] = (
    STREAMS, PAGE_VIEWS, SESSIONS, DAILY_ENGAGEMENT, RETENTION, TOP_SONGS, FUNNEL, LOGINS, PIPELINE, RECOMMENDATIONS,
    SIMILAR_SONGS, RECOMMENDATION_QUALITY,
)  # fmt: skip
