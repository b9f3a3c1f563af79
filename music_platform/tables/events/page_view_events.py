"""Pages that were requested."""

from __future__ import annotations

from music_platform.tables.contract import ColumnType, Personal, Rule
from music_platform.tables.events.event import EventContract
from music_platform.tables.events.fields import (
    DEVICE,
    DEVICE_RULES,
    ITEM,
    LEVEL,
    SESSION_ID,
    TAG,
    TS,
    USER_BLOCK_WHOLE,
    auth,
    field,
    song_block,
    user_block,
)

_PAGES = (
    "NextSong", "Home", "Login", "Logout", "Downgrade", "Help", "Settings", "About", "Upgrade", "Save Settings", "Error",
    "Submit Upgrade", "Register", "Submit Registration", "Submit Downgrade", "Cancel", "Cancellation Confirmation",
    # Of later configurations of the original Eventsim, whose logs people have as Sparkify's.
    "Thumbs Up", "Thumbs Down", "Add to Playlist", "Add Friend", "Roll Advert",
)  # fmt: skip

PAGE_VIEW_EVENTS = EventContract(
    name="page_view_events",
    description="Pages that were requested; a song that starts is a view of the page NextSong.",
    fields=(
        TS, SESSION_ID,
        field("page", ColumnType.STRING, "page", "Page that was requested.", allowed=_PAGES, personal=Personal.NONE),
        auth("Logged In", "Logged Out", "Guest", "Cancelled"),
        field("method", ColumnType.STRING, "method", "HTTP method.", allowed=("GET", "PUT"), personal=Personal.NONE),
        field("status", ColumnType.LONG, "status", "HTTP status.", column_type=ColumnType.INTEGER, allowed=(200, 307, 404),
               personal=Personal.NONE),
        LEVEL, ITEM, *DEVICE, *user_block(nullable=True), *song_block(nullable=True), TAG,
    ),
    rules=(
        *DEVICE_RULES,
        USER_BLOCK_WHOLE,
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
