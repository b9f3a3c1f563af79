"""The dimensions of gold, each day's from the day's silver events and the dimension's own partition of the day before.

A day costs what it holds and what the dimension holds, never what history holds. ``previous`` is None at the beginning of
history; ``day`` is a date as YYYY-MM-DD, in UTC, and the events are that day's alone. Facts' own tables do not belong here.
"""

import calendar
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import UNKNOWN, UNKNOWN_KEY
from music_platform.tables.contract import ColumnType, TableContract
from music_platform.tables.dimensions import (
    DIM_ARTISTS,
    DIM_DATETIME,
    DIM_LOCATIONS,
    DIM_SONGS,
    DIM_USERS,
)
from music_platform.tables.schemas import arrow_schema, spark_schema
from music_platform.tables.transforms.catalogue_seed import catalogue_tracks
from music_platform.tables.transforms.keys import (
    artist_key,
    digest,
    digest_of_key,
    duration_milliseconds,
    key_of_digest,
    location_digest,
    location_key,
    song_key,
    surrogate_key,
    user_key,
)

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
"""Since when the unknown member is valid: no event of silver is earlier."""

DURATION_TOLERANCE_MILLISECONDS = 1_000

# Source: USPS Publication 28, Appendix B, https://pe.usps.com/text/pub28/28apb.htm
STATE_NAMES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii",
    "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana",
    "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi",
    "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey",
    "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma",
    "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington",
    "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming", "AS": "American Samoa", "GU": "Guam",
    "MP": "Northern Mariana Islands", "PR": "Puerto Rico", "VI": "Virgin Islands", "FM": "Federated States of Micronesia",
    "MH": "Marshall Islands", "PW": "Palau", "AA": "Armed Forces Americas", "AE": "Armed Forces Europe",
    "AP": "Armed Forces Pacific",
}  # fmt: skip

_PLACE = ("zip", "city", "state", "latitude", "longitude")
_USER_ATTRIBUTES = ("first_name", "last_name", "gender", "registered_at", "level", "city", "state")
_TRACKED_ATTRIBUTES = ("first_name", "last_name", "gender", "level", "_location")
_TOLD_BY_CATALOGUE = ("track_id", "release", "year", "artist_id", "location", "latitude", "longitude")
_NEVER_PLAYED = {"is_in_catalogue": False, "plays": 0}
_FRIDAY = 5
_USER_WINDOWS = 64


def dim_users(
    previous: DataFrame | None,
    page_views: DataFrame,
    listens: DataFrame,
    auths: DataFrame,
    status_changes: DataFrame,
    day: str,
) -> DataFrame:
    """Versions of users that were open when the day began, and those that started in it; and the unknown member.

    Every event of a known user observes the user's attributes at its time, and a version lasts from the observation that
    differs from the one before until the next that does. A status change observes the new level. Of several observations of
    a user at one instant one counts: the last status change or else the last event, by position in the session and event_id.
    """
    events = [_observations(frame, F.col("level"), is_status_change=False) for frame in (page_views, listens, auths)]
    observations = _observations(status_changes, F.col("new_level"), is_status_change=True)
    for other in events:
        observations = observations.union(other)
    if previous is not None:
        observations = observations.union(_open_versions(previous))
    # One number stands for what is compared: the engine passes over all rows anew for each column that it looks back to.
    observations = observations.withColumn("_state", digest(*(F.col(name) for name in _TRACKED_ATTRIBUTES)))

    # Many users to a window: the embedded engine pays for each window more than for its rows.
    observations = observations.withColumn("_users", F.pmod("user_id", F.lit(_USER_WINDOWS)))
    by_instant = Window.partitionBy("_users").orderBy(
        "user_id", "event_time", "_is_status_change", "item_in_session", "event_id"
    )
    by_time = Window.partitionBy("_users").orderBy("user_id", "event_time")
    following = {"_next_user": F.lead("user_id").over(by_instant), "_next_time": F.lead("event_time").over(by_instant)}
    is_last_of_user = F.col("_next_user").isNull() | (F.col("_next_user") != F.col("user_id"))
    followed = observations.withColumns(following)
    counted = followed.filter(is_last_of_user | (F.col("_next_time") != F.col("event_time"))).drop(*following)
    before = {"_previous_user": F.lag("user_id").over(by_time), "_previous_state": F.lag("_state").over(by_time)}
    is_first_of_user = F.col("_previous_user").isNull() | (F.col("_previous_user") != F.col("user_id"))
    differs = is_first_of_user | (F.col("_previous_state") != F.col("_state"))
    versions = counted.withColumns(before).filter(differs).withColumns({
        "_next_user": F.lead("user_id").over(by_time),
        "_next_time": F.lead("event_time").over(by_time),
    })  # fmt: skip
    is_followed = F.col("_next_user") == F.col("user_id")
    versions = versions.withColumn("valid_to", F.when(is_followed, F.col("_next_time")))
    described = versions.select(
        user_key(F.col("user_id")).alias("user_key"),
        surrogate_key(F.col("user_id"), F.unix_micros("event_time")).alias("user_version_key"),
        "user_id",
        *_USER_ATTRIBUTES,
        key_of_digest(F.col("_location")).alias("location_key"),
        F.col("event_time").alias("valid_from"),
        "valid_to",
        F.col("valid_to").isNull().alias("is_current"),
    )
    unknown = _unknown_member(listens.sparkSession, DIM_USERS, day, {"valid_from": BEGINNING, "is_current": True})
    return _snapshot(described, DIM_USERS, day).union(unknown)


