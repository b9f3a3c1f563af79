"""Columns and rules that tables of several kinds share, and the surrogate keys of the star schema.

Keys are 16 hex digits, a hash of the natural key (transforms/keys.py), so that facts know them without a look-up.
"""

from music_platform.tables.contract import Column, ColumnType, Personal, Rule

KEY_PATTERN = "^[0-9a-f]{16}$"
UNKNOWN_KEY = "0" * 16
"""Key of the unknown member: what a fact points to that lacks the real one."""
UNKNOWN = "Unknown"


def key_column(name: str, description: str, *, personal: Personal) -> Column:
    """A surrogate key."""
    return Column(name=name, type=ColumnType.STRING, description=description, pattern=KEY_PATTERN, personal=personal)


def count_column(name: str, description: str) -> Column:
    """A count, never negative. A count is not personal."""
    return Column(name=name, type=ColumnType.LONG, description=description, minimum=0, personal=Personal.NONE)


def time_column(name: str, description: str, *, personal: Personal, nullable: bool = False) -> Column:
    """A moment."""
    return Column(
        name=name, type=ColumnType.TIMESTAMP, description=description, nullable=nullable, unit="UTC", personal=personal
    )


def text_column(
    name: str, description: str, *, personal: Personal, nullable: bool = False, allowed: tuple[str, ...] = ()
) -> Column:
    """A text: one of the allowed ones, or any text if none is named."""
    return Column(
        name=name,
        type=ColumnType.STRING,
        description=description,
        nullable=nullable,
        allowed=allowed,
        personal=personal,
    )


def share_column(name: str, description: str, *, nullable: bool = False) -> Column:
    """A part of a whole, from 0 to 1."""
    return Column(
        name=name,
        type=ColumnType.DOUBLE,
        description=description,
        nullable=nullable,
        minimum=0,
        maximum=1,
        personal=Personal.NONE,
    )


LINEAGE_COLUMNS = (
    text_column("_object", "Landed object, by its key in the lake.", personal=Personal.NONE),
    Column(
        name="_line_number",
        type=ColumnType.LONG,
        description="Line in that object, from 1; the line after the last good one where the object itself is at fault.",
        minimum=1,
        personal=Personal.NONE,
    ),
    time_column(
        "landed_hour", "Hour whose folder the object was landed in: the row's partition.", personal=Personal.NONE
    ),
)

EVENT_ID = Column(
    name="event_id",
    type=ColumnType.STRING,
    description="Identity of the event: the first 128 bits of SHA-256 over the event type and all fields of the record. "
    "A collector's retry has the same one.",
    pattern="^[0-9a-f]{32}$",
    personal=Personal.LINK,
)
USER_AGENT_COLUMNS = (
    text_column("device", "Device family, parsed from the user agent.", personal=Personal.QUASI),
    text_column("operating_system", "Operating system family, parsed from the user agent.", personal=Personal.QUASI),
    text_column("browser", "Browser family, parsed from the user agent.", personal=Personal.QUASI),
)

USER_KEY = key_column("user_key", "Listener in dim_users; the unknown member when anonymous.", personal=Personal.LINK)
SONG_KEY = key_column("song_key", "Song in dim_songs.", personal=Personal.NONE)
ARTIST_KEY = key_column("artist_key", "Artist in dim_artists.", personal=Personal.NONE)
LOCATION_KEY = key_column("location_key", "Place in dim_locations.", personal=Personal.QUASI)
SESSION_KEY = key_column(
    "session_key", "Session in fact_sessions: session number, producer's tag and device.", personal=Personal.LINK
)
DATETIME_KEY = Column(
    name="datetime_key",
    type=ColumnType.LONG,
    description="Hour in dim_datetime, as YYYYMMDDHH.",
    minimum=1900010100,
    personal=Personal.NONE,
)

DAY = time_column("day", "The day, by its first moment: the row's partition.", personal=Personal.NONE)
DAY_IS_WHOLE = Rule(
    name="day_is_whole",
    condition="date_trunc('DAY', day) = day",
    description="`day` is midnight, the day's first moment.",
)
