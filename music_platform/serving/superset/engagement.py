"""The dashboard Engagement: how many listeners come, how long they stay, and whether they come back."""

from music_platform.serving.superset.axes import DAY
from music_platform.serving.superset.chart_queries import Where
from music_platform.serving.superset.charts import big_number, heat_map, time_series
from music_platform.serving.superset.datasets import DAILY_ENGAGEMENT, RETENTION, SESSIONS, STREAMS, TOP_SONGS
from music_platform.serving.superset.listening import LEVEL_COLORS
from music_platform.serving.superset.model import Dashboard, ValueFilter, even_row
from music_platform.serving.superset.tables import stages, table

_MOST_WEEKS = 12

ENGAGEMENT = Dashboard(
    slug="engagement",
    title="Engagement",
    description="How many listeners come, how long they stay, and whether they come back.",
    label_colors=LEVEL_COLORS,
    filters=(
        ValueFilter(
            name="Level",
            column="level",
            dataset=SESSIONS,
            description="Subscription level; acts on sessions, listening time and skips.",
        ),
    ),
    rows=(
        even_row(
            18,
            big_number("sessions", "Sessions", "How many sessions were there?", SESSIONS, "sessions"),
            big_number(
                "minutes_per_session",
                "Minutes a session",
                "How long does a session last, on average?",
                SESSIONS,
                "minutes_per_session",
            ),
            big_number(
                "songs_per_session",
                "Songs a session",
                "How many songs are started in a session, on average?",
                SESSIONS,
                "songs_per_session",
            ),
            big_number("hours", "Hours listened", "How much was listened in all?", SESSIONS, "hours"),
        ),
        even_row(
            40,
            time_series(
                "active_listeners",
                "Active listeners",
                "How many listeners were active on each day, and in the 7 and 30 days that end with it?",
                DAILY_ENGAGEMENT,
                ["active_1_day", "active_7_days", "active_30_days"],
                grain=DAY,
                axis_title="Listeners",
            ),
            heat_map(
                "retention",
                "Retention: weeks since registration, by week of registration",
                "Of those who registered in a week, what share was still active some weeks later?",
                RETENTION,
                across="weeks_since_registration",
                down="cohort",
                metric="retention",
                where=Where().at_least("weeks_since_registration", 0).at_most("weeks_since_registration", _MOST_WEEKS),
            ),
        ),
        even_row(
            40,
            time_series(
                "sessions_by_day",
                "Sessions by day",
                "How many sessions started on each day, by the level at their start?",
                SESSIONS,
                ["sessions"],
                grain=DAY,
                split_by="level",
                kind="bar",
                axis_title="Sessions a day",
            ),
            time_series(
                "hours_by_day",
                "Listening time by day",
                "How many hours were listened on each day, by the level at the session's start?",
                SESSIONS,
                ["hours"],
                grain=DAY,
                split_by="level",
                kind="bar",
                axis_title="Hours a day",
            ),
        ),
        even_row(
            36,
            stages(
                "session_lengths",
                "How long sessions last",
                "How many sessions last how long, from their first event to their last?",
                SESSIONS,
                "length",
                ["sessions"],
                order="length_place",
                where=Where().is_known("duration_seconds"),
            ),
            stages(
                "skip_positions",
                "Where songs are skipped",
                "After how much of a song is it skipped?",
                STREAMS,
                "skipped_after",
                ["skips"],
                order="skip_place",
                where=Where().at_least("is_skipped", 1).is_known("played_seconds"),
            ),
        ),
        even_row(
            44,
            time_series(
                "skip_rate",
                "Skip rate by day",
                "What share of the plays was skipped before the song's end?",
                STREAMS,
                ["skip_rate"],
                grain=DAY,
                split_by="level",
                axis_title="Share of plays",
            ),
            table(
                "skipped_songs",
                "Most skipped of the top songs",
                "Which of the days' leading songs are skipped the most?",
                TOP_SONGS,
                ["title", "artist"],
                ["skips", "plays", "skip_rate"],
                most=8,
            ),
        ),
    ),
)