def as_of(facts: DataFrame, users: DataFrame, columns: Sequence[str] = ("user_version_key",)) -> DataFrame:
    """Facts (with user_key and event_time) with columns of the user's version that was valid at the event; none is lost.

    ``users`` are the partitions of dim_users of the facts' days, one or many. The added columns are null where those hold no
    valid version; name only columns that the facts do not have.
    """
    versions = users.select(
        F.col("user_key").alias("_user_key"),
        F.col("day").alias("_day"),
        F.col("valid_from").alias("_valid_from"),
        F.col("valid_to").alias("_valid_to"),
        *columns,
    )
    is_valid = (F.col("user_key") == F.col("_user_key")) & (F.date_trunc("DAY", "event_time") == F.col("_day"))
    is_valid = is_valid & (F.col("event_time") >= F.col("_valid_from"))
    is_valid = is_valid & (F.col("_valid_to").isNull() | (F.col("event_time") < F.col("_valid_to")))
    return facts.join(versions, is_valid, "left").drop("_user_key", "_day", "_valid_from", "_valid_to")


def dim_songs(previous: DataFrame | None, listens: DataFrame, catalogue: DataFrame | None, day: str) -> DataFrame:
    """The songs played so far and the catalogue's other tracks, as the catalogue is now; and the unknown member.

    A played song is the track of the same artist and title whose length is nearest, at most one second away; of equally near
    ones that with the smallest track_id. ``catalogue`` has the columns of catalogue_seed.py.
    """
    spark = listens.sparkSession
    keyed = listens.select(
        song_key(F.col("artist"), F.col("song"), F.col("duration_seconds")).alias("song_key"),
        "artist",
        F.col("song").alias("title"),
        "duration_seconds",
        "event_time",
    )
    song = ("song_key", "artist", "title")
    today = keyed.groupBy(*song).agg(F.min("duration_seconds").alias("duration_seconds"), *_plays_of_events())
    played = _with_earlier_plays(today, previous, song, ("duration_seconds",))
    played = played.withColumn("artist_key", artist_key(F.col("artist")))
    unknown = _unknown_member(spark, DIM_SONGS, day, _NEVER_PLAYED)
    if catalogue is None:
        return _snapshot(_outside_catalogue(played, DIM_SONGS), DIM_SONGS, day).union(unknown)

    tracks = catalogue_tracks(catalogue)
    candidates = tracks.select(
        F.col("song_key").alias("_track_key"),
        F.col("artist").alias("_artist"),
        F.col("title").alias("_title"),
        duration_milliseconds(F.col("duration_seconds")).alias("_track_milliseconds"),
        "track_id",
        "release",
        "year",
    )
    measured = played.withColumn("_milliseconds", duration_milliseconds(F.col("duration_seconds")))
    distance = F.abs(F.col("_milliseconds") - F.col("_track_milliseconds"))
    is_same = (F.col("artist") == F.col("_artist")) & (F.col("title") == F.col("_title"))
    joined = measured.join(candidates, is_same & (distance <= DURATION_TOLERANCE_MILLISECONDS), "left")
    by_distance = Window.partitionBy("song_key").orderBy(distance, F.asc_nulls_last("track_id"), "_track_key")
    ranked = joined.withColumn("_rank", F.row_number().over(by_distance)).filter(F.col("_rank") == 1)
    matched = ranked.withColumn("is_in_catalogue", F.col("_track_key").isNotNull())
    found = matched.filter(F.col("is_in_catalogue")).select(F.col("_track_key").alias("song_key")).distinct()
    unplayed = tracks.join(found, "song_key", "left_anti").withColumns(_no_plays())

    members = _snapshot(matched, DIM_SONGS, day).union(_snapshot(unplayed, DIM_SONGS, day))
    return members.union(unknown)


