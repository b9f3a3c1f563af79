"""The dimensions: what is known of each member at each day's end, from all events up to it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pandas.tseries.holiday import USFederalHolidayCalendar

from music_platform.tables.columns import UNKNOWN, UNKNOWN_KEY
from music_platform_tests.assets.gold_oracle.history import ONE_DAY, History
from music_platform_tests.assets.gold_oracle.keys import milliseconds_of, song_key, surrogate_key

_PLACE = ["location_key", "zip", "city", "state"]
_TRACKED = ["first_name", "last_name", "gender", "level", "location_key"]
_USER = ["user_key", "user_id", "registered_at", "city", "state", *_TRACKED]
_TOLERANCE_MILLISECONDS = 1000
_UNPLAYED = {"first_played_at": None, "last_played_at": None, "plays": 0}


def dim_users(history: History) -> pd.DataFrame:
    versions = _versions(history)
    unknown = {
        "user_key": UNKNOWN_KEY, "user_version_key": UNKNOWN_KEY, "location_key": UNKNOWN_KEY, "is_current": True,
        "valid_from": pd.Timestamp("1900-01-01", tz="UTC"), "city": UNKNOWN, "state": UNKNOWN,
    } | dict.fromkeys(["first_name", "last_name", "gender", "level"], UNKNOWN)  # fmt: skip
    rows = []
    for day in history.starts_of_days:
        end = day + ONE_DAY
        rows.append(unknown | {"day": day})
        for version in versions:
            ends = version["valid_to"] if version["valid_to"] is not None and version["valid_to"] < end else None
            if version["valid_from"] < end and (version["valid_to"] is None or version["valid_to"] >= day):
                rows.append(version | {"valid_to": ends, "is_current": ends is None, "day": day})
    frame = pd.DataFrame(rows)
    return frame.assign(user_id=frame.get("user_id", pd.Series(dtype="Int64")))


def dim_songs(history: History) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for day in history.starts_of_days:
        found = set()
        for key, own in _until(history.listens, day).groupby("song_key"):
            artist, title, duration = own["artist"].iloc[0], own["song"].iloc[0], float(own["duration_seconds"].min())
            track = _nearest_track(history, artist, title, duration)
            if track is not None:
                found.add(track["track_id"])
            rows.append(
                {"song_key": key, "artist_key": surrogate_key(artist), "title": title, "artist": artist, "day": day,
                 "duration_seconds": duration, "is_in_catalogue": track is not None, **_plays(own)}
                | {name: track[name] if track else None for name in ("track_id", "release", "year")}
            )  # fmt: skip
        for track in history.catalogue:
            if track["track_id"] not in found:
                key = song_key(track["artist"], track["title"], track["duration_seconds"])
                artist_key = surrogate_key(track["artist"])
                rows.append(
                    track | _UNPLAYED | {"song_key": key, "artist_key": artist_key, "is_in_catalogue": True, "day": day}
                )
        rows.append({"song_key": UNKNOWN_KEY, "artist_key": UNKNOWN_KEY, "title": UNKNOWN, "artist": UNKNOWN,
                     "is_in_catalogue": False, "day": day, **_UNPLAYED})  # fmt: skip
    return pd.DataFrame(rows)


def dim_artists(history: History) -> pd.DataFrame:
    described: dict[str, dict[str, Any]] = {}
    for track in sorted(
        history.catalogue, key=lambda track: (track["latitude"] is None, track["location"] is None, track["artist_id"])
    ):
        described.setdefault(
            track["artist"], {name: track[name] for name in ("artist_id", "location", "latitude", "longitude")}
        )
    rows = []
    for day in history.starts_of_days:
        listens = _until(history.listens, day)
        for artist in sorted({*listens["artist"], *described}):
            own = listens[listens["artist"] == artist]
            rows.append(
                {"artist_key": surrogate_key(artist), "artist": artist, "is_in_catalogue": artist in described, "day": day}
                | described.get(artist, {}) | (_UNPLAYED if own.empty else _plays(own))
            )  # fmt: skip
        rows.append({"artist_key": UNKNOWN_KEY, "artist": UNKNOWN, "is_in_catalogue": False, "day": day, **_UNPLAYED})
    return pd.DataFrame(rows)


def dim_locations(history: History) -> pd.DataFrame:
    events = pd.concat([history.page_views, history.listens, history.auths, history.status_changes])
    snapshots = []
    for day in history.starts_of_days:
        seen = _until(events, day).groupby([*_PLACE, "state_name"], as_index=False).agg(
            latitude=("latitude", "min"), longitude=("longitude", "min"), first_seen_at=("event_time", "min")
        )  # fmt: skip
        unknown = dict.fromkeys(["zip", "city", "state", "state_name"], UNKNOWN)
        unknown |= {"location_key": UNKNOWN_KEY, "first_seen_at": pd.Timestamp("1900-01-01", tz="UTC")}
        snapshots += [seen.assign(day=day), pd.DataFrame([unknown]).assign(day=day)]
    return pd.concat(snapshots)


def dim_datetime(history: History) -> pd.DataFrame:
    first, last = history.starts_of_days[0], history.starts_of_days[-1]
    holidays = USFederalHolidayCalendar().holidays(first.tz_localize(None), last.tz_localize(None), return_name=True)
    hours = pd.Series(pd.date_range(first, last + ONE_DAY, freq="h", inclusive="left"))
    names = hours.dt.floor("D").dt.tz_localize(None).map(holidays)
    return pd.DataFrame({
        "datetime_key": hours.dt.strftime("%Y%m%d%H").astype("int64"), "hour_time": hours,
        "calendar_date": hours.dt.strftime("%Y-%m-%d"), "year": hours.dt.year, "quarter": hours.dt.quarter,
        "month": hours.dt.month, "month_name": hours.dt.month_name(), "day_of_month": hours.dt.day,
        "week_of_year": hours.dt.isocalendar().week, "weekday": hours.dt.isocalendar().day,
        "weekday_name": hours.dt.day_name(), "hour": hours.dt.hour, "is_weekend": hours.dt.weekday >= 5,
        "is_us_holiday": names.notna(), "holiday_name": names, "day": hours.dt.floor("D"),
    })  # fmt: skip


def _versions(history: History) -> list[dict[str, Any]]:
    """Every version of every listener, with the moments at which it begins and ends."""
    changes = history.status_changes
    changes = changes.assign(
        level=changes["previous_level"].map({"free": "paid", "paid": "free"}), is_status_change=True
    )
    observed = [frame.assign(is_status_change=False) for frame in (history.page_views, history.listens, history.auths)]
    observations = pd.concat([*observed, changes])
    observations = observations[observations["user_id"].notna()]
    observations = observations.sort_values(["event_time", "is_status_change", "item_in_session", "event_id"])
    versions: list[dict[str, Any]] = []
    for _, own in observations.groupby("user_id"):
        last: dict[str, Any] | None = None
        for _, row in own.drop_duplicates("event_time", keep="last").iterrows():
            if last is not None and all(row[name] == last[name] for name in _TRACKED):
                continue
            begins: pd.Timestamp = row["event_time"]
            if last is not None:
                last["valid_to"] = begins
            key = surrogate_key(row["user_id"], begins.value // 1000)  # microseconds
            last = {name: row[name] for name in _USER} | {
                "user_version_key": key,
                "valid_from": begins,
                "valid_to": None,
            }
            versions.append(last)
    return versions


def _nearest_track(history: History, artist: str, title: str, duration_seconds: float) -> dict[str, Any] | None:
    """The catalogue's track of that artist and title whose length is nearest, within the tolerance."""

    def distance(track: dict[str, Any]) -> int:
        return abs(milliseconds_of(track["duration_seconds"]) - milliseconds_of(duration_seconds))

    tracks = [track for track in history.catalogue if (track["artist"], track["title"]) == (artist, title)]
    near = [track for track in tracks if distance(track) <= _TOLERANCE_MILLISECONDS]
    return min(near, key=lambda track: (distance(track), track["track_id"]), default=None)


def _plays(listens: pd.DataFrame) -> dict[str, Any]:
    times = listens["event_time"]
    return {"first_played_at": times.min(), "last_played_at": times.max(), "plays": len(listens)}


def _until(events: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """The events up to the end of a day."""
    return events[events["event_time"] < day + ONE_DAY]
