"""The aggregates: counts and sums over plays and events, of a day or of all days up to its end."""

from __future__ import annotations

from typing import Any

import pandas as pd

from music_platform.tables.gold.level_funnel import STAGES
from music_platform_tests.assets.gold_oracle import dimensions
from music_platform_tests.assets.gold_oracle.facts import fact_plays, whole_microseconds
from music_platform_tests.assets.gold_oracle.history import ONE_DAY, History

_PAGE_OF_STAGE = {
    "upgrade_page": "Upgrade", "submit_upgrade": "Submit Upgrade", "downgrade_page": "Downgrade",
    "submit_downgrade": "Submit Downgrade", "cancel": "Cancel", "cancelled": "Cancellation Confirmation",
}  # fmt: skip


def user_activity(history: History) -> pd.DataFrame:
    views = history.page_views[history.page_views["user_id"].notna()].assign(is_view=True, microseconds=0)
    plays = fact_plays(history)
    # A play comes with its page view, which tells where in the session it is: among equal moments the view is the later.
    plays = plays.assign(is_view=False, microseconds=whole_microseconds(plays["played_seconds"]), item_in_session=-1)
    events = pd.concat([views, plays.drop(columns=["user_id", "registered_at"])])
    events = events.sort_values(["event_time", "item_in_session", "level"])  # free before paid
    rows = []
    for day in history.starts_of_days:
        for key, own in events[events["event_time"] < day + ONE_DAY].groupby("user_key"):
            today = own[own["event_time"] >= day]
            rows.append({
                "user_key": key, "user_id": own["user_id"].max(), "registered_at": own["registered_at"].min(),
                "first_active_at": own["event_time"].min(), "last_active_at": own["event_time"].max(),
                "level": own["level"].iloc[-1], "day_page_views": int(today["is_view"].sum()),
                "day_plays": int((~today["is_view"]).sum()), "day_played_seconds": today["microseconds"].sum() / 1e6,
                "plays": int((~own["is_view"]).sum()), "played_seconds": own["microseconds"].sum() / 1e6, "day": day,
            })  # fmt: skip
    return pd.DataFrame(rows)


def active_users(history: History) -> pd.DataFrame:
    rows = []
    for day in history.starts_of_days:
        last_active_at = _last_active_at(history, day)
        rows.append(
            {"day": day, "users": len(last_active_at)}
            | {name: int((last_active_at >= day - (days - 1) * ONE_DAY).sum())
               for name, days in (("active_1_day", 1), ("active_7_days", 7), ("active_30_days", 30))}
        )  # fmt: skip
    return pd.DataFrame(rows)


def retention_cohorts(history: History) -> pd.DataFrame:
    rows = []
    for day in history.starts_of_days:
        last_active_at = _last_active_at(history, day)
        views = history.page_views[history.page_views["event_time"] < day + ONE_DAY]
        registered_at = views.groupby("user_key")["registered_at"].min().reindex(last_active_at.index)
        weeks = registered_at.dt.floor("D") - pd.to_timedelta(registered_at.dt.weekday, unit="D")
        for week, users in last_active_at.groupby(weeks):
            active = int((users >= day - 6 * ONE_DAY).sum())
            rows.append({
                "day": day, "registration_week": week, "weeks_since_registration": (day - week) // pd.Timedelta(weeks=1),
                "users": len(users), "active_users": active, "retention": active / len(users),
            })  # fmt: skip
    return pd.DataFrame(rows)


def top_songs(history: History) -> pd.DataFrame:
    return _top(history, "song_key", dimensions.dim_songs(history)[["day", "song_key", "title", "artist"]])


def top_artists(history: History) -> pd.DataFrame:
    return _top(history, "artist_key", dimensions.dim_artists(history)[["day", "artist_key", "artist"]])


def hourly_plays(history: History) -> pd.DataFrame:
    return _listening(fact_plays(history), ["hour_time", "state", "level"])


