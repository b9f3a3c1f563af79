"""Keys of the star schema: hashes of natural keys, the same on every engine and on every rebuild.

Facts and dimensions each compute a key from the same columns of silver; neither looks it up in the other.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import UNKNOWN_KEY
from music_platform.tables.states import state_name

_MILLISECONDS_PER_SECOND = 1_000
_MICRODEGREES_PER_DEGREE = 1_000_000


def surrogate_key(*columns: Column) -> Column:
    """16 lower hex digits, those of the columns' ``digest``."""
    return key_of_digest(digest(*columns))


def key_of_digest(number: Column) -> Column:
    """The surrogate key that has this ``digest``."""
    return F.lower(F.lpad(F.hex(number), 16, "0"))


def digest_of_key(key: Column) -> Column:
    """The ``digest`` that a surrogate key writes, bigint."""
    # In halves: engines differ about whole numbers, whose first bit is a sign.
    high, low = (F.conv(F.substring(key, first, 8), 16, 10).cast("bigint") for first in (1, 9))
    return F.shiftleft(high, 32).bitwiseOR(low)


def digest(*columns: Column) -> Column:
    """bigint: xxHash64 over the columns' texts and over which of them are null.

    Columns are texts or integers. Fractions and timestamps must be given as integers: engines write them differently.
    """
    # As text, because the hash of an int differs from that of the bigint of the same value.
    texts = [column.cast("string") for column in columns]
    return F.xxhash64(*(part for text in texts for part in (text, text.isNull())))  # which passes over nulls


def user_key(user_id: Column) -> Column:
    """Key in dim_users; ``UNKNOWN_KEY`` for an anonymous listener."""
    return F.when(user_id.isNull(), UNKNOWN_KEY).otherwise(surrogate_key(user_id))


def song_key(artist: Column, song: Column, duration_seconds: Column) -> Column:
    """Key in dim_songs; ``UNKNOWN_KEY`` without a song."""
    key = surrogate_key(artist, song, duration_milliseconds(duration_seconds))
    return F.when(song.isNull(), UNKNOWN_KEY).otherwise(key)


def artist_key(artist: Column) -> Column:
    """Key in dim_artists; ``UNKNOWN_KEY`` without an artist."""
    return F.when(artist.isNull(), UNKNOWN_KEY).otherwise(surrogate_key(artist))


def location_key(zip_code: Column, city: Column, state: Column, latitude: Column, longitude: Column) -> Column:
    """Key in dim_locations; ``UNKNOWN_KEY`` without a city."""
    return key_of_digest(location_digest(zip_code, city, state, latitude, longitude))


def location_digest(zip_code: Column, city: Column, state: Column, latitude: Column, longitude: Column) -> Column:
    """The ``digest`` of a place, that of ``UNKNOWN_KEY`` without a city. Coordinates count to a millionth of a degree, 11 cm."""
    known = digest(
        zip_code,
        city,
        state,
        _nearest_integer(latitude * _MICRODEGREES_PER_DEGREE),
        _nearest_integer(longitude * _MICRODEGREES_PER_DEGREE),
    )
    return F.when(city.isNull(), F.lit(0).cast("bigint")).otherwise(known)


def session_key(session_id: Column, tag: Column, place: Column, user_agent: Column) -> Column:
    """Key in fact_sessions.

    The session's number alone is not unique: it restarts in every run of a producer. Tag, place and device distinguish such
    sessions and stay the same within one.
    """
    return surrogate_key(session_id, tag, place, user_agent)


def session_columns() -> tuple[Column, ...]:
    """The natural key of the session of a row of silver, in the order of ``session_key``. Without a zip the city is the place."""
    return F.col("session_id"), F.col("tag"), F.coalesce("zip", "city"), F.col("user_agent")


def datetime_key(event_time: Column) -> Column:
    """Key in dim_datetime: YYYYMMDDHH in the session's time zone, which is UTC."""
    on = F.to_date(event_time)  # its parts are extracted faster than a timestamp's
    year = F.year(on).cast("bigint")  # as int, later years would overflow
    return year * 1_000_000 + F.month(on) * 10_000 + F.dayofmonth(on) * 100 + F.hour(event_time)


def duration_milliseconds(duration_seconds: Column) -> Column:
    """Seconds as the nearest whole number of milliseconds, bigint."""
    return _nearest_integer(duration_seconds * _MILLISECONDS_PER_SECOND)


def _nearest_integer(number: Column) -> Column:
    # Not round(): engines round halves differently.
    return F.floor(number + 0.5).cast("bigint")


def session_key_of_event() -> Column:
    """The key in fact_sessions of a row of silver."""
    return session_key(*session_columns())


def with_keys(events: DataFrame) -> DataFrame:
    """Listens or page views of silver with their keys in every dimension, and the name of the state."""
    place = location_key(*(F.col(name) for name in ("zip", "city", "state", "latitude", "longitude")))
    return events.withColumns({
        "session_key": session_key_of_event(),
        "user_key": user_key(F.col("user_id")),
        "song_key": song_key(F.col("artist"), F.col("song"), F.col("duration_seconds")),
        "location_key": place,
        "datetime_key": datetime_key(F.col("event_time")),
        "state_name": state_name(F.col("state")),
    })  # fmt: skip
