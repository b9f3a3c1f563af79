"""Keys of the star schema: hashes of natural keys, the same on every engine and on every rebuild.

Facts and dimensions compute a key on their own, from the same columns of silver; neither looks it up in the other.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.contracts.columns import UNKNOWN_KEY

SESSION_COLUMNS = ("session_id", "tag", "zip", "user_agent")
"""The natural key of a session, in the order of ``session_key``."""

_MILLISECONDS_PER_SECOND = 1_000
_MICRODEGREES_PER_DEGREE = 1_000_000


def surrogate_key(*columns: Column) -> Column:
    """16 lower hex digits, those of the columns' ``digest``."""
    return F.lower(F.lpad(F.hex(digest(*columns)), 16, "0"))


def digest(*columns: Column) -> Column:
    """bigint: xxHash64 over the columns' texts and over which of them are null.

    Columns are texts or integers. Fractions and timestamps must come as integers: engines write them differently.
    """
    # As text, because the hash of an int differs from that of the bigint of the same value.
    texts = [column.cast("string") for column in columns]
    return F.xxhash64(*(part for text in texts for part in (text, text.isNull())))  # which passes over nulls


def user_key(user_id: Column) -> Column:
    """Key in dim_users; ``UNKNOWN_KEY`` for an anonymous listener."""
    return F.when(user_id.isNull(), UNKNOWN_KEY).otherwise(surrogate_key(user_id))


def song_key(artist: Column, song: Column, duration_seconds: Column) -> Column:
    """Key in dim_songs; ``UNKNOWN_KEY`` where there is no song."""
    key = surrogate_key(artist, song, duration_milliseconds(duration_seconds))
    return F.when(song.isNull(), UNKNOWN_KEY).otherwise(key)


def artist_key(artist: Column) -> Column:
    """Key in dim_artists; ``UNKNOWN_KEY`` where there is no artist."""
    return F.when(artist.isNull(), UNKNOWN_KEY).otherwise(surrogate_key(artist))


def location_key(zip_code: Column, city: Column, state: Column, latitude: Column, longitude: Column) -> Column:
    """Key in dim_locations. Coordinates count to a millionth of a degree, 11 cm."""
    return surrogate_key(
        zip_code,
        city,
        state,
        _nearest_integer(latitude * _MICRODEGREES_PER_DEGREE),
        _nearest_integer(longitude * _MICRODEGREES_PER_DEGREE),
    )


def session_key(session_id: Column, tag: Column, zip_code: Column, user_agent: Column) -> Column:
    """Key in fact_sessions.

    The session's number alone is none: it restarts in every run of a producer. Tag, place and device tell such sessions
    apart, and stay the same within one.
    """
    return surrogate_key(session_id, tag, zip_code, user_agent)


def datetime_key(event_time: Column) -> Column:
    """Key in dim_datetime: YYYYMMDDHH in the session's time zone, which is UTC."""
    year = F.year(event_time).cast("bigint")  # as int, later years would overflow
    return year * 1_000_000 + F.month(event_time) * 10_000 + F.dayofmonth(event_time) * 100 + F.hour(event_time)


def duration_milliseconds(duration_seconds: Column) -> Column:
    """Seconds as the nearest whole number of milliseconds, bigint."""
    return _nearest_integer(duration_seconds * _MILLISECONDS_PER_SECOND)


def _nearest_integer(number: Column) -> Column:
    # Not round(): of halves, engines make different numbers.
    return F.floor(number + 0.5).cast("bigint")