def level_funnel(history: History) -> pd.DataFrame:
    views = history.page_views[history.page_views["user_id"].notna()]
    changes = history.status_changes
    events = {stage: views[views["page"] == page] for stage, page in _PAGE_OF_STAGE.items()}
    for level, other in (("free", "paid"), ("paid", "free")):
        events[f"active_{level}"] = views[views["level"] == level]
        events[f"became_{level}"] = changes[changes["previous_level"] == other]
    rows = []
    for day in history.starts_of_days:
        for place, stage in enumerate(STAGES, start=1):
            own = events[stage][events[stage]["day"] == day]
            rows.append({
                "day": day, "stage": stage, "stage_order": place, "users": own["user_id"].nunique(),
                "sessions": own["session_key"].nunique(), "events": len(own),
            })  # fmt: skip
    return pd.DataFrame(rows)


def login_success(history: History) -> pd.DataFrame:
    views = history.page_views
    redirected = views[views["page"].isin(["Login", "Logout"]) & (views["status"] == 307)]
    place = ["session_key", "item_in_session", "event_time"]
    stale = set(redirected[place].itertuples(index=False, name=None))
    is_stale = [event in stale for event in history.auths[place].itertuples(index=False, name=None)]
    auths = history.auths.assign(is_stale=is_stale)
    rows = []
    for day in history.starts_of_days:
        own = auths[auths["day"] == day]
        attempts = own[~own["is_stale"].astype(bool)]
        successes = int(attempts["success"].eq(True).sum())
        rows.append({
            "day": day, "attempts": len(attempts), "successes": successes, "failures": len(attempts) - successes,
            "overcounted": len(own) - len(attempts), "success_rate": successes / len(attempts) if len(attempts) else None,
        })  # fmt: skip
    return pd.DataFrame(rows)


def user_song_interactions(history: History) -> pd.DataFrame:
    """No history here is so long that a score falls below the least one."""
    plays = fact_plays(history)
    plays = plays.assign(microseconds=whole_microseconds(plays["played_seconds"]), is_skip=plays["is_skipped"].eq(True))
    rows = []
    for day in history.starts_of_days:
        end = day + ONE_DAY
        for (user, song), own in plays[plays["event_time"] < end].groupby(["user_key", "song_key"]):
            age_days = (end - own["event_time"]) / ONE_DAY
            weight = own["is_skip"].map({True: 0.2, False: 1.0})
            rows.append({
                "user_key": user, "song_key": song, "plays": len(own), "played_seconds": own["microseconds"].sum() / 1e6,
                "skips": int(own["is_skip"].sum()), "last_played_at": own["event_time"].max(),
                "score": float((weight * 0.5 ** (age_days / 30)).sum()), "day": day,
            })  # fmt: skip
    return pd.DataFrame(rows)


def _last_active_at(history: History, day: pd.Timestamp) -> pd.Series:
    """By listener the last page view or play up to a day's end."""
    views = history.page_views[history.page_views["user_id"].notna()]
    events = pd.concat([views, history.listens])[["user_key", "event_time"]]
    return events[events["event_time"] < day + ONE_DAY].groupby("user_key")["event_time"].max()


def _top(history: History, key: str, members: pd.DataFrame) -> pd.DataFrame:
    """No history here has so many members that some are left out."""
    counts = _listening(fact_plays(history), ["day", key])
    for measure in ("plays", "listeners"):
        ranked = counts.sort_values(["day", measure, key], ascending=[True, False, True])
        counts[f"{measure}_rank"] = ranked.groupby("day").cumcount() + 1
    return counts.merge(members, on=["day", key], validate="one_to_one")


def _listening(plays: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for group, own in plays.groupby(by):
        rows.append(dict(zip(by, group, strict=True)) | {
            "plays": len(own), "listeners": own["user_key"].nunique(), "skips": int(own["is_skipped"].eq(True).sum()),
            "played_seconds": whole_microseconds(own["played_seconds"]).sum() / 1e6,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=[*by, "plays", "listeners", "skips", "played_seconds"])
