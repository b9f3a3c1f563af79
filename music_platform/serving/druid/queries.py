"""The questions that dashboards ask of the datasources, in Druid SQL: what the smoke checks run and the benchmark measures.

Each is asked of an interval of time, which a caller gives.
"""

from __future__ import annotations

from dataclasses import dataclass

from music_platform.serving.druid.ingestion_spec import SKETCH_LG_K

_INTERVAL = "{interval}"


@dataclass(frozen=True)
class DashboardQuery:
    """A named query of one datasource."""

    name: str
    datasource: str
    question: str
    template: str

    def sql(self, interval: str) -> str:
        """The query for an ISO 8601 interval."""
        return self.template.replace(_INTERVAL, within(interval))


def within(interval: str) -> str:
    """The condition, in Druid SQL, that a row lies in an ISO 8601 interval."""
    start, end = (moment.replace("T", " ").removesuffix("Z") for moment in interval.split("/"))
    return f"__time >= TIMESTAMP '{start}' AND __time < TIMESTAMP '{end}'"


def _query(name: str, datasource: str, question: str, select: str, then: str = "") -> DashboardQuery:
    template = f'SELECT {select}\nFROM "{datasource}"\nWHERE {_INTERVAL}\n{then}'
    return DashboardQuery(name, datasource, question, template)


_QUERIES = (
    _query(
        "plays_by_hour",
        "streams",
        "How many songs are started hour by hour, and by how many listeners?",
        "TIME_FLOOR(__time, 'PT1H') AS \"hour\", COUNT(*) AS plays, APPROX_COUNT_DISTINCT_DS_HLL(user_key) AS listeners",
        "GROUP BY 1 ORDER BY 1",
    ),
    _query(
        "plays_by_state",
        "streams",
        "Where do listeners listen?",
        "state_name, COUNT(*) AS plays, SUM(played_seconds) / 3600 AS hours_played",
        "GROUP BY 1 ORDER BY 2 DESC",
    ),
    _query(
        "plays_by_level",
        "streams",
        "How much do free and paid listeners listen, and skip?",
        "level, COUNT(*) AS plays, SUM(played_seconds) / 3600 AS hours_played, AVG(CAST(is_skipped AS DOUBLE)) AS skip_rate",
        "GROUP BY 1 ORDER BY 1",
    ),
    _query(
        "plays_by_device",
        "streams",
        "On what devices do they listen?",
        "operating_system, browser, COUNT(*) AS plays",
        "GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20",
    ),
    _query(
        "top_songs",
        "top_songs",
        "Which songs lead, over all the days?",
        "title, artist, SUM(plays) AS plays",
        "GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10",
    ),
    _query(
        "top_artists",
        "top_artists",
        "Which artists lead, over all the days?",
        "artist, SUM(plays) AS plays",
        "GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
    ),
    _query(
        "pages_by_hour",
        "page_views",
        "Which pages are viewed, hour by hour, and by how many users?",
        # Sketches are merged as finely as they are stored: Druid's default is finer, and takes longer.
        '__time AS "hour", page, SUM(page_views) AS page_views, '
        f"HLL_SKETCH_ESTIMATE(DS_HLL(users, {SKETCH_LG_K}), TRUE) AS users",
        "GROUP BY 1, 2 ORDER BY 1, 3 DESC",
    ),
    _query(
        "errors_by_hour",
        "page_views",
        "How often does a page end in an error?",
        "__time AS \"hour\", SUM(page_views) FILTER (WHERE status = 404 OR page = 'Error') AS errors, "
        "SUM(page_views) AS page_views",
        "GROUP BY 1 ORDER BY 1",
    ),
    _query(
        "session_length",
        "sessions",
        "How long are sessions, and how much is listened in one?",
        "TIME_FLOOR(__time, 'P1D') AS \"day\", COUNT(*) AS sessions, "
        "APPROX_QUANTILE_DS(duration_seconds, 0.5) / 60 AS median_minutes, AVG(songs) AS songs_a_session",
        "GROUP BY 1 ORDER BY 1",
    ),
    _query(
        "active_users",
        "daily_engagement",
        "How many listeners are active, by day, week and month?",
        '__time AS "day", active_1_day, active_7_days, active_30_days',
        "ORDER BY __time",
    ),
    _query(
        "retention",
        "retention",
        "Of those who registered in a week, how many are still active, week by week?",
        "registration_week, weeks_since_registration, MAX(active_users) AS active_users, MAX(users) AS users",
        "GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    _query(
        "funnel",
        "funnel",
        "How many go from free to paid, and back?",
        "stage, SUM(users) AS users, SUM(events) AS events",
        "GROUP BY stage ORDER BY MIN(stage_order)",
    ),
    _query(
        "login_success",
        "logins",
        "How many attempts to log in succeed?",
        '__time AS "day", attempts, successes, success_rate',
        "ORDER BY __time",
    ),
    _query(
        "rows_by_layer",
        "pipeline",
        "How many rows does each layer hold of each hour, and how late were they published?",
        '__time AS "hour", layer, SUM(row_count) AS row_count, MAX(lag_seconds) / 60 AS lag_minutes',
        "GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    _query(
        "quarantine_reasons",
        "pipeline",
        "Which rules are broken the most?",
        "rule, SUM(row_count) AS row_count",
        "AND rule IS NOT NULL GROUP BY 1 ORDER BY 2 DESC",
    ),
    _query(
        "most_offered_songs",
        "recommendations",
        "Which songs stand in the most lists?",
        "title, artist, COUNT(*) AS lists",
        "GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10",
    ),
    _query(
        "most_similar_songs",
        "similar_songs",
        "Which songs are the most alike?",
        "title, artist, similar_title, similar_artist, MAX(similarity) AS similarity",
        "GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC LIMIT 10",
    ),
    _query(
        "recommendation_quality",
        "recommendation_quality",
        "How good were the lists, and how much better than popularity's?",
        '__time AS "day", model, weight, ndcg_at_10, gain_over_popularity, gain_standard_error',
        "ORDER BY __time",
    ),
)
QUERIES: dict[str, DashboardQuery] = {query.name: query for query in _QUERIES}
