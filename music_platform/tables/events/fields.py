"""Fields and blocks of fields that several event types share."""

from __future__ import annotations

from music_platform.tables.contract import Column, ColumnType, Personal, Rule
from music_platform.tables.events.event import EventField

_STRING, _LONG, _INTEGER = ColumnType.STRING, ColumnType.LONG, ColumnType.INTEGER
_DOUBLE, _BOOLEAN, _TIMESTAMP = ColumnType.DOUBLE, ColumnType.BOOLEAN, ColumnType.TIMESTAMP

# Characters. The longest artist among 10,000 tracks of the Million Song Dataset has 255, the longest title 174; web servers
# refuse headers of more than some 8,000 bytes.
LONGEST_TITLE, _LONGEST_NAME, _LONGEST_USER_AGENT = 1_000, 200, 4_000
LEVELS = ("free", "paid")


def field(
    key: str,
    key_type: ColumnType,
    name: str,
    description: str,
    *,
    personal: Personal,
    column_type: ColumnType | None = None,
    nullable: bool = False,
    unit: str | None = None,
    allowed: tuple[str | int, ...] = (),
    pattern: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    is_text: bool = False,
    is_not_blank: bool | None = None,
    max_length: int | None = None,
    is_added: bool = False,
) -> EventField:
    """A field; a free text must not be blank unless ``is_not_blank`` says otherwise, even if it may be absent."""
    column = Column(
        name=name,
        type=column_type or key_type,
        description=description,
        nullable=nullable,
        unit=unit,
        allowed=allowed,
        pattern=pattern,
        minimum=minimum,
        maximum=maximum,
        is_not_blank=is_text if is_not_blank is None else is_not_blank,
        max_length=max_length,
        personal=personal,
    )
    return EventField(key=key, key_type=key_type, column=column, is_text=is_text, is_added=is_added)


TS = field(
    "ts", _LONG, "event_time", "When the event happened.", column_type=_TIMESTAMP, unit="UTC", personal=Personal.NONE
)

SESSION_ID = field(
    "sessionId",
    _LONG,
    "session_id",
    "Session of the listener; restarts at 1 in every run of a producer.",
    minimum=1,
    personal=Personal.LINK,
)

ITEM = field(
    "itemInSession", _LONG, "item_in_session", "Position of the event in its session, from 0; a session that straddles the "
    "start of the producer begins later.", column_type=_INTEGER, minimum=0, personal=Personal.NONE
)  # fmt: skip

LEVEL = field("level", _STRING, "level", "Subscription level at the event.", allowed=LEVELS, personal=Personal.NONE)

TAG = field(
    "tag",
    _STRING,
    "tag",
    "Label that the producer was started with; absent when it had none. A blank one reads as absent.",
    nullable=True,
    is_text=True,
    is_not_blank=False,
    max_length=_LONGEST_NAME,
    personal=Personal.NONE,
)

DEVICE = (
    field(
        "city",
        _STRING,
        "city",
        "City of the listener; a metropolitan area by its principal cities where the producer knows no more.",
        nullable=True,
        is_text=True,
        max_length=_LONGEST_NAME,
        personal=Personal.QUASI,
    ),
    field(
        "zip",
        _STRING,
        "zip",
        "US postal code; leading zeros count. Absent where the producer knows only a metropolitan area.",
        nullable=True,
        pattern="^[0-9]{5}$",
        personal=Personal.QUASI,
    ),
    field(
        "state",
        _STRING,
        "state",
        "US state or territory, postal abbreviation; of a metropolitan area the first one.",
        nullable=True,
        pattern="^[A-Z]{2}$",
        personal=Personal.QUASI,
    ),
    field(
        "userAgent",
        _STRING,
        "user_agent",
        "User agent header of the device.",
        nullable=True,
        is_text=True,
        max_length=_LONGEST_USER_AGENT,
        personal=Personal.QUASI,
    ),
    field(
        "lon",
        _DOUBLE,
        "longitude",
        "Longitude of the listener's place.",
        nullable=True,
        unit="degrees",
        minimum=-180,
        maximum=180,
        personal=Personal.QUASI,
    ),
    field(
        "lat",
        _DOUBLE,
        "latitude",
        "Latitude of the listener's place.",
        nullable=True,
        unit="degrees",
        minimum=-90,
        maximum=90,
        personal=Personal.QUASI,
    ),
    field(
        "location",
        _STRING,
        "location",
        "Metropolitan area as the producer names it, such as `New York-Newark-Jersey City, NY-NJ-PA`; absent where it knows "
        "the place itself.",
        nullable=True,
        is_text=True,
        is_added=True,
        max_length=_LONGEST_NAME,
        personal=Personal.QUASI,
    ),
)


