"""Changes of the subscription level."""

from __future__ import annotations

from music_platform.tables.contract import ColumnType, Personal
from music_platform.tables.events.event import EventContract
from music_platform.tables.events.fields import (
    DEVICE,
    DEVICE_RULES,
    ITEM,
    LEVELS,
    SESSION_ID,
    TAG,
    TS,
    auth,
    field,
    user_block,
)

STATUS_CHANGE_EVENTS = EventContract(
    name="status_change_events",
    description="Changes of the subscription level: free to paid is an upgrade, paid to free a downgrade.",
    fields=(
        TS, SESSION_ID, auth("Logged In", "Logged Out", "Guest", "Cancelled"),
        field("level", ColumnType.STRING, "previous_level", "Level BEFORE the change.", allowed=LEVELS, personal=Personal.NONE),
        ITEM, *DEVICE, *user_block(nullable=False), TAG,
    ),
    rules=DEVICE_RULES,
)  # fmt: skip
