"""The peer of gold: every gold table of one day as a hand-written Polars script, without a platform.

It reads the day's silver once, keeps in memory what later tables are made from, and writes the same columns in the same order,
as zstd Parquet (one file an hour or a day). It leaves out what a script leaves out: manifests and atomic publishing, reading
its own tables back, days around and before (there are none), and a catalogue of songs. Keys are Polars' own hashes of the
same natural keys, written as text: other keys than the platform's, which tell the same things apart.

    python -m benchmarks.polars_gold_peer LAKE OUTPUT DAY
"""

from __future__ import annotations

import calendar
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from music_platform.tables.catalogue import GOLD
from music_platform.tables.columns import UNKNOWN, UNKNOWN_KEY
from music_platform.tables.contract import ColumnType, TableContract
from music_platform.tables.gold.level_funnel import STAGE_OF_LEVEL, STAGE_OF_PAGE, STAGE_OF_PREVIOUS_LEVEL, STAGES
from music_platform.tables.gold.user_song_interactions import (
    LEAST_SCORE,
    PLAY_WEIGHT,
    SCORE_HALF_LIFE_DAYS,
    SKIPPED_PLAY_WEIGHT,
)
from music_platform.tables.rankings import TOP_RANKS
from music_platform.tables.snapshots import BEGINNING
from music_platform.tables.states import STATE_NAMES

_PLACE = ("zip", "city", "state", "latitude", "longitude")
_TRACKED = ("first_name", "last_name", "gender", "level", "location_key")
_TYPES = {
    ColumnType.STRING: pl.String,
    ColumnType.LONG: pl.Int64,
    ColumnType.INTEGER: pl.Int32,
    ColumnType.DOUBLE: pl.Float64,
    ColumnType.BOOLEAN: pl.Boolean,
    ColumnType.TIMESTAMP: pl.Datetime("us", "UTC"),
}
_ORDER = (pl.col("event_time").dt.epoch("ms") * 100_000 + pl.col("item_in_session") + 1) * 2 + (
    pl.col("level") == "paid"
).cast(pl.Int64)
_LISTENING = {
    "plays": pl.len().cast(pl.Int64),
    "listeners": pl.col("user_key").n_unique().cast(pl.Int64),
    "played_seconds": pl.col("microseconds").sum() / 1e6,
    "skips": pl.col("is_skipped").sum().cast(pl.Int64),
}
_PLAYED = {
    "first_played_at": pl.col("event_time").min(),
    "last_played_at": pl.col("event_time").max(),
    "plays": pl.len().cast(pl.Int64),
}


def build(lake: Path, output: Path, day: str) -> None:
    """All tables, in an order in which each finds what it is made from."""
    listens, views, auths, changes = (
        _keyed(_read(lake, name, day))
        for name in ("listen_events", "page_view_events", "auth_events", "status_change_events")
    )
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)

    def write(name: str, rows: pl.DataFrame) -> None:
        _write(rows.with_columns(day=pl.lit(midnight, _TYPES[ColumnType.TIMESTAMP])), GOLD[name], output, day)

    listens = listens.with_columns(next_event_time=_next_event_times(listens, views))
    in_hour = pl.col("next_event_time").dt.truncate("1h") == pl.col("event_time").dt.truncate("1h")
    within_hour = listens.with_columns(next_event_time=pl.when(in_hour).then("next_event_time"))
    _write_hours(_with_played_seconds(within_hour), GOLD["fact_streams"], output)
    _write_hours(views, GOLD["fact_page_views"], output)
    plays = _with_played_seconds(listens).with_columns(microseconds=_whole(pl.col("played_seconds"), 1e6).fill_null(0))
    write("fact_plays", plays)
    parts = _session_days(views, plays)
    write("session_days", parts)
    write("fact_sessions", _sessions(parts))

    write("dim_users", _users(views, listens, auths, changes))
    songs = listens.group_by("song_key", "artist_key", "artist", title="song").agg(
        pl.col("duration_seconds").min(), **_PLAYED
    )
    songs = _with_unknown(
        songs.with_columns(is_in_catalogue=False), "dim_songs", {"is_in_catalogue": False, "plays": 0}
    )
    write("dim_songs", songs)
    artists = listens.group_by("artist_key", "artist").agg(**_PLAYED).with_columns(is_in_catalogue=False)
    artists = _with_unknown(artists, "dim_artists", {"is_in_catalogue": False, "plays": 0})
    write("dim_artists", artists)
    places = pl.concat(
        frame.select(*_PLACE, "location_key", "state_name", "event_time") for frame in (views, listens, auths, changes)
    )
    places = places.group_by("location_key", "zip", "city", "state", "state_name").agg(
        pl.col("latitude", "longitude").min(), first_seen_at=pl.col("event_time").min()
    )
    write("dim_locations", _with_unknown(places, "dim_locations", {"first_seen_at": BEGINNING}))
    write("dim_datetime", _hours(midnight))

    activity = _user_activity(views, plays)
    write("user_activity", activity)
    active = pl.col("last_active_at").is_not_null().sum().cast(pl.Int64)
    names = ("active_1_day", "active_7_days", "active_30_days", "users")
    write("active_users", activity.select(active.alias(name) for name in names))
    write("retention_cohorts", _cohorts(activity, midnight))
    write("top_songs", _top(plays, songs, "song_key", "title", "artist"))
    write("top_artists", _top(plays, artists, "artist_key", "artist"))
    by_hour = plays.group_by("state", "level", hour_time=pl.col("event_time").dt.truncate("1h")).agg(**_LISTENING)
    write("hourly_plays", by_hour)
    write("level_funnel", _funnel(views, changes))
    write("login_success", _logins(auths, views))
    write("user_song_interactions", _interactions(plays, midnight))


