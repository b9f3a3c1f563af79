"""The four event types as their producers write them: keys, types, allowed values and rules across fields.

An event field knows both its name in the record (``sessionId``) and the column that silver makes of it
(``session_id``). How the layers' tables follow from the event types stands in tables.py.

Source: the records of Eventsim (https://github.com/viirya/eventsim), newline-delimited JSON; a missing value is an absent
key.
"""

import hashlib
from dataclasses import dataclass, replace

from music_platform.tables.contract import Column, ColumnType, Personal, Rule, column_rules


@dataclass(frozen=True, kw_only=True)
class EventField:
    """One key of an event's record and the silver column that is made of it.

    ``key_type`` is the JSON value's type as bronze keeps it (bigint, double, string or boolean). ``is_text`` marks free
    text that silver repairs (mojibake, wrapping quotes, control characters).
    """

    key: str
    key_type: ColumnType
    column: Column
    is_text: bool = False

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the field, by which silver judges its column.

        A column that holds less than its key does (a moment, a short integer) is judged by the key's own value, in the struct
        ``_record`` of the pass from bronze: a value beyond what the column holds is there, and out of range.
        """
        rules = column_rules((self.column,))
        if self.column.type is self.key_type:
            return rules
        value, name = f"_record.{self.key}", self.column.name
        if self.column.type is ColumnType.TIMESTAMP:
            least, most = EARLIEST_MILLISECONDS, LATEST_MILLISECONDS
            description = f"`{self.key}` lies in the years 1900 to 2199."
        else:
            least, most = int(self.column.minimum or 0), int(self.column.maximum or _LARGEST_INTEGER)
            description = f"`{self.key}` lies between {least} and {most}."
        in_range = Rule(
            name=f"{name}_range",
            condition=f"{value} IS NULL OR ({value} >= {least} AND {value} <= {most})",
            description=description,
        )
        present = f"{name}_present"
        return (
            *(replace(rule, condition=f"{value} IS NOT NULL") for rule in rules if rule.name == present),
            in_range,
            *(rule for rule in rules if rule.name not in (present, in_range.name)),
        )


@dataclass(frozen=True, kw_only=True)
class EventContract:
    """One event type: its fields in the order of the record, and the rules that bind several of them."""

    name: str
    description: str
    fields: tuple[EventField, ...]
    rules: tuple[Rule, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(field.key for field in self.fields)

    def columns(self, *names: str) -> tuple[Column, ...]:
        """Columns that silver makes of the fields, by their names; ``KeyError`` for one that there is not."""
        by_name = {field.column.name: field.column for field in self.fields}
        return tuple(by_name[name] for name in names)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when a record comes to be read or repaired in another way."""
        text = repr([(field.key, str(field.key_type), field.column.name, field.is_text) for field in self.fields])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_STRING, _LONG, _INTEGER = ColumnType.STRING, ColumnType.LONG, ColumnType.INTEGER
_DOUBLE, _BOOLEAN, _TIMESTAMP = ColumnType.DOUBLE, ColumnType.BOOLEAN, ColumnType.TIMESTAMP

# Characters. The longest artist among 10,000 tracks of the Million Song Dataset has 255, the longest title 174; web servers
# refuse headers of more than some 8,000 bytes.
LONGEST_TITLE, _LONGEST_NAME, _LONGEST_USER_AGENT = 1_000, 200, 4_000

# Engines agree on timestamps between these (1900 and 2199); beyond, some overflow, each in its own way.
EARLIEST_MILLISECONDS, LATEST_MILLISECONDS = -2_208_988_800_000, 7_258_118_399_999
_LARGEST_INTEGER = 2**31 - 1

_LEVELS = ("free", "paid")
_PAGES = (
    "NextSong", "Home", "Login", "Logout", "Downgrade", "Help", "Settings", "About", "Upgrade", "Save Settings", "Error",
    "Submit Upgrade", "Register", "Submit Registration", "Submit Downgrade", "Cancel", "Cancellation Confirmation",
)  # fmt: skip


