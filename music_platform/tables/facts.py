"""The fact tables of gold: streams, page views, plays and sessions."""

from dataclasses import replace

from music_platform.tables.columns import (
    ARTIST_KEY,
    DATETIME_KEY,
    EVENT_ID,
    LOCATION_KEY,
    SESSION_KEY,
    SONG_KEY,
    USER_AGENT_COLUMNS,
    USER_KEY,
    count_column,
    text_column,
    time_column,
)
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.events import LISTEN_EVENTS, PAGE_VIEW_EVENTS

_SECONDS_OF_A_DAY = 86_400


_PLACE = LISTEN_EVENTS.columns("city", "state", "latitude", "longitude")
_STATE_NAME = text_column("state_name", "Name of the state, `Unknown` for a code without.", personal=Personal.QUASI)
PLAYED_SECONDS = Column(
    name="played_seconds",
    type=ColumnType.DOUBLE,
    nullable=True,
    description="Time until the session's next event, at most the song's length. Null where no later event of the session is "
    "known: in the hourly fact where it lies in another hour, in the daily tier only at the session's end.",
    unit="seconds",
    minimum=0,
    maximum=_SECONDS_OF_A_DAY,
    personal=Personal.NONE,
)
IS_SKIPPED = Column(
    name="is_skipped",
    type=ColumnType.BOOLEAN,
    nullable=True,
    description="Whether the session went on before the song's last whole second; null where played_seconds is.",
    personal=Personal.NONE,
)
_PLAYED_WITHIN_DURATION = Rule(
    name="played_within_duration",
    condition="played_seconds IS NULL OR played_seconds <= duration_seconds",
    description="No song is played for longer than it lasts.",
)
_SKIP_KNOWN_WITH_SECONDS = Rule(
    name="skip_known_with_seconds",
    condition="(played_seconds IS NULL) = (is_skipped IS NULL)",
    description="`is_skipped` is known exactly where `played_seconds` is.",
)

FACT_STREAMS = TableContract(
    layer=Layer.GOLD,
    name="fact_streams",
    description="One row a listen: keys of every dimension, and the columns that analyses filter on.",
    columns=(
        EVENT_ID, *LISTEN_EVENTS.columns("event_time"), USER_KEY, SONG_KEY, ARTIST_KEY, LOCATION_KEY, SESSION_KEY,
        DATETIME_KEY, *LISTEN_EVENTS.columns("session_id", "item_in_session", "level", "user_id", "first_name",
        "last_name", "gender", "registered_at", "artist", "song", "duration_seconds"), PLAYED_SECONDS, IS_SKIPPED, *_PLACE,
        _STATE_NAME, *USER_AGENT_COLUMNS,
    ),
    partition_column="event_time",
    rules=(_PLAYED_WITHIN_DURATION, _SKIP_KNOWN_WITH_SECONDS),
    sort_columns=("event_time", "event_id"),
    unique_columns=("event_id",),
)  # fmt: skip

FACT_PAGE_VIEWS = TableContract(
    layer=Layer.GOLD,
    name="fact_page_views",
    description="One row a page view; a song that starts is a view of the page NextSong.",
    columns=(
        EVENT_ID, *PAGE_VIEW_EVENTS.columns("event_time"), USER_KEY,
        replace(SONG_KEY, description="Song in dim_songs; the unknown member on a page without a song."),
        LOCATION_KEY, SESSION_KEY, DATETIME_KEY,
        *PAGE_VIEW_EVENTS.columns("session_id", "item_in_session", "page", "auth", "method", "status", "level",
        "user_id", "registered_at"), *_PLACE, _STATE_NAME, *USER_AGENT_COLUMNS,
    ),
    partition_column="event_time",
    sort_columns=("event_time", "event_id"),
    unique_columns=("event_id",),
)  # fmt: skip