def dim_artists(previous: DataFrame | None, listens: DataFrame, catalogue: DataFrame | None, day: str) -> DataFrame:
    """The artists played so far and the catalogue's others, as the catalogue is now; and the unknown member.

    Artists are told apart by name. Where the catalogue has several under one name, one whose coordinates are known describes
    it, or else whose location is, and of those the smallest artist_id. ``catalogue`` has the columns of catalogue_seed.py.
    """
    spark = listens.sparkSession
    by_name = listens.groupBy("artist").agg(*_plays_of_events())
    today = by_name.withColumn("artist_key", artist_key(F.col("artist")))
    played = _with_earlier_plays(today, previous, ("artist_key", "artist"), ())
    unknown = _unknown_member(spark, DIM_ARTISTS, day, _NEVER_PLAYED)
    if catalogue is None:
        return _snapshot(_outside_catalogue(played, DIM_ARTISTS), DIM_ARTISTS, day).union(unknown)

    by_description = Window.partitionBy("artist_key").orderBy(
        F.col("latitude").isNull(),
        F.col("location").isNull(),
        *(F.asc_nulls_last(name) for name in ("artist_id", "location", "latitude", "longitude")),
    )
    ranked = catalogue_tracks(catalogue).withColumn("_rank", F.row_number().over(by_description))
    described = ranked.filter(F.col("_rank") == 1).select(
        "artist_key", "artist", "artist_id", "location", "latitude", "longitude", F.lit(True).alias("is_in_catalogue")
    )
    matched = played.join(described.drop("artist"), "artist_key", "left")
    known = matched.withColumn("is_in_catalogue", F.col("is_in_catalogue").isNotNull())
    unplayed = described.join(played.select("artist_key"), "artist_key", "left_anti").withColumns(_no_plays())
    members = _snapshot(known, DIM_ARTISTS, day).union(_snapshot(unplayed, DIM_ARTISTS, day))
    return members.union(unknown)


def dim_locations(
    previous: DataFrame | None,
    page_views: DataFrame,
    listens: DataFrame,
    auths: DataFrame,
    status_changes: DataFrame,
    day: str,
) -> DataFrame:
    """The places that events came from so far, known listeners' or not; and the unknown member."""
    first, *others = (frame.select(*_PLACE, "event_time") for frame in (page_views, listens, auths, status_changes))
    for other in others:
        first = first.union(other)
    today = first.groupBy(*_PLACE).agg(F.min("event_time").alias("first_seen_at"))
    names = ("location_key", *_PLACE, "first_seen_at")
    seen = today.withColumn("location_key", location_key(*(F.col(name) for name in _PLACE))).select(*names)
    if previous is not None:
        seen = seen.union(previous.filter(F.col("location_key") != UNKNOWN_KEY).select(*names))
    places = seen.groupBy("location_key", "zip", "city", "state").agg(
        *(F.min(name).alias(name) for name in ("latitude", "longitude", "first_seen_at"))
    )
    named = places.withColumn("state_name", state_name(F.col("state")))
    unknown = _unknown_member(listens.sparkSession, DIM_LOCATIONS, day, {"first_seen_at": BEGINNING})
    return _snapshot(named, DIM_LOCATIONS, day).union(unknown)


def state_name(state: Column) -> Column:
    """The name of a US state or territory by its postal abbreviation; ``Unknown`` for any other text and for null."""
    # Not a map literal, which Sail makes anew for every row.
    (first, first_name), *others = STATE_NAMES.items()
    name = F.when(state == first, first_name)
    for code, code_name in others:
        name = name.when(state == code, code_name)
    return name.otherwise(UNKNOWN)


def dim_datetime(spark: SparkSession, day: str) -> DataFrame:
    """The day's 24 hours. Source of the holidays: the package holidays, federal holidays of the USA."""
    import holidays  # a second that only this table pays

    on = date.fromisoformat(day)
    start = datetime(on.year, on.month, on.day, tzinfo=UTC)
    holiday = holidays.country_holidays("US", years=on.year).get(on)
    of_day = {
        "calendar_date": day,
        "year": on.year,
        "quarter": (on.month + 2) // 3,
        "month": on.month,
        "month_name": calendar.month_name[on.month],
        "day_of_month": on.day,
        "week_of_year": on.isocalendar().week,
        "weekday": on.isoweekday(),
        "weekday_name": calendar.day_name[on.weekday()],
        "is_weekend": on.isoweekday() > _FRIDAY,
        "is_us_holiday": holiday is not None,
        "holiday_name": holiday,
        "day": start,
    }
    first_key = int(f"{on:%Y%m%d}00")
    hours = [
        {"datetime_key": first_key + hour, "hour_time": start + timedelta(hours=hour), "hour": hour}
        for hour in range(24)
    ]
    table = pa.Table.from_pylist([of_day | of_hour for of_hour in hours], arrow_schema(DIM_DATETIME.columns))
    return spark.createDataFrame(table, spark_schema(DIM_DATETIME.columns))


