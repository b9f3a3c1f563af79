"""Random plans: what a few listeners do within a few days, and in which steps their events land, late and repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from music_platform_tests.assets.gold_oracle.history import Event

FIRST_DAY = pd.Timestamp("2026-09-06", tz="UTC")  # a Sunday: with the second day begin a week and a holiday
_SECOND, _HOUR, _DAY = 1_000, 3_600_000, 86_400_000  # milliseconds
_LONGEST_SESSION_DAYS = 3  # calendar days, the first one included
_MOST_EVENTS_OF_A_SESSION = 14

_PLACES: list[dict[str, Any]] = [
    {"city": "Austin", "zip": "73301", "state": "TX", "lat": 30.2711, "lon": -97.7437},
    {"city": "Austin", "zip": "73301", "state": "TX", "lat": 30.27110000001, "lon": -97.7437},  # the same place
    {"city": "Boston", "zip": "02108", "state": "MA", "lat": 42.3576, "lon": -71.0684},
    {"city": "Nowhere", "zip": "00001", "state": "ZZ", "lat": 0.0, "lon": 12.5},
]
_AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:31.0) Gecko/20100101 Firefox/31.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2 (KHTML, like Gecko) Version/7.0 "
    "Mobile/11D257 Safari/9537.53",
]
_SONGS: list[dict[str, Any]] = [
    {"artist": "Pixies", "song": "Debaser", "duration": 171.59791},
    {"artist": "Pixies", "song": "Debaser", "duration": 171.5981},  # the same to the millisecond
    {"artist": "Pixies", "song": "Debaser", "duration": 172.3},  # as near to one track as to another
    {"artist": "Pixies", "song": "Debaser", "duration": 301.25},  # a song of its own
    {"artist": "Björk", "song": "Jóga", "duration": 305.05751},
    {"artist": "Sigur Rós", "song": "Hoppípolla", "duration": 268.69506},
    {"artist": "Nobody", "song": "Short", "duration": 0.45},
]
_TRACK = {"release": None, "year": None, "artist_id": None, "location": None, "latitude": None, "longitude": None}
CATALOGUE: list[dict[str, Any]] = [
    _TRACK | {"artist": "Pixies", "title": "Debaser", "duration_seconds": 171.3, "track_id": "T2", "artist_id": "A1"},
    _TRACK | {"artist": "Pixies", "title": "Debaser", "duration_seconds": 173.3, "track_id": "T1", "artist_id": "A2",
              "latitude": 42.5, "longitude": -71.1, "location": "Boston, MA", "release": "Doolittle", "year": 1989},
    _TRACK | {"artist": "Björk", "title": "Jóga", "duration_seconds": 305.05751, "track_id": "T3", "artist_id": "A3",
              "location": "Reykjavík", "year": 1997},
    _TRACK | {"artist": "Never Played", "title": "Silence", "duration_seconds": 273.0, "track_id": "T4", "artist_id": "A4"},
]  # fmt: skip
"""Tracks that a catalogue of songs holds: two that a play can be told from by its length alone, one that nobody plays."""


@dataclass
class Listener:
    """A known listener; the level is the one after all that was planned so far."""

    user: dict[str, Any]
    level: str = "free"


@dataclass(frozen=True)
class Plan:
    """Events by the step in which they land; a step may repeat what has landed before."""

    steps: list[list[Event]]

    @property
    def events(self) -> list[Event]:
        return [event for step in self.steps for event in step]

    def __repr__(self) -> str:
        return f"Plan of {[len(step) for step in self.steps]} landed events"


def make_plan(chance: random.Random, *, days: int, sessions: int, steps: int) -> Plan:
    """``sessions`` of four listeners and of anonymous ones within the days, whose events land in so many steps."""
    listeners = [
        Listener({"userId": number, "lastName": "Doe", "firstName": name, "gender": "FM"[number % 2],
                  "registration": int(FIRST_DAY.timestamp() * 1000) - number * 5 * _DAY + 3 * _HOUR})
        for number, name in enumerate(["Jane", "John", "Ann", "Zoë"])
    ]  # fmt: skip
    events: list[Event] = []
    taken: set[tuple[Any, ...]] = set()
    while len(taken) < sessions:
        session = _Session.begin(chance, days, [event.record["ts"] for event in events])
        if session.identity not in taken:
            taken.add(session.identity)
            events += session.played_out(chance, chance.choice(listeners))
    return Plan(_in_steps(chance, events, steps))


def _in_steps(chance: random.Random, events: list[Event], steps: int) -> list[list[Event]]:
    """Most events in the first step, the rest late, whole days among them; some once more, at once or late."""
    landed: list[list[Event]] = [[] for _ in range(steps)]
    delays = {event.hour[:10]: chance.choice([0, 0, 1]) for event in events}
    for event in events:
        late = delays[event.hour[:10]] if chance.random() < 0.8 else chance.randrange(steps)
        first = min(late, steps - 1)
        landed[first].append(event)
        while chance.random() < 0.15:
            landed[chance.randrange(first, steps)].append(event)
    for step in landed:
        chance.shuffle(step)
    return landed


@dataclass
class _Session:
    """A session while it is played: its moment, the place of its next event, who is known to listen."""

    number: int
    place: dict[str, Any]
    agent: str
    tag: str | None
    at: int
    end: int
    item: int
    user: dict[str, Any] | None = None
    level: str = "free"
    events: list[Event] = field(default_factory=list)

    @classmethod
    def begin(cls, chance: random.Random, days: int, moments: list[int]) -> _Session:
        """At any moment of the days, often just before midnight, sometimes in the same millisecond as another event."""
        first = int(FIRST_DAY.timestamp() * 1000)
        at = first + chance.randrange(days * _DAY)
        if chance.random() < 0.5:
            at = at // _DAY * _DAY + _DAY - chance.choice([1, 200 * _SECOND, _HOUR // 2, _HOUR])
        if moments and chance.random() < 0.25:
            at = chance.choice(moments)
        end = min(first + days * _DAY, (at // _DAY + _LONGEST_SESSION_DAYS) * _DAY)
        return cls(
            chance.randrange(1, 6), chance.choice(_PLACES), chance.choice(_AGENTS), chance.choice([None, None, "A"]), at, end,
            chance.choice([0, 0, 0, 7]),
        )  # fmt: skip

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells sessions apart."""
        return self.number, self.tag, self.place["zip"], self.agent

    def played_out(self, chance: random.Random, listener: Listener) -> list[Event]:
        """The events of the whole session, with the listener's level changed by it."""
        self.level = listener.level
        if chance.random() < 0.7:
            self.user = listener.user
        for _ in range(chance.randrange(1, _MOST_EVENTS_OF_A_SESSION)):
            if self.at >= self.end:
                break
            if self.user is None:
                self._anonymous(chance, listener)
            else:
                self._known(chance)
            self.item += 1
        if chance.random() < 0.1:  # another name from the next session on, as an editor of profiles would have it
            listener.user = listener.user | {"lastName": chance.choice(["Roe", "Poe"])}
        listener.level = self.level
        return self.events

    def _anonymous(self, chance: random.Random, listener: Listener) -> None:
        action = chance.choice(["browse", "log in", "fail", "repeat"])
        if action == "browse":
            self._view(chance.choice(["Home", "About", "Error"]), status=chance.choice([200, 404]))
        elif action == "log in":
            self.user = listener.user
            self._add("auth_events", success=True)
            self._view("Home")
        elif action == "fail":
            self._add("auth_events", success=False)
            self._view(chance.choice(["Home", "Login"]))
        else:  # a page that repeats an attempt which was counted before
            self._add("auth_events", success=False)
            self._view("Login", status=307)
        self.at += chance.choice([0, _SECOND, 60 * _SECOND])

    def _known(self, chance: random.Random) -> None:
        action = chance.choices(["play", "browse", "change", "cancel", "log out"], [8, 3, 2, 1, 1])[0]
        gaps = [0, 1, _SECOND, 20 * 60 * _SECOND, 11 * _HOUR]
        if action == "play":
            song = chance.choice(_SONGS)
            whole = int(song["duration"]) * _SECOND
            self._add("listen_events", **song)
            if chance.random() < 0.9:  # else the view of the song's page was lost
                self._view("NextSong", **song)
            gaps = [0, 1, whole // 2, whole, whole, whole + 700, _HOUR, 11 * _HOUR]
        elif action == "browse":
            self._view(
                chance.choice(["Home", "Help", "Upgrade", "Downgrade", "Error"]), status=chance.choice([200, 200, 404])
            )
        elif action == "change":
            self._view("Submit Upgrade" if self.level == "free" else "Submit Downgrade", status=307)
            self._add("status_change_events")
            self.level = "paid" if self.level == "free" else "free"
        elif action == "cancel":
            self._view("Cancel")
            self.at, self.item = self.at + _SECOND, self.item + 1
            if self.at < self.end:
                self._view("Cancellation Confirmation", auth="Cancelled")
        else:
            self._view("Logout", status=307)
            self.user = None
        self.at += chance.choice(gaps)

    def _view(self, page: str, **values: Any) -> None:
        method = "PUT" if page in ("NextSong", "Login", "Logout") else "GET"
        self._add("page_view_events", **({"page": page, "method": method, "status": 200} | values))

    def _add(self, event_type: str, **values: Any) -> None:
        record = {
            "ts": self.at, "sessionId": self.number, "level": self.level, "itemInSession": self.item, "userAgent": self.agent,
            **self.place, **(self.user or {}),
        } | values  # fmt: skip
        if event_type != "auth_events":
            record = {"auth": "Guest" if self.user is None else "Logged In"} | record
        if self.tag is not None:
            record["tag"] = self.tag
        self.events.append(Event(event_type, record))
