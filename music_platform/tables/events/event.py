"""What an event type is: its fields in the order of the record, and the rules that bind several of them.

An event field knows both its name in the record (``sessionId``) and the column that silver makes of it
(``session_id``).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from music_platform.tables.contract import Column, ColumnType, Rule, column_rules

# Engines agree on timestamps between these (1900 and 2199); beyond, some overflow, each in its own way.
EARLIEST_MILLISECONDS, LATEST_MILLISECONDS = -2_208_988_800_000, 7_258_118_399_999
LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class EventField:
    """One key of an event's record and the silver column that is made of it.

    ``key_type`` is the JSON value's type as bronze keeps it (bigint, double, string or boolean). ``is_text`` marks free
    text that silver repairs (mojibake, wrapping quotes, control characters). ``is_added`` marks a field that came to an event
    type with events: it counts for an event's identity only where it is present, so that older events keep theirs.
    """

    key: str
    key_type: ColumnType
    column: Column
    is_text: bool = False
    is_added: bool = False

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the field that silver applies to its column.

        A column that holds fewer values than its key (a moment, a short integer) is judged by the key's own value, in the
        struct ``_record`` of the pass from bronze: a value that the column cannot hold counts as present and out of range.
        """
        rules = column_rules((self.column,))
        if self.column.type is self.key_type:
            return rules
        value, name = f"_record.{self.key}", self.column.name
        if self.column.type is ColumnType.TIMESTAMP:
            least, most = EARLIEST_MILLISECONDS, LATEST_MILLISECONDS
            description = f"`{self.key}` lies in the years 1900 to 2199."
        else:
            least, most = int(self.column.minimum or 0), int(self.column.maximum or LARGEST_INTEGER)
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
        """Columns that silver makes of the fields, by their names; ``KeyError`` for an unknown name."""
        by_name = {field.column.name: field.column for field in self.fields}
        return tuple(by_name[name] for name in names)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when records are read or repaired in another way."""
        text = repr([(field.key, str(field.key_type), field.column.name, field.is_text) for field in self.fields])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def fields_bound(event: EventContract, rule: Rule) -> tuple[EventField, ...]:
    """The fields that a rule of the event type's silver table binds, in the order of the record."""
    words = set(re.findall(r"\w+", rule.condition))
    return tuple(
        field for field in event.fields if field.column.name in words or f"_record.{field.key}" in rule.condition
    )