def _observations(events: DataFrame, level: Column, *, is_status_change: bool) -> DataFrame:
    """What the events of known users say of them, and what orders observations of the same instant."""
    return events.filter(F.col("user_id").isNotNull()).select(
        "user_id",
        "event_time",
        F.lit(is_status_change).alias("_is_status_change"),
        "item_in_session",
        "event_id",
        "first_name",
        "last_name",
        "gender",
        "registered_at",
        level.alias("level"),
        "city",
        "state",
        # Its number while the observations are sorted: a key is a text of twice the size, and dear to make for each.
        location_digest(*(F.col(name) for name in _PLACE)).alias("_location"),
    )


def _open_versions(previous: DataFrame) -> DataFrame:
    """The versions that were open at the previous day's end, as observations of the time when they started."""
    return previous.filter(F.col("is_current") & F.col("user_id").isNotNull()).select(
        "user_id",
        F.col("valid_from").alias("event_time"),
        F.lit(False).alias("_is_status_change"),
        F.lit(0).alias("item_in_session"),
        F.lit("").alias("event_id"),
        *_USER_ATTRIBUTES,
        digest_of_key(F.col("location_key")).alias("_location"),
    )


def _plays_of_events() -> list[Column]:
    return [
        F.min("event_time").alias("first_played_at"),
        F.max("event_time").alias("last_played_at"),
        F.count("*").alias("plays"),
    ]


def _with_earlier_plays(
    today: DataFrame, previous: DataFrame | None, natural_key: Sequence[str], attributes: Sequence[str]
) -> DataFrame:
    """The day's plays by natural key, added to those of the days before; of an attribute the smallest value."""
    names = (*natural_key, *attributes, "first_played_at", "last_played_at", "plays")
    plays = today.select(*names)
    if previous is None:
        return plays
    return (
        plays.union(previous.filter(F.col("plays") > 0).select(*names))
        .groupBy(*natural_key)
        .agg(
            *(F.min(name).alias(name) for name in attributes),
            F.min("first_played_at").alias("first_played_at"),
            F.max("last_played_at").alias("last_played_at"),
            F.sum("plays").alias("plays"),
        )
    )


def _outside_catalogue(played: DataFrame, contract: TableContract) -> DataFrame:
    """Played members where there is no catalogue: null in what it alone would tell."""
    untold = {
        column.name: F.lit(None).cast(str(column.type))
        for column in contract.columns
        if column.name in _TOLD_BY_CATALOGUE
    }
    return played.withColumns({**untold, "is_in_catalogue": F.lit(False)})


def _no_plays() -> dict[str, Column]:
    never = F.lit(None).cast("timestamp")
    return {
        "is_in_catalogue": F.lit(True),
        "first_played_at": never,
        "last_played_at": never,
        "plays": F.lit(0).cast("bigint"),
    }


def _snapshot(members: DataFrame, contract: TableContract, day: str) -> DataFrame:
    """The members with the day, in the contract's columns."""
    dated = members.withColumn("day", _start_of(day))
    return dated.select(*(column.name for column in contract.columns))


def _unknown_member(
    spark: SparkSession, contract: TableContract, day: str, others: Mapping[str, bool | int | datetime]
) -> DataFrame:
    """One row: keys all zeros, texts ``Unknown``, null where that is allowed, but for the columns in ``others``."""
    columns = []
    for column in contract.columns:
        value = F.lit(None)
        if column.name == "day":
            value = _start_of(day)
        elif column.name in others:
            value = _literal(others[column.name])
        elif column.name.endswith("_key"):
            value = F.lit(UNKNOWN_KEY)
        elif column.type is ColumnType.STRING and not column.nullable:
            value = F.lit(UNKNOWN)
        columns.append(value.cast(str(column.type)).alias(column.name))
    return spark.range(1).select(*columns)


def _start_of(day: str) -> Column:
    return _literal(datetime.fromisoformat(day).replace(tzinfo=UTC))


def _literal(value: bool | int | datetime) -> Column:
    # A timestamp by its number: as a text it would depend on time zones.
    return F.timestamp_seconds(F.lit(int(value.timestamp()))) if isinstance(value, datetime) else F.lit(value)