def user_block(*, nullable: bool) -> tuple[EventField, ...]:
    return (
        field("userId", _LONG, "user_id", "Listener; absent when anonymous.", nullable=nullable, minimum=0,
               personal=Personal.DIRECT),
        field("lastName", _STRING, "last_name", "Family name of the listener.", nullable=nullable, is_text=True,
               max_length=_LONGEST_NAME, personal=Personal.DIRECT),
        field("firstName", _STRING, "first_name", "Given name of the listener.", nullable=nullable, is_text=True,
               max_length=_LONGEST_NAME, personal=Personal.DIRECT),
        field("gender", _STRING, "gender", "Gender as registered.", nullable=nullable, allowed=("F", "M"),
               personal=Personal.QUASI),
        field(
            "registration", _LONG, "registered_at", "When the listener registered; can lie after the event.",
            column_type=_TIMESTAMP, nullable=nullable, unit="UTC", personal=Personal.QUASI,
        ),
    )  # fmt: skip


def song_block(*, nullable: bool) -> tuple[EventField, ...]:
    return (
        field("artist", _STRING, "artist", "Name of the artist.", nullable=nullable, is_text=True,
               max_length=LONGEST_TITLE, personal=Personal.NONE),
        field("song", _STRING, "song", "Title of the song.", nullable=nullable, is_text=True, max_length=LONGEST_TITLE,
               personal=Personal.NONE),
        field(
            "duration", _DOUBLE, "duration_seconds", "Length of the song.", nullable=nullable, unit="seconds",
            minimum=0, maximum=86_400, personal=Personal.NONE,
        ),
    )  # fmt: skip


def auth(*allowed: str) -> EventField:
    return field("auth", _STRING, "auth", "Authentication state of the listener at the event.", allowed=allowed,
                  personal=Personal.NONE)  # fmt: skip


USER_BLOCK_WHOLE = Rule(
    name="user_block_whole",
    condition="(user_id IS NULL) = (last_name IS NULL) AND (user_id IS NULL) = (first_name IS NULL) "
    "AND (user_id IS NULL) = (gender IS NULL) AND (user_id IS NULL) = (registered_at IS NULL)",
    description="The user block is wholly present or wholly absent.",
)

PLACE_WHOLE = Rule(
    name="place_whole",
    condition="(city IS NULL) = (state IS NULL) AND (zip IS NULL) = (latitude IS NULL) "
    "AND (zip IS NULL) = (longitude IS NULL) AND (zip IS NULL OR city IS NOT NULL)",
    description="City and state are both present or both absent; so are zip, longitude and latitude, which name the place of a "
    "city.",
)

PLACE_OR_LOCATION = Rule(
    name="place_or_location",
    condition="zip IS NOT NULL OR location IS NOT NULL OR user_id IS NULL",
    description="An event of a known listener has a place: a zip with its city and coordinates, or the `location` of a "
    "metropolitan area.",
)

USER_AGENT_OF_LISTENER = Rule(
    name="user_agent_of_listener",
    condition="user_agent IS NOT NULL OR user_id IS NULL",
    description="An event of a known listener has a user agent.",
)

DEVICE_RULES = (PLACE_WHOLE, PLACE_OR_LOCATION, USER_AGENT_OF_LISTENER)
"""Rules of ``DEVICE``. The original Eventsim writes neither place nor device of a listener who is logged out."""