FACT_PLAYS = TableContract(
    layer=Layer.GOLD,
    name="fact_plays",
    description="The day's streams with the seconds really played, also where the session went on in another hour or after "
    "midnight. The daily tier's measure of listening.",
    columns=(
        EVENT_ID, *LISTEN_EVENTS.columns("event_time"), USER_KEY, SONG_KEY, ARTIST_KEY, LOCATION_KEY, SESSION_KEY,
        *LISTEN_EVENTS.columns("session_id", "item_in_session", "level", "state", "duration_seconds"), PLAYED_SECONDS, IS_SKIPPED,
    ),
    partition_column="event_time",
    cadence=Cadence.DAILY,
    rules=(_PLAYED_WITHIN_DURATION, _SKIP_KNOWN_WITH_SECONDS),
    sort_columns=("event_time", "event_id"),
    unique_columns=("event_id",),
)  # fmt: skip

_TIME_ORDER = Rule(
    name="ends_after_it_starts", condition="ended_at >= started_at", description="A session ends after it starts."
)
_MEASURES = (
    count_column("page_views", "Page views, songs included."),
    count_column("pages", "Page views other than songs."),
    count_column("songs", "Songs started."),
    count_column("skips", "Songs skipped."),
    Column(name="played_seconds", type=ColumnType.DOUBLE, description="Listened, where it is known.", unit="seconds",
           minimum=0, personal=Personal.NONE),
    count_column("errors", "Views of the page Error, or with status 404."),
    Column(name="is_converted", type=ColumnType.BOOLEAN, description="Whether Submit Upgrade was reached.",
           personal=Personal.NONE),
    Column(name="is_downgraded", type=ColumnType.BOOLEAN, description="Whether Submit Downgrade was reached.",
           personal=Personal.NONE),
    Column(name="is_cancelled", type=ColumnType.BOOLEAN, description="Whether Cancellation Confirmation was reached.",
           personal=Personal.NONE),
)  # fmt: skip
_ENDS = (
    *LISTEN_EVENTS.columns("session_id"),
    replace(USER_KEY, description="Listener in dim_users, as soon as the session knows it; else the unknown member."),
    LOCATION_KEY,
    time_column("started_at", "First event.", personal=Personal.NONE),
    time_column("ended_at", "Last event so far.", personal=Personal.NONE),
    text_column("entry_page", "Page of the first event.", personal=Personal.NONE),
    text_column("exit_page", "Page of the last event.", personal=Personal.NONE),
    Column(
        name="level_at_start",
        type=ColumnType.STRING,
        description="Level at the first event.",
        allowed=("free", "paid"),
        personal=Personal.NONE,
    ),
    Column(
        name="level_at_end",
        type=ColumnType.STRING,
        description="Level at the last event.",
        allowed=("free", "paid"),
        personal=Personal.NONE,
    ),
)

SESSION_DAYS = TableContract(
    layer=Layer.GOLD,
    name="session_days",
    description="What each session did on a day: parts from which sessions across midnight are put together without a look "
    "at history.",
    columns=(SESSION_KEY, *_ENDS, *_MEASURES),
    partition_column="started_at",
    cadence=Cadence.DAILY,
    rules=(_TIME_ORDER,),
    sort_columns=("started_at", "session_key"),
    unique_columns=("started_at", "session_key"),
)

FACT_SESSIONS = TableContract(
    layer=Layer.GOLD,
    name="fact_sessions",
    description="One row a session, in the partition of the day on which it started, whole also where it ran past midnight.",
    columns=(
        SESSION_KEY,
        *_ENDS,
        Column(name="duration_seconds", type=ColumnType.DOUBLE, description="From the first event to the last.",
               unit="seconds", minimum=0, personal=Personal.NONE),
        *_MEASURES,
    ),
    partition_column="started_at",
    cadence=Cadence.DAILY,
    rules=(_TIME_ORDER,),
    sort_columns=("started_at", "session_key"),
    unique_columns=("session_key",),
)  # fmt: skip

FACTS: tuple[TableContract, ...] = (FACT_STREAMS, FACT_PAGE_VIEWS, FACT_PLAYS, SESSION_DAYS, FACT_SESSIONS)
