"""Silver and quarantine, from one pass over bronze: typed, repaired, judged by the contract's rules, each event once.

Every bronze row gets exactly one destination, so that the counts of silver, duplicates and quarantine add up to bronze.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.contract import ColumnType, is_visible
from music_platform.tables.events import EventContract
from music_platform.tables.events.event import EARLIEST_MILLISECONDS, LATEST_MILLISECONDS
from music_platform.tables.silver import silver_contract
from music_platform.tables.transforms.breaches import breaches
from music_platform.tables.transforms.text import USER_AGENT_PARTS, parse_user_agent, repair_texts

DESTINATION_COLUMN = "_destination"
SILVER, QUARANTINE, DUPLICATE = "silver", "quarantine", "duplicate"

_SEPARATOR = "\u001f"
_ABSENT = "\u0000"


def silver_or_quarantine(bronze: DataFrame, event: EventContract) -> DataFrame:
    """Bronze rows with the columns of the event type's silver and quarantine tables and ``_destination``.

    ``_destination`` is ``silver``, ``quarantine`` or ``duplicate``: an event that a retry of the collector repeated within the
    hour. Of equal rows the first in the order of landing stays. A line at fault is never a duplicate.
    """
    contract = silver_contract(event)
    identified = bronze.withColumn("event_id", event_id(event))
    typed = identified.select(
        *_silver_columns(event),
        *("_rescued", "_raw", "_fault", "_fault_detail", "_object", "_line_number", "landed_hour"),
        _record(event).alias("_record"),
    )
    typed = repair_texts(typed, [field.column.name for field in event.fields if field.is_text])
    optional = [field.column.name for field in event.fields if field.is_text and not field.column.is_not_blank]
    typed = typed.withColumns({name: F.when(F.expr(is_visible(name)), F.col(name)) for name in optional})
    typed = typed.withColumn("_agent", parse_user_agent(F.col("user_agent")))
    typed = typed.withColumns({part: F.col(f"_agent.{part}") for part in USER_AGENT_PARTS})
    obeys_all = F.expr(" AND ".join(f"coalesce({rule.condition}, false)" for rule in contract.rules))
    names_of_broken = F.concat_ws(
        ",",
        *(F.when(~F.coalesce(F.expr(rule.condition), F.lit(False)), rule.name) for rule in contract.rules),
    )
    # Judged before the window, so that the record's raw form need not travel to it with every row.
    judged = typed.withColumn("_obeys_all", obeys_all)
    judged = judged.withColumn("broken_rules", F.when(~F.col("_obeys_all"), names_of_broken))
    judged = judged.withColumn("raw", F.when(~F.col("_obeys_all"), F.coalesce("_raw", _rebuilt_record())))
    broken = breaches(
        event, F.col("broken_rules"), F.col("raw"), F.col("_raw").isNotNull(), F.col("_fault"), F.col("_fault_detail")
    )
    judged = judged.withColumn("_breaches", broken)
    judged = judged.select(
        *(column.name for column in contract.columns),
        F.substring_index("_breaches.broken_rules", ",", 1).alias("rule"),
        "_breaches.broken_rules",
        "_breaches.detail",
        "raw",
        "_object",
        "_line_number",
        "landed_hour",
        "_obeys_all",
    )
    # One window by hour, not by hour and event: rows of an hour meet in one task, and so become one file of the hour,
    # without another shuffle. Equal events have equal times, so its order can be silver's own.
    by_event = Window.partitionBy("landed_hour").orderBy(*contract.sort_columns, "_object", "_line_number")
    judged = judged.withColumn("_previous_event_id", F.lag("event_id").over(by_event))
    destination = F.when(F.col("_previous_event_id") == F.col("event_id"), DUPLICATE)
    destination = destination.when(F.col("_obeys_all"), SILVER).otherwise(QUARANTINE)
    return judged.withColumn(DESTINATION_COLUMN, destination).drop("_obeys_all", "_previous_event_id")


def event_id(event: EventContract) -> Column:
    """The fingerprint of a bronze row: 32 hex digits, the first 128 bits of SHA-256.

    It covers the event type and every original field of the record, including unknown fields. Texts and numbers with a fraction
    enter by their bits as well (xxhash64): text may hold what separates the fields here or stands for an absent one, and
    engines write fractions differently. A line at fault is identified by its place too: its content is not known well enough to
    call it a repetition.
    """
    first_fields = [field for field in event.fields if not field.is_added]
    written = [field.key for field in first_fields if field.key_type is not ColumnType.DOUBLE]
    texts = [F.lit(event.name), *(F.coalesce(F.col(key).cast("string"), F.lit(_ABSENT)) for key in written)]
    in_bits = [field.key for field in first_fields if field.key_type in (ColumnType.STRING, ColumnType.DOUBLE)]
    bits = F.xxhash64(*(part for key in in_bits for part in (F.col(key), F.col(key).isNull())))
    texts += [bits.cast("string"), F.coalesce("_rescued", F.lit(_ABSENT))]
    texts.append(
        F.when(
            F.col("_fault").isNotNull(),
            F.concat_ws(
                _SEPARATOR, "_object", F.col("_line_number").cast("string"), F.coalesce("_raw", F.lit(_ABSENT))
            ),
        ).otherwise("")
    )
    for field in event.fields:
        if field.is_added:  # null passes over in concat_ws, so that nothing changes where the field is absent
            value = F.col(field.key)
            texts.append(F.when(value.isNotNull(), F.concat_ws(_SEPARATOR, F.lit(field.key), value, F.xxhash64(value))))
    return F.substring(F.sha2(F.concat_ws(_SEPARATOR, *texts), 256), 1, 32)


def _silver_columns(event: EventContract) -> list[Column]:
    columns = [F.col("event_id")]
    for field in event.fields:
        name, wanted = field.column.name, field.column.type
        value = F.col(field.key)
        if wanted is ColumnType.TIMESTAMP:
            value = F.timestamp_millis(F.when(value.between(EARLIEST_MILLISECONDS, LATEST_MILLISECONDS), value))
        elif wanted is not field.key_type:
            value = value.try_cast(str(wanted))
        columns.append(value.alias(name))
        if name == "previous_level":
            columns.append(F.when(F.col(field.key) == "free", "paid").when(F.col(field.key) == "paid", "free")
                           .alias("new_level"))  # fmt: skip
    return columns


def _record(event: EventContract) -> Column:
    return F.struct(*(F.col(field.key) for field in event.fields))


def _rebuilt_record() -> Column:
    """The record as JSON, from ``_record`` and ``_rescued``: the line itself is not kept if these reproduce it."""
    known, unknown = F.to_json("_record"), F.col("_rescued")
    both = F.concat(F.substring(known, F.lit(1), F.length(known) - 1), F.lit(","), F.substr(unknown, F.lit(2)))
    return F.when(unknown.isNull(), known).when(known == "{}", unknown).otherwise(both)