def _read(lake: Path, name: str, day: str) -> pl.DataFrame:
    return pl.read_parquet(f"{lake}/silver/{name}/date={day}/hour=*/*.parquet", hive_partitioning=False)


def _key(*columns: str | pl.Expr) -> pl.Expr:
    return pl.struct(*columns).hash().cast(pl.String)


def _keyed(events: pl.DataFrame) -> pl.DataFrame:
    degrees = [_whole(pl.col(name), 1e6).alias(name) for name in ("latitude", "longitude")]
    keyed = events.lazy().with_columns(
        session_number=pl.struct("session_id", "tag", "zip", "user_agent").hash(),
        user_key=pl.when(pl.col("user_id").is_null()).then(pl.lit(UNKNOWN_KEY)).otherwise(_key("user_id")),
        location_key=_key("zip", "city", "state", *degrees),
        state_name=pl.col("state").replace_strict(STATE_NAMES, default=UNKNOWN),
        datetime_key=pl.col("event_time").dt.strftime("%Y%m%d%H").cast(pl.Int64),
    )
    if "song" in events.columns:
        song = _key("artist", "song", _whole(pl.col("duration_seconds"), 1e3).alias("milliseconds"))
        keyed = keyed.with_columns(
            song_key=pl.when(pl.col("song").is_null()).then(pl.lit(UNKNOWN_KEY)).otherwise(song),
            artist_key=pl.when(pl.col("artist").is_null()).then(pl.lit(UNKNOWN_KEY)).otherwise(_key("artist")),
        )
    return keyed.with_columns(session_key=pl.col("session_number").cast(pl.String)).collect()


def _next_event_times(listens: pl.DataFrame, views: pl.DataFrame) -> pl.Series:
    """For each listen, in their order."""
    columns = ("session_number", "event_time", "item_in_session")
    others = views.select(*columns, event_id=pl.lit(None, pl.String), row=pl.lit(None, pl.UInt32))
    events = pl.concat([others, listens.with_row_index("row").select(*columns, "event_id", "row")])
    # A null comes first: a listen follows the page view that is its twin.
    events = events.sort(*columns, "event_id")
    same = pl.col("session_number").shift(-1) == pl.col("session_number")
    events = events.with_columns(next_event_time=pl.when(same).then(pl.col("event_time").shift(-1)))
    return events.filter(pl.col("row").is_not_null()).sort("row")["next_event_time"]


def _with_played_seconds(listens: pl.DataFrame) -> pl.DataFrame:
    until_next = (pl.col("next_event_time") - pl.col("event_time")).dt.total_microseconds() / 1e6
    played = pl.when(until_next.is_not_null()).then(pl.min_horizontal(until_next, "duration_seconds"))
    return listens.with_columns(played_seconds=played).with_columns(
        is_skipped=pl.col("played_seconds") < pl.col("duration_seconds").floor()
    )


