"""The dimension tables of gold: users, songs, artists, locations and hours.

A daily partition is a snapshot as of the end of its day, in UTC. The unknown member, whose key is all zeros, is a row of its
own wherever a fact or another dimension can lack the real one: its texts read `Unknown`, its numbers are null.
"""

from dataclasses import replace

from music_platform.tables.columns import (
    ARTIST_KEY,
    DATETIME_KEY,
    DAY,
    DAY_IS_WHOLE,
    LOCATION_KEY,
    SONG_KEY,
    UNKNOWN,
    UNKNOWN_KEY,
    USER_KEY,
    count_column,
    key_column,
    text_column,
    time_column,
)
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.events import LISTEN_EVENTS

_USER_ID, _FIRST_NAME, _LAST_NAME, _REGISTERED_AT = LISTEN_EVENTS.columns(
    "user_id", "first_name", "last_name", "registered_at"
)
_CITY, _LATITUDE, _LONGITUDE, _DURATION = LISTEN_EVENTS.columns("city", "latitude", "longitude", "duration_seconds")
_EVENT_STATE, _EVENT_ZIP = LISTEN_EVENTS.columns("state", "zip")
_STATE = replace(_EVENT_STATE, pattern=f"^([A-Z]{{2}}|{UNKNOWN})$")
_ZIP = replace(_EVENT_ZIP, pattern=f"^([0-9]{{5}}|{UNKNOWN})$")

_IS_IN_CATALOGUE = Column(
    name="is_in_catalogue",
    type=ColumnType.BOOLEAN,
    description="Whether the catalogue of songs knows it.",
    personal=Personal.NONE,
)
_PLAYS = count_column("plays", "Plays so far.")


def _calendar_column(name: str, description: str, minimum: int, maximum: int) -> Column:
    return Column(
        name=name,
        type=ColumnType.INTEGER,
        description=description,
        minimum=minimum,
        maximum=maximum,
        personal=Personal.NONE,
    )


_FIRST_AND_LAST_PLAYED = (
    time_column("first_played_at", "First play so far; null before one.", nullable=True, personal=Personal.NONE),
    time_column("last_played_at", "Last play so far; null before one.", nullable=True, personal=Personal.NONE),
)
_PLAYED_RULES = (
    Rule(
        name="played_times_exactly_with_plays",
        condition="(plays > 0) = (first_played_at IS NOT NULL) AND (plays > 0) = (last_played_at IS NOT NULL)",
        description="The first and the last play are known exactly where there is one.",
    ),
    Rule(
        name="first_play_not_after_last",
        condition="first_played_at IS NULL OR first_played_at <= last_played_at",
        description="The first play is not after the last.",
    ),
    Rule(
        name="played_until_day",
        condition="last_played_at IS NULL OR last_played_at < day + INTERVAL 1 DAY",
        description="No play lies after the snapshot's day.",
    ),
)

DIM_USERS = TableContract(
    layer=Layer.GOLD,
    name="dim_users",
    description="Versions of listeners (slowly changing dimension, type 2, to the instant). A day's partition holds the "
    "versions that were open when the day began and those that started in it; the whole history is the closed versions of "
    "all days and the open ones of the last.",
    columns=(
        replace(USER_KEY, description="Listener, the same in all versions; all zeros for the unknown member."),
        key_column("user_version_key", "This version: listener and `valid_from`.", personal=Personal.LINK),
        replace(_USER_ID, description="Listener by the producer's number; null for the unknown member.", nullable=True),
        _FIRST_NAME,
        _LAST_NAME,
        Column(
            name="gender", type=ColumnType.STRING, description="Gender as registered.", allowed=("F", "M", UNKNOWN),
            personal=Personal.QUASI,
        ),
        replace(_REGISTERED_AT, description="When the listener registered, as the version's first event says.",
                nullable=True),
        Column(name="level", type=ColumnType.STRING, description="Subscription level while the version is valid.",
               allowed=("free", "paid", UNKNOWN), personal=Personal.NONE),
        replace(LOCATION_KEY, description="Place of the listener in dim_locations."),
        _CITY,
        _STATE,
        time_column("valid_from", "First instant of the version; the first event seen of a listener for the first version, "
                     "1900-01-01 for the unknown member.", personal=Personal.NONE),
        time_column("valid_to", "First instant after the version: `valid_from` of the next one; null while it is open.",
                     nullable=True, personal=Personal.NONE),
        Column(name="is_current", type=ColumnType.BOOLEAN, description="Whether the version is open at the day's end.",
               personal=Personal.NONE),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        Rule(name="valid_for_some_time", condition="valid_to IS NULL OR valid_to > valid_from",
             description="A version is valid for more than no time."),
        Rule(name="current_while_open", condition="is_current = (valid_to IS NULL)",
             description="A version is current exactly while it is open."),
        Rule(
            name="valid_on_day",
            condition="valid_from < day + INTERVAL 1 DAY AND (valid_to IS NULL OR valid_to >= day) "
            "AND (valid_to IS NULL OR valid_to < day + INTERVAL 1 DAY)",
            description="A version started before the day's end, and was still open when the day began.",
        ),
        Rule(
            name="unknown_exactly_without_user_id",
            condition=f"(user_id IS NULL) = (user_key = '{UNKNOWN_KEY}')",
            description="Only the unknown member has no number.",
        ),
        DAY_IS_WHOLE,
    ),
    sort_columns=("user_key", "valid_from"),
    unique_columns=("user_version_key",),
)  # fmt: skip

