"""What a contract is: the columns and rules of one table, independent of any engine.

The sibling modules hold the tables; schemas.py and dictionary.py generate Spark and Arrow schemas, Dagster metadata and the
data dictionary from contracts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

# Unicode's White_Space, Cc and Default_Ignorable_Code_Point, the blank of Braille, and quotation marks with the backslash that
# escapes one. As ranges, because the engines know different versions of Unicode.
_BLANK_RANGES = (
    (0x00, 0x20), (0x22, 0x22), (0x27, 0x27), (0x5C, 0x5C), (0x60, 0x60), (0x7F, 0xA0), (0xAB, 0xAB), (0xAD, 0xAD), (0xB4, 0xB4),
    (0xBB, 0xBB), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x2000, 0x200F), (0x2018, 0x201F), (0x2028, 0x202F), (0x2039, 0x203A), (0x205F, 0x206F), (0x275B, 0x2760), (0x276E, 0x276F),
    (0x2800, 0x2800), (0x2E42, 0x2E42), (0x3000, 0x3000), (0x300C, 0x300F), (0x301D, 0x301F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFE41, 0xFE44), (0xFEFF, 0xFEFF), (0xFF02, 0xFF02), (0xFF07, 0xFF07), (0xFF62, 0xFF63), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0x1F676, 0x1F678), (0xE0000, 0xE0FFF),
)  # fmt: skip
VISIBLE_CHARACTER = "[^" + "".join(rf"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in _BLANK_RANGES) + "]"
"""A pattern of one character that shows something, as SQL text of Spark and Sail."""


def is_visible(column: str) -> str:
    """The condition, in SQL, that a text is not blank; null for null."""
    return f"{column} RLIKE '{VISIBLE_CHARACTER}'"


class Layer(StrEnum):
    """The layers of the lake, in the order in which data passes through them."""

    LANDING = "landing"
    BRONZE = "bronze"
    SILVER = "silver"
    QUARANTINE = "quarantine"
    GOLD = "gold"
    RECOMMENDATIONS = "recommendations"


class Cadence(StrEnum):
    """How a table is partitioned."""

    HOURLY = "hourly"
    DAILY = "daily"


class ColumnType(StrEnum):
    """Column types, named as Spark SQL names them."""

    STRING = "string"
    LONG = "bigint"
    INTEGER = "int"
    FLOAT = "float"  # 32 bits
    DOUBLE = "double"
    FLOATS = "array<float>"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"  # microseconds, UTC


class Personal(StrEnum):
    """What the values of a column reveal about a listener. There is no default: whoever adds a column decides."""

    DIRECT = "direct"
    """They name the listener, or are a line or part of one as it came in, which can hold whatever the line holds."""
    QUASI = "quasi"
    """They describe the listener, and several of them together single one out: place, device, gender, registration."""
    LINK = "link"
    """They are the same wherever the listener, the session or the event occurs, so they join rows to a person."""
    NONE = "none"
    """They say nothing of who the listener is. They can still be text of a producer: never markup, never a command."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. ``nullable`` alone decides about null; everything else applies to present values.

    ``is_not_blank``: a text has a visible character (``VISIBLE_CHARACTER``). ``max_length`` counts characters.
    """

    name: str
    type: ColumnType
    description: str
    personal: Personal
    nullable: bool = False
    unit: str | None = None
    allowed: tuple[str | int, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    is_not_blank: bool = False
    max_length: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition, in SQL that Spark and Sail share, that holds for every row; a row for which it is null breaks it."""

    name: str
    condition: str
    description: str


@dataclass(frozen=True, kw_only=True)
class TableContract:
    """The promise that a table makes to its readers.

    ``partition_column`` is the timestamp whose hour (or day) is the row's partition. ``sort_columns`` order the rows of
    a file; if empty, their order stays as it is. ``unique_columns`` identify a row within its partition.
    """

    layer: Layer
    name: str
    description: str
    columns: tuple[Column, ...]
    partition_column: str
    cadence: Cadence = Cadence.HOURLY
    rules: tuple[Rule, ...] = ()
    sort_columns: tuple[str, ...] = ()
    unique_columns: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """``<layer>/<name>``: the table's folder in the lake and, split at the slash, its asset key."""
        return f"{self.layer}/{self.name}"

    @property
    def asset_key(self) -> list[str]:
        return [str(self.layer), self.name]

    def column(self, name: str) -> Column:
        """The column of that name; ``KeyError`` when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.path} has no column '{name}'")


def column_rules(columns: tuple[Column, ...]) -> tuple[Rule, ...]:
    """The rules that columns imply, each named ``<column>_<what>``."""
    return tuple(rule for column in columns for rule in _rules_of(column))


def _rules_of(column: Column) -> Iterator[Rule]:
    name = column.name

    def rule(what: str, condition: str, description: str) -> Rule:
        return Rule(
            name=f"{name}_{what}", condition=f"{name} IS NULL OR {condition}", description=f"`{name}` {description}."
        )

    if not column.nullable:
        yield Rule(name=f"{name}_present", condition=f"{name} IS NOT NULL", description=f"`{name}` is present.")
    if column.allowed:
        values = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in column.allowed)
        yield rule("allowed", f"{name} IN ({values})", f"is one of {values.replace(chr(39), '`')}")
    if column.pattern is not None:
        # Java's $ lets a line feed follow, which Rust's does not; both know \z.
        pattern = column.pattern.removesuffix("$") + (r"\\z" if column.pattern.endswith("$") else "")
        yield rule("pattern", f"{name} RLIKE '{pattern}'", f"matches `{column.pattern}`")
    if column.minimum is not None or column.maximum is not None:
        bounds = [f"{name} >= {column.minimum}"] * (column.minimum is not None)
        bounds += [f"{name} <= {column.maximum}"] * (column.maximum is not None)
        within = " AND ".join(bounds)
        yield Rule(name=f"{name}_range", condition=f"{name} IS NULL OR ({within})", description=f"`{within}`.")
    if column.is_not_blank:
        holds = "holds a character that is no white space, control, invisible or quotation mark"
        yield rule("not_blank", is_visible(name), holds)
    if column.max_length is not None:
        most = column.max_length
        yield rule("length", f"char_length({name}) <= {most}", f"has at most {most:,} characters")
