"""Attempts to log in."""

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
    field,
    user_block,
)

AUTH_EVENTS = EventContract(
    name="auth_events",
    description="Attempts to log in.",
    fields=(TS, SESSION_ID, LEVEL, ITEM, *DEVICE, *user_block(nullable=True),
            field("success", ColumnType.BOOLEAN, "success", "Whether the attempt succeeded.", personal=Personal.NONE), TAG),
    rules=(
        *DEVICE_RULES,
        USER_BLOCK_WHOLE,
        Rule(
            name="user_block_exactly_on_success",
            condition="(user_id IS NOT NULL) = success",
            description="The user block is present exactly when the attempt succeeded.",
        ),
    ),
)  # fmt: skip
