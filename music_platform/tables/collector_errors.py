"""quarantine/collector_errors: the records that the collector could not file, with the platform's own reason.

Contract and rules only; music_platform.landing.error_records judges the records.
"""

from music_platform.tables.columns import LINEAGE_COLUMNS, text_column, time_column
from music_platform.tables.contract import Layer, Personal, TableContract

ERROR_RECORD_READABLE = "error_record_readable"
TAG_KNOWN = "tag_known"
JSON_OBJECT = "json_object"
TS_EPOCH_MILLISECONDS = "ts_epoch_milliseconds"
ACCEPTED_BY_COLLECTOR = "accepted_by_collector"
NOT_BUFFERED = "not_buffered"  # the collector's reason for an event that it had no room for

COLLECTOR_RULES: dict[str, str] = {
    ERROR_RECORD_READABLE: "The line is an error record as the collector writes them.",
    TAG_KNOWN: "The tag is `eventsim.` and an event type.",
    JSON_OBJECT: "What came in is a JSON object, or an array of them.",
    TS_EPOCH_MILLISECONDS: "`ts` is a number of milliseconds since 1970, of the years 2001 to 2286.",
    ACCEPTED_BY_COLLECTOR: "The collector took the record. One that breaks this rule alone is an event by the rules of now, "
    "and replay lands it.",
}

COLLECTOR_ERRORS = TableContract(
    layer=Layer.QUARANTINE,
    name="collector_errors",
    description="Records that the collector could not file: lines that are no JSON object, records without a usable `ts`, "
    "tags that are no event type. By the hour in which they were collected; those that are events by the rules of now can be "
    "replayed.",
    columns=(
        text_column(
            "rule",
            "Rule that the record breaks by the rules of now: "
            + " ".join(f"`{name}`: {meaning}" for name, meaning in COLLECTOR_RULES.items()),
            allowed=tuple(COLLECTOR_RULES),
            personal=Personal.NONE,
        ),
        text_column(
            "detail",
            "What exactly: the tag, the value, or the parser's message.",
            nullable=True,
            personal=Personal.DIRECT,
        ),
        text_column(
            "raw",
            "The line as it came in, or the record's JSON where the collector had parsed it, of both the first 64 KB; the whole "
            "line of errors/ where that is no error record. Bytes that are not UTF-8 read `\\xNN`.",
            personal=Personal.DIRECT,
        ),
        text_column("tag", "Tag with which the record came in.", nullable=True, personal=Personal.DIRECT),
        text_column("reason", "What the collector itself gave as the reason.", nullable=True, personal=Personal.DIRECT),
        time_column(
            "collected_at",
            "When the record was collected, by the clock of whoever collected it.",
            nullable=True,
            personal=Personal.NONE,
        ),
        *LINEAGE_COLUMNS,
    ),
    partition_column="landed_hour",
    sort_columns=("_object", "_line_number"),
    unique_columns=("_object", "_line_number"),
)
