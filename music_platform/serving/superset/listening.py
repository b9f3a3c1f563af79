"""The dashboard Listening: what is played, when, where, by whom and on what."""

from music_platform.serving.superset.axes import HOUR
from music_platform.serving.superset.charts import big_number, heat_map, share, state_map, time_series
from music_platform.serving.superset.datasets import STREAMS
from music_platform.serving.superset.model import Dashboard, ValueFilter, even_row
from music_platform.serving.superset.tables import ranking, table

LEVEL_COLORS = {"paid": "#1f77b4", "free": "#f2a93b"}

LISTENING = Dashboard(
    slug="listening",
    title="Listening",
    description="What is played, when, where, by whom and on what.",
    label_colors=LEVEL_COLORS,
    filters=(
        ValueFilter(name="Level", column="level", dataset=STREAMS, description="Subscription level at the play."),
        ValueFilter(name="State", column="state", dataset=STREAMS, description="US state of the listener."),
    ),
    rows=(
        even_row(
            18,
            big_number("plays", "Plays", "How many songs were started?", STREAMS, "plays"),
            big_number("listeners", "Listeners", "How many listeners played them?", STREAMS, "listeners"),
            big_number("songs", "Songs", "How many different songs were they?", STREAMS, "songs"),
            big_number("paid_share", "Paid plays", "What share of the plays was at level paid?", STREAMS, "paid_share"),
        ),
        even_row(
            40,
            time_series(
                "plays_by_hour",
                "Plays by hour",
                "When is music played, and how much of it at each level?",
                STREAMS,
                ["plays"],
                grain=HOUR,
                split_by="level",
                kind="bar",
                axis_title="Plays an hour",
            ),
            share(
                "plays_by_level",
                "Free against paid",
                "How do the plays divide by level?",
                STREAMS,
                "level",
                "plays",
            ),
        ),
        even_row(
            44,
            heat_map(
                "plays_by_weekday",
                "Plays by weekday and hour",
                "At which hours of which weekdays is music played?",
                STREAMS,
                across="hour_of_day",
                down="weekday",
                metric="plays",
                shows_values=False,
            ),
            table(
                "movers",
                "Movers of the week",
                "Which songs gained the most plays in the last seven days, against the seven days before?",
                STREAMS,
                ["song", "artist"],
                ["change_of_week", "plays_of_week", "plays_before"],
                most=8,
            ),
        ),
        even_row(
            48,
            state_map(
                "plays_by_state",
                "Plays by state",
                "Where in the US is music played?",
                STREAMS,
                "state_code",
                "plays",
            ),
            ranking(
                "top_states",
                "States with the most plays",
                "Which states play the most?",
                STREAMS,
                "state_name",
                "plays",
                beside=["listeners"],
                most=10,
            ),
        ),
        even_row(
            50,
            table(
                "top_songs",
                "Top songs",
                "Which songs are played the most?",
                STREAMS,
                ["song", "artist"],
                ["plays", "skip_rate"],
                most=10,
            ),
            ranking(
                "top_artists",
                "Top artists",
                "Which artists are played the most?",
                STREAMS,
                "artist",
                "plays",
                beside=["listeners", "skip_rate"],
                most=10,
            ),
        ),
        even_row(
            48,
            ranking(
                "operating_systems",
                "Devices by operating system",
                "On which systems is music played?",
                STREAMS,
                "operating_system",
                "plays",
                most=10,
            ),
            ranking(
                "browsers",
                "Browsers",
                "In which browsers is music played?",
                STREAMS,
                "browser",
                "plays",
                most=10,
            ),
        ),
    ),
)