def _field(
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
) -> EventField:
    """A field; a free text must not be blank unless ``is_not_blank`` says otherwise, also where it can be absent."""
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
    return EventField(key=key, key_type=key_type, column=column, is_text=is_text)


_TS = _field(
    "ts", _LONG, "event_time", "When the event happened.", column_type=_TIMESTAMP, unit="UTC", personal=Personal.NONE
)
_SESSION_ID = _field(
    "sessionId",
    _LONG,
    "session_id",
    "Session of the listener; restarts at 1 in every run of a producer.",
    minimum=1,
    personal=Personal.LINK,
)
_ITEM = _field(
    "itemInSession", _LONG, "item_in_session", "Position of the event in its session, from 0; a session that straddles the "
    "start of the producer begins later.", column_type=_INTEGER, minimum=0, personal=Personal.NONE
)  # fmt: skip
_LEVEL = _field("level", _STRING, "level", "Subscription level at the event.", allowed=_LEVELS, personal=Personal.NONE)
_TAG = _field(
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

_DEVICE = (
    _field(
        "city",
        _STRING,
        "city",
        "City of the listener.",
        is_text=True,
        max_length=_LONGEST_NAME,
        personal=Personal.QUASI,
    ),
    _field(
        "zip", _STRING, "zip", "US postal code; leading zeros count.", pattern="^[0-9]{5}$", personal=Personal.QUASI
    ),
    _field(
        "state",
        _STRING,
        "state",
        "US state or territory, postal abbreviation.",
        pattern="^[A-Z]{2}$",
        personal=Personal.QUASI,
    ),
    _field(
        "userAgent",
        _STRING,
        "user_agent",
        "User agent header of the device.",
        is_text=True,
        max_length=_LONGEST_USER_AGENT,
        personal=Personal.QUASI,
    ),
    _field(
        "lon",
        _DOUBLE,
        "longitude",
        "Longitude of the listener's place.",
        unit="degrees",
        minimum=-180,
        maximum=180,
        personal=Personal.QUASI,
    ),
    _field(
        "lat",
        _DOUBLE,
        "latitude",
        "Latitude of the listener's place.",
        unit="degrees",
        minimum=-90,
        maximum=90,
        personal=Personal.QUASI,
    ),
)


def _user_block(*, nullable: bool) -> tuple[EventField, ...]:
    return (
        _field("userId", _LONG, "user_id", "Listener; absent when anonymous.", nullable=nullable, minimum=0,
               personal=Personal.DIRECT),
        _field("lastName", _STRING, "last_name", "Family name of the listener.", nullable=nullable, is_text=True,
               max_length=_LONGEST_NAME, personal=Personal.DIRECT),
        _field("firstName", _STRING, "first_name", "Given name of the listener.", nullable=nullable, is_text=True,
               max_length=_LONGEST_NAME, personal=Personal.DIRECT),
        _field("gender", _STRING, "gender", "Gender as registered.", nullable=nullable, allowed=("F", "M"),
               personal=Personal.QUASI),
        _field(
            "registration", _LONG, "registered_at", "When the listener registered; can lie after the event.",
            column_type=_TIMESTAMP, nullable=nullable, unit="UTC", personal=Personal.QUASI,
        ),
    )  # fmt: skip


def _song_block(*, nullable: bool) -> tuple[EventField, ...]:
    return (
        _field("artist", _STRING, "artist", "Name of the artist.", nullable=nullable, is_text=True,
               max_length=LONGEST_TITLE, personal=Personal.NONE),
        _field("song", _STRING, "song", "Title of the song.", nullable=nullable, is_text=True, max_length=LONGEST_TITLE,
               personal=Personal.NONE),
        _field(
            "duration", _DOUBLE, "duration_seconds", "Length of the song.", nullable=nullable, unit="seconds",
            minimum=0, maximum=86_400, personal=Personal.NONE,
        ),
    )  # fmt: skip


def _auth(*allowed: str) -> EventField:
    return _field("auth", _STRING, "auth", "Authentication state of the listener at the event.", allowed=allowed,
                  personal=Personal.NONE)  # fmt: skip


_USER_BLOCK_WHOLE = Rule(
    name="user_block_whole",
    condition="(user_id IS NULL) = (last_name IS NULL) AND (user_id IS NULL) = (first_name IS NULL) "
    "AND (user_id IS NULL) = (gender IS NULL) AND (user_id IS NULL) = (registered_at IS NULL)",
    description="The user block is wholly present or wholly absent.",
)

AUTH_EVENTS = EventContract(
    name="auth_events",
    description="Attempts to log in.",
    fields=(_TS, _SESSION_ID, _LEVEL, _ITEM, *_DEVICE, *_user_block(nullable=True),
            _field("success", _BOOLEAN, "success", "Whether the attempt succeeded.", personal=Personal.NONE), _TAG),
    rules=(
        _USER_BLOCK_WHOLE,
        Rule(
            name="user_block_exactly_on_success",
            condition="(user_id IS NOT NULL) = success",
            description="The user block is present exactly when the attempt succeeded.",
        ),
    ),
)  # fmt: skip

LISTEN_EVENTS = EventContract(
    name="listen_events",
    description="Songs that were started.",
    fields=(*_song_block(nullable=False), _TS, _SESSION_ID, _auth("Logged In", "Logged Out", "Guest", "Cancelled"), _LEVEL,
            _ITEM, *_DEVICE, *_user_block(nullable=False), _TAG),
)  # fmt: skip

PAGE_VIEW_EVENTS = EventContract(
    name="page_view_events",
    description="Pages that were requested; a song that starts is a view of the page NextSong.",
    fields=(
        _TS, _SESSION_ID,
        _field("page", _STRING, "page", "Page that was requested.", allowed=_PAGES, personal=Personal.NONE),
        _auth("Logged In", "Logged Out", "Guest", "Cancelled"),
        _field("method", _STRING, "method", "HTTP method.", allowed=("GET", "PUT"), personal=Personal.NONE),
        _field("status", _LONG, "status", "HTTP status.", column_type=_INTEGER, allowed=(200, 307, 404),
               personal=Personal.NONE),
        _LEVEL, _ITEM, *_DEVICE, *_user_block(nullable=True), *_song_block(nullable=True), _TAG,
    ),
    rules=(
        _USER_BLOCK_WHOLE,
        Rule(
            name="user_block_exactly_when_known",
            condition="(user_id IS NULL) = (auth IN ('Guest', 'Logged Out'))",
            description="The user block is absent exactly when `auth` is `Guest` or `Logged Out`.",
        ),
        Rule(
            name="song_block_exactly_on_next_song",
            condition="(artist IS NOT NULL) = (page = 'NextSong') AND (song IS NOT NULL) = (page = 'NextSong') "
            "AND (duration_seconds IS NOT NULL) = (page = 'NextSong')",
            description="Artist, song and duration are present exactly on the page `NextSong`.",
        ),
    ),
)  # fmt: skip

STATUS_CHANGE_EVENTS = EventContract(
    name="status_change_events",
    description="Changes of the subscription level: free to paid is an upgrade, paid to free a downgrade.",
    fields=(
        _TS, _SESSION_ID, _auth("Logged In", "Logged Out", "Guest", "Cancelled"),
        _field("level", _STRING, "previous_level", "Level BEFORE the change.", allowed=_LEVELS, personal=Personal.NONE),
        _ITEM, *_DEVICE, *_user_block(nullable=False), _TAG,
    ),
)  # fmt: skip

EVENT_CONTRACTS: dict[str, EventContract] = {
    contract.name: contract for contract in (AUTH_EVENTS, LISTEN_EVENTS, PAGE_VIEW_EVENTS, STATUS_CHANGE_EVENTS)
}
EVENT_TYPES: tuple[str, ...] = tuple(EVENT_CONTRACTS)
