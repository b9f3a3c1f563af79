"""The facts: a row an event, and sessions as groups of events, wherever hours and days end."""

from __future__ import annotations

import numpy as np
import pandas as pd

from music_platform_tests.assets.gold_oracle.history import History


def fact_streams(history: History) -> pd.DataFrame:
    return _with_played_seconds(history, within=["session_key", "hour_time"])


def fact_page_views(history: History) -> pd.DataFrame:
    return history.page_views


def fact_plays(history: History) -> pd.DataFrame:
    return _with_played_seconds(history, within=["session_key"])


def session_days(history: History) -> pd.DataFrame:
    return _sessions(history, ["session_key", "day"])


def fact_sessions(history: History) -> pd.DataFrame:
    sessions = _sessions(history, ["session_key"])
    lasted = sessions["ended_at"] - sessions["started_at"]
    return sessions.assign(duration_seconds=lasted.dt.total_seconds())


def whole_microseconds(seconds: pd.Series) -> pd.Series:
    """Seconds in whole microseconds, which add up exactly; unknown ones count nothing."""
    return np.floor(seconds.fillna(0) * 1e6 + 0.5).astype("int64")


def _with_played_seconds(history: History, within: list[str]) -> pd.DataFrame:
    """Listens with the time until the next event of the session, at most the song's length."""
    columns = ["session_key", "hour_time", "event_time", "item_in_session", "event_id"]
    views = history.page_views[columns].assign(is_listen=False)
    events = pd.concat([views, history.listens[columns].assign(is_listen=True)], ignore_index=True)
    # A listen and the view of its page are one moment and one item: the listen last, so that another item follows it.
    events = events.sort_values(["event_time", "item_in_session", "is_listen", "event_id"])
    events["next_event_time"] = events.groupby(within)["event_time"].shift(-1)
    listens = history.listens
    next_event_time = listens["event_id"].map(events.set_index("event_id")["next_event_time"])
    until_next = (next_event_time - listens["event_time"]).dt.total_seconds()
    played = until_next.where(until_next.isna(), np.minimum(until_next, listens["duration_seconds"]))
    is_skipped = (played < np.floor(listens["duration_seconds"])).astype(object).where(played.notna(), None)
    return listens.assign(played_seconds=played, is_skipped=is_skipped)


def _sessions(history: History, by: list[str]) -> pd.DataFrame:
    plays = fact_plays(history)
    # A play is a moment of its session as well: the view of its page may be missing.
    views = history.page_views.assign(is_view=True)
    songs = plays.assign(is_view=False, page="NextSong")
    events = pd.concat([views, songs], ignore_index=True).sort_values(["event_time", "item_in_session"])
    listening = {
        group: (len(own), int(own["is_skipped"].eq(True).sum()), int(whole_microseconds(own["played_seconds"]).sum()))
        for group, own in plays.groupby(by)
    }
    rows = []
    for group, own in events.groupby(by):
        first, last, pages = own.iloc[0], own.iloc[-1], set(own["page"])
        own_views = own[own["is_view"]]
        songs, skips, microseconds = listening.get(group, (0, 0, 0))
        rows.append({
            "session_key": first["session_key"], "session_id": first["session_id"], "user_key": own["user_key"].max(),
            "location_key": first["location_key"], "started_at": first["event_time"], "ended_at": last["event_time"],
            "entry_page": first["page"], "exit_page": last["page"], "level_at_start": first["level"],
            "level_at_end": last["level"], "page_views": len(own_views), "pages": int((own_views["page"] != "NextSong").sum()),
            "songs": songs, "skips": skips, "played_seconds": microseconds / 1e6,
            "errors": int(((own_views["page"] == "Error") | (own_views["status"] == 404)).sum()),
            "is_converted": "Submit Upgrade" in pages, "is_downgraded": "Submit Downgrade" in pages,
            "is_cancelled": "Cancellation Confirmation" in pages,
        })  # fmt: skip
    return pd.DataFrame(rows)