def _session_days(views: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    shared = (
        "session_key",
        "session_id",
        "location_key",
        "user_id",
        "user_key",
        "event_time",
        "item_in_session",
        "level",
    )
    songs = plays.select(*shared, "is_skipped", "played_seconds", page=pl.lit("NextSong"), is_view=pl.lit(False))
    events = pl.concat([views.select(*shared, "page", "status", is_view=pl.lit(True)), songs], how="diagonal")
    return (
        events.sort("event_time", "item_in_session")
        .group_by("session_key")
        .agg(
            pl.col("session_id", "location_key").min(),
            pl.col("user_key").filter(pl.col("user_id").is_not_null()).max().fill_null(UNKNOWN_KEY),
            started_at=pl.col("event_time").first(),
            ended_at=pl.col("event_time").last(),
            entry_page=pl.col("page").first(),
            exit_page=pl.col("page").last(),
            level_at_start=pl.col("level").first(),
            level_at_end=pl.col("level").last(),
            page_views=pl.col("is_view").sum().cast(pl.Int64),
            pages=(pl.col("page") != "NextSong").sum().cast(pl.Int64),
            songs=(~pl.col("is_view")).sum().cast(pl.Int64),
            skips=pl.col("is_skipped").sum().cast(pl.Int64),
            played_seconds=pl.col("played_seconds").sum().round(6),
            errors=((pl.col("page") == "Error") | (pl.col("status") == 404)).sum().cast(pl.Int64),
            is_converted=(pl.col("page") == "Submit Upgrade").any(),
            is_downgraded=(pl.col("page") == "Submit Downgrade").any(),
            is_cancelled=(pl.col("page") == "Cancellation Confirmation").any(),
        )
    )


def _sessions(parts: pl.DataFrame) -> pl.DataFrame:
    """The parts of a session put together; here each has the one."""
    sessions = (
        parts.sort("started_at")
        .group_by("session_key")
        .agg(
            pl.col("session_id", "location_key", "started_at").min(),
            pl.col("user_key", "ended_at", "is_converted", "is_downgraded", "is_cancelled").max(),
            pl.col("entry_page", "level_at_start").first(),
            pl.col("exit_page", "level_at_end").last(),
            pl.col("page_views", "pages", "songs", "skips", "errors").sum(),
            pl.col("played_seconds").sum().round(6),
        )
    )
    seconds = (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1e6
    return sessions.with_columns(duration_seconds=seconds)


def _users(views: pl.DataFrame, listens: pl.DataFrame, auths: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    changes = changes.with_columns(level="new_level")
    columns = (
        "user_id",
        "user_key",
        "event_time",
        "item_in_session",
        "event_id",
        "registered_at",
        "city",
        "state",
        *_TRACKED,
    )
    observations = pl.concat(
        frame.filter(pl.col("user_id").is_not_null()).select(*columns, is_change=pl.lit(frame is changes))
        for frame in (views, listens, auths, changes)
    )
    observations = observations.sort("user_id", "event_time", "is_change", "item_in_session", "event_id")
    is_last = (pl.struct("user_id", "event_time") != pl.struct("user_id", "event_time").shift(-1)).fill_null(True)
    observations = observations.filter(is_last)
    differs = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in ("user_id", *_TRACKED))
    versions = observations.filter(differs.fill_null(True))
    valid_to = pl.when(pl.col("user_id") == pl.col("user_id").shift(-1)).then(pl.col("event_time").shift(-1))
    versions = versions.with_columns(valid_to=valid_to).with_columns(
        user_version_key=_key("user_id", "event_time"),
        valid_from="event_time",
        is_current=pl.col("valid_to").is_null(),
    )
    return _with_unknown(versions, "dim_users", {"valid_from": BEGINNING, "is_current": True})


def _with_unknown(members: pl.DataFrame, name: str, others: dict[str, Any]) -> pl.DataFrame:
    columns = [column for column in GOLD[name].columns if column.name != "day"]
    row = {column.name: None if column.nullable else UNKNOWN for column in columns}
    row |= {column.name: UNKNOWN_KEY for column in columns if column.name.endswith("_key")} | others
    unknown = pl.DataFrame([row], schema={column.name: _TYPES[column.type] for column in columns}, orient="row")
    absent = [pl.lit(None, _TYPES[c.type]).alias(c.name) for c in columns if c.name not in members.columns]
    return pl.concat([members.with_columns(absent).select(unknown.columns), unknown])


def _hours(midnight: datetime) -> pl.DataFrame:
    import holidays  # here, as in the platform: a second that only this table pays

    on = midnight.date()
    holiday = holidays.country_holidays("US", years=on.year).get(date(on.year, on.month, on.day))
    hours = [midnight + timedelta(hours=hour) for hour in range(24)]
    return pl.DataFrame({"hour_time": hours}, schema={"hour_time": _TYPES[ColumnType.TIMESTAMP]}).with_columns(
        datetime_key=pl.col("hour_time").dt.strftime("%Y%m%d%H").cast(pl.Int64),
        calendar_date=pl.lit(f"{on:%Y-%m-%d}"),
        year=pl.lit(on.year, pl.Int32),
        quarter=pl.lit((on.month + 2) // 3, pl.Int32),
        month=pl.lit(on.month, pl.Int32),
        month_name=pl.lit(calendar.month_name[on.month]),
        day_of_month=pl.lit(on.day, pl.Int32),
        week_of_year=pl.lit(on.isocalendar().week, pl.Int32),
        weekday=pl.lit(on.isoweekday(), pl.Int32),
        weekday_name=pl.lit(calendar.day_name[on.weekday()]),
        hour=pl.col("hour_time").dt.hour().cast(pl.Int32),
        is_weekend=pl.lit(on.isoweekday() > 5),
        is_us_holiday=pl.lit(holiday is not None),
        holiday_name=pl.lit(holiday, pl.String),
    )


def _user_activity(views: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    viewed = views.filter(pl.col("user_id").is_not_null()).group_by("user_key").agg(
        pl.col("user_id").max(), pl.col("registered_at").min(), first=pl.col("event_time").min(),
        last=pl.col("event_time").max(), order=_ORDER.max(), day_page_views=pl.len().cast(pl.Int64),
    )  # fmt: skip
    played = plays.with_columns(item_in_session=pl.lit(-1, pl.Int32)).group_by("user_key").agg(
        first_play=pl.col("event_time").min(), last_play=pl.col("event_time").max(), play_order=_ORDER.max(),
        day_plays=pl.len().cast(pl.Int64), microseconds=pl.col("microseconds").sum(),
    )  # fmt: skip
    users = viewed.join(played, on="user_key", how="full", coalesce=True)
    users = users.with_columns(pl.col("day_page_views", "day_plays", "microseconds").fill_null(0))
    is_paid = pl.max_horizontal("order", "play_order") % 2 == 1
    return users.with_columns(
        first_active_at=pl.min_horizontal("first", "first_play"),
        last_active_at=pl.max_horizontal("last", "last_play"),
        level=pl.when(is_paid).then(pl.lit("paid")).otherwise(pl.lit("free")),
        plays="day_plays",
        day_played_seconds=pl.col("microseconds") / 1e6,
        played_seconds=pl.col("microseconds") / 1e6,
    )


def _cohorts(activity: pl.DataFrame, midnight: datetime) -> pl.DataFrame:
    users = pl.len().cast(pl.Int64)
    week = pl.col("registered_at").dt.truncate("1w").alias("registration_week")
    cohorts = activity.group_by(week).agg(users=users, active_users=users)  # of one day, whom all have seen
    days_since = (pl.lit(midnight) - pl.col("registration_week")).dt.total_days()
    return cohorts.with_columns(
        weeks_since_registration=days_since.floordiv(7), retention=pl.col("active_users") / pl.col("users")
    )


def _top(plays: pl.DataFrame, members: pl.DataFrame, key: str, *names: str) -> pl.DataFrame:
    counts = plays.group_by(key).agg(**_LISTENING).join(members.select(key, *names), on=key, how="left")
    for measure in ("plays", "listeners"):
        counts = counts.sort(pl.col(measure), key, descending=[True, False]).with_columns(
            pl.int_range(1, pl.len() + 1).alias(f"{measure}_rank")
        )
    return counts.filter(pl.min_horizontal("plays_rank", "listeners_rank") <= TOP_RANKS)


def _funnel(views: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    def at(frame: pl.DataFrame, column: str, stages: dict[str, str]) -> pl.DataFrame:
        known = frame.filter(pl.col("user_id").is_not_null() & pl.col(column).is_in(list(stages)))
        stage = pl.col(column).replace_strict(stages, return_dtype=pl.String)
        return known.select("user_id", "session_number", stage=stage)

    events = pl.concat([
        at(views, "level", STAGE_OF_LEVEL), at(views, "page", STAGE_OF_PAGE),
        at(changes, "previous_level", STAGE_OF_PREVIOUS_LEVEL),
    ])  # fmt: skip
    counts = events.group_by("stage").agg(
        users=pl.col("user_id").n_unique().cast(pl.Int64), sessions=pl.col("session_number").n_unique().cast(pl.Int64),
        events=pl.len().cast(pl.Int64),
    )  # fmt: skip
    stages = pl.DataFrame({"stage": list(STAGES), "stage_order": range(1, len(STAGES) + 1)})
    return stages.join(counts, on="stage", how="left").with_columns(pl.col("users", "sessions", "events").fill_null(0))


def _logins(auths: pl.DataFrame, views: pl.DataFrame) -> pl.DataFrame:
    event = ["session_number", "item_in_session", "event_time"]
    redirections = views.filter(pl.col("page").is_in(["Login", "Logout"]) & (pl.col("status") == 307))
    attempts = auths.join(redirections, on=event, how="anti")
    successes = attempts["success"].sum()
    counts = {
        "attempts": attempts.height, "successes": successes, "failures": attempts.height - successes,
        "overcounted": auths.height - attempts.height,
        "success_rate": successes / attempts.height if attempts.height else None,
    }  # fmt: skip
    return pl.DataFrame([counts], schema_overrides={"success_rate": pl.Float64})


def _interactions(plays: pl.DataFrame, midnight: datetime) -> pl.DataFrame:
    age_days = (pl.lit(midnight + timedelta(1)) - pl.col("event_time")).dt.total_microseconds() / 86_400e6
    weight = pl.when("is_skipped").then(SKIPPED_PLAY_WEIGHT).otherwise(PLAY_WEIGHT)
    fading = pl.lit(0.5).pow(age_days / SCORE_HALF_LIFE_DAYS)
    pairs = (
        plays.with_columns(billionths=_whole(weight * fading, 1e9))
        .group_by("user_key", "song_key")
        .agg(
            plays=pl.len().cast(pl.Int64),
            played_seconds=pl.col("microseconds").sum() / 1e6,
            skips=pl.col("is_skipped").sum().cast(pl.Int64),
            last_played_at=pl.col("event_time").max(),
            score=pl.col("billionths").sum() / 1e9,
        )
    )
    return pairs.filter(pl.col("score") >= LEAST_SCORE)


def _whole(value: pl.Expr, parts: float) -> pl.Expr:
    return (value * parts + 0.5).floor().cast(pl.Int64)


def _write(rows: pl.DataFrame, contract: TableContract, output: Path, day: str) -> None:
    target = output / contract.path / f"date={day}"
    target.mkdir(parents=True)
    in_order = rows.select(column.name for column in contract.columns).sort(*contract.sort_columns)
    in_order.write_parquet(target / "part-0.parquet", compression="zstd")


def _write_hours(rows: pl.DataFrame, contract: TableContract, output: Path) -> None:
    rows = rows.select(column.name for column in contract.columns).sort(*contract.sort_columns)
    runs = rows["event_time"].dt.truncate("1h").rle().struct.unnest()

    def write(start: int, length: int, hour: datetime) -> None:
        target = output / contract.path / f"{hour:date=%Y-%m-%d/hour=%H}"
        target.mkdir(parents=True)
        rows.slice(start, length).write_parquet(target / "part-0.parquet", compression="zstd")

    starts = runs["len"].cum_sum() - runs["len"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(write, starts, runs["len"], runs["value"]))


def main(arguments: Sequence[str]) -> None:
    lake, output, day = arguments
    build(Path(lake), Path(output), day)


if __name__ == "__main__":
    main(sys.argv[1:])