DIM_SONGS = TableContract(
    layer=Layer.GOLD,
    name="dim_songs",
    description="Songs: every track of the catalogue, and every song that was played without being in it. A played song is "
    "the catalogue's track of the same artist and title and the nearest length, at most one second away; it keeps the key "
    "of its plays. Two songs whose plays differ in length alone can be one track.",
    columns=(
        replace(SONG_KEY, description="Song: artist, title and length in milliseconds; all zeros for the unknown member."),
        ARTIST_KEY,
        text_column("title", "Title of the song.", personal=Personal.NONE),
        text_column("artist", "Name of the artist.", personal=Personal.NONE),
        replace(_DURATION, nullable=True),
        text_column("track_id", "Track in the catalogue.", nullable=True, personal=Personal.NONE),
        text_column("release", "Album, as the catalogue names it.", nullable=True, personal=Personal.NONE),
        Column(name="year", type=ColumnType.INTEGER, description="Year of the release; null where the catalogue has none.",
               nullable=True, minimum=1, maximum=9999, personal=Personal.NONE),
        _IS_IN_CATALOGUE,
        *_FIRST_AND_LAST_PLAYED,
        _PLAYS,
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(*_PLAYED_RULES, DAY_IS_WHOLE),
    sort_columns=("artist", "title", "song_key"),
    unique_columns=("song_key",),
)  # fmt: skip

DIM_ARTISTS = TableContract(
    layer=Layer.GOLD,
    name="dim_artists",
    description="Artists by name: those of the catalogue, and those played without being in it.",
    columns=(
        replace(ARTIST_KEY, description="Artist by name; all zeros for the unknown member."),
        text_column("artist", "Name of the artist.", personal=Personal.NONE),
        text_column("artist_id", "Artist in the catalogue; of several under one name, one whose place is known.",
                     nullable=True, personal=Personal.NONE),
        # The artist's place, which is no listener's.
        text_column("location", "Where the artist comes from, in the catalogue's words.", nullable=True,
                     personal=Personal.NONE),
        replace(_LATITUDE, description="Latitude of that place.", nullable=True, personal=Personal.NONE),
        replace(_LONGITUDE, description="Longitude of that place.", nullable=True, personal=Personal.NONE),
        _IS_IN_CATALOGUE,
        *_FIRST_AND_LAST_PLAYED,
        _PLAYS,
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(*_PLAYED_RULES, DAY_IS_WHOLE),
    sort_columns=("artist", "artist_key"),
    unique_columns=("artist_key",),
)  # fmt: skip

DIM_LOCATIONS = TableContract(
    layer=Layer.GOLD,
    name="dim_locations",
    description="Places that events came from so far.",
    columns=(
        replace(LOCATION_KEY, description="Place: zip, city, state and coordinates; all zeros for the unknown member."),
        _ZIP,
        _CITY,
        _STATE,
        text_column("state_name", "Name of the state or territory, `Unknown` for a code without.",
                     personal=Personal.QUASI),
        replace(_LATITUDE, nullable=True),
        replace(_LONGITUDE, nullable=True),
        time_column("first_seen_at", "First event from there; 1900-01-01 for the unknown member.",
                     personal=Personal.NONE),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        Rule(name="seen_until_day", condition="first_seen_at < day + INTERVAL 1 DAY",
             description="No place is first seen after the snapshot's day."),
        DAY_IS_WHOLE,
    ),
    sort_columns=("state", "city", "zip", "location_key"),
    unique_columns=("location_key",),
)  # fmt: skip

DIM_DATETIME = TableContract(
    layer=Layer.GOLD,
    name="dim_datetime",
    description="Hours of a day in UTC, with what the calendar says of them.",
    columns=(
        DATETIME_KEY,
        time_column("hour_time", "Beginning of the hour.", personal=Personal.NONE),
        Column(name="calendar_date", type=ColumnType.STRING, description="Date as YYYY-MM-DD.",
               pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", personal=Personal.NONE),
        _calendar_column("year", "Year.", 1900, 9999),
        _calendar_column("quarter", "Quarter of the year.", 1, 4),
        _calendar_column("month", "Month.", 1, 12),
        text_column("month_name", "Month in English.", personal=Personal.NONE),
        _calendar_column("day_of_month", "Day of the month.", 1, 31),
        _calendar_column("week_of_year", "Week by ISO 8601: weeks begin on Monday, and the first one holds the year's first "
                         "Thursday.", 1, 53),
        _calendar_column("weekday", "Day of the week, from 1 for Monday to 7 for Sunday.", 1, 7),
        text_column("weekday_name", "Day of the week in English.", personal=Personal.NONE),
        _calendar_column("hour", "Hour of the day.", 0, 23),
        Column(name="is_weekend", type=ColumnType.BOOLEAN, description="Whether the day is a Saturday or a Sunday.",
               personal=Personal.NONE),
        Column(name="is_us_holiday", type=ColumnType.BOOLEAN, description="Whether the day is a federal holiday of the USA, "
               "or the working day on which one that falls on a weekend is observed.", personal=Personal.NONE),
        text_column("holiday_name", "Name of that holiday; null on other days.", nullable=True,
                     personal=Personal.NONE),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        Rule(name="hour_of_day", condition="date_trunc('DAY', hour_time) = day", description="The hour is one of the day."),
        Rule(name="weekend_by_weekday", condition="is_weekend = (weekday >= 6)",
             description="Saturday and Sunday are the weekend."),
        Rule(name="holiday_has_a_name", condition="is_us_holiday = (holiday_name IS NOT NULL)",
             description="A holiday has a name, another day has none."),
        DAY_IS_WHOLE,
    ),
    sort_columns=("hour_time",),
    unique_columns=("datetime_key",),
)  # fmt: skip

DIMENSIONS: tuple[TableContract, ...] = (DIM_USERS, DIM_SONGS, DIM_ARTISTS, DIM_LOCATIONS, DIM_DATETIME)
