"""Songs that were started."""

from __future__ import annotations

from music_platform.tables.events.event import EventContract
from music_platform.tables.events.fields import (
    DEVICE,
    DEVICE_RULES,
    ITEM,
    LEVEL,
    SESSION_ID,
    TAG,
    TS,
    auth,
    song_block,
    user_block,
)

LISTEN_EVENTS = EventContract(
    name="listen_events",
    description="Songs that were started.",
    fields=(*song_block(nullable=False), TS, SESSION_ID, auth("Logged In", "Logged Out", "Guest", "Cancelled"), LEVEL,
            ITEM, *DEVICE, *user_block(nullable=False), TAG),
    rules=DEVICE_RULES,
)  # fmt: skip
