"""Numbers that represent hours and the order of events within a transform; no table holds them.

Engines sort by one number faster than by several columns, and for the embedded one, grouping by a timestamp beside another
column costs twice as much as by a number. keys.py has the keys, which tables do hold.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

MICRO, NANO = 1e6, 1e9
"""Parts of a unit. Sums of whole parts are the same in whatever order an engine adds them."""
_MOST_ITEMS_OF_A_MILLISECOND = 100_000


def hour_number(event_time: Column) -> Column:
    """Hours since 1970, bigint."""
    return F.floor(F.unix_seconds(event_time) / F.lit(3_600.0)).cast("bigint")


def event_order(event_time: Column, item_in_session: Column, level: Column) -> Column:
    """Orders events by millisecond, then by place in the session, then free before paid, bigint; ``level_of`` reads the level."""
    place = F.unix_millis(event_time) * _MOST_ITEMS_OF_A_MILLISECOND + item_in_session
    return place * 2 + F.when(level == "paid", 1).otherwise(0)


def level_of(order: Column) -> Column:
    """The level of the event that has this ``event_order``."""
    return F.when(order % 2 == 1, "paid").otherwise("free")


def whole(value: Column, parts: float) -> Column:
    """The value in whole parts of its unit, to the nearest. Not ``round``, in which engines differ on halves."""
    return F.floor(value * F.lit(parts) + F.lit(0.5))
