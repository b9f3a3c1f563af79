"""Eventsim's own configuration format: the state machine of a listener, and how often listeners come.

Reading and checking a configuration belongs here; the options of one run and the simulation do not.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from music_platform.compressed_text import read_bytes
from music_platform.eventsim.errors import GeneratorConfigError

# A rounding error of the probabilities in a file is no mistake of its author.
_PROBABILITY_TOLERANCE = 1e-9


@dataclass(frozen=True)
class State:
    """What one page view shows: page, its auth status, HTTP status and method, and the listener's level."""

    page: str
    auth: str
    status: int
    method: str
    level: str

    @property
    def is_redirect(self) -> bool:
        """Whether the next page follows by itself, one second later."""
        return 300 <= self.status < 399


@dataclass(frozen=True)
class ListenerConfig:
    """One configuration of virtual listeners; the names are those of Eventsim's file format.

    ``alpha``: mean seconds between page views. ``beta``: mean seconds between sessions, on top of ``session_gap``
    seconds. ``damping``: depth of the daily cycle. ``weekend_damping``: share of sessions dropped on days off, which
    grows over ``weekend_damping_scale`` minutes and begins ``weekend_damping_offset`` minutes early.
    ``transitions``: for each state its next states with their probabilities; what is missing to 1 ends the session.
    ``new_session``: for each (auth, level) the weights of a session's first state.
    """

    states: tuple[State, ...]
    transitions: Mapping[State, Mapping[State, float]]
    new_session: Mapping[tuple[str, str], Mapping[State, int]]
    show_user_details: Mapping[str, bool]
    levels: Mapping[str, int]
    auths: Mapping[str, int]
    new_user_auth: str = "Guest"
    new_user_level: str = "free"
    churned_state: str | None = None
    alpha: float = 60.0
    beta: float = 3 * 86_400.0
    damping: float = 0.0625
    weekend_damping: float = 0.5
    weekend_damping_offset: int = 6
    weekend_damping_scale: int = 6
    session_gap: int = 1_800
    seed: int = 0
    start_date: str | None = None
    end_date: str | None = None
    users: int | None = None
    first_user_id: int | None = None
    growth_rate: float | None = None
    attrition_rate: float | None = None
    tag: str | None = None
    source: str = field(default="", compare=False)


def load_config(path: Path | None = None) -> ListenerConfig:
    """The configuration in a JSON file (plain, .gz or .xz), or the project's own where no file is given.

    Raises ``GeneratorConfigError``, which names the file and the entry at fault.
    """
    if path is None:
        content = resources.files("music_platform.eventsim").joinpath("data/listeners.json").read_bytes()
        return parse_config(content, "the project's own configuration")
    try:
        content = read_bytes(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise GeneratorConfigError(f"Cannot read the configuration {path}: {reason}. Check --config.") from error
    return parse_config(content, str(path))


def parse_config(content: bytes | str, source: str) -> ListenerConfig:
    """The configuration in ``content``; ``source`` stands for it in errors."""
    try:
        document = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GeneratorConfigError(f"{source} is not JSON: {error}. Eventsim's configuration is one object.") from error
    if not isinstance(document, dict):
        raise GeneratorConfigError(f"{source} holds no JSON object; Eventsim's configuration is one object.")
    return _Reader(document, source).config()


class _Reader:
    """Takes one JSON document apart; every error names the source and the entry."""

    def __init__(self, document: dict[str, Any], source: str) -> None:
        self.document = document
        self.source = source

    def fail(self, problem: str) -> GeneratorConfigError:
        return GeneratorConfigError(f"{self.source}: {problem}. See docs/generating.md for the format.")

    def number(self, entry: Mapping[str, Any], key: str, where: str, at_least: float, below: float = math.inf) -> float:
        value = entry.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not at_least <= value < below:
            limit = "" if below == math.inf else f" and below {below:g}"
            raise self.fail(f"{where} must be a number of at least {at_least:g}{limit}, not {value!r}")
        return float(value)

    def text(self, entry: Mapping[str, Any], key: str, where: str) -> str:
        value = entry.get(key)
        if not isinstance(value, str):
            raise self.fail(f"{where} must be a string, not {value!r}")
        return value

    def entries(self, key: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
        value = self.document.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(f'"{key}" must be a list of objects')
        return [(f'"{key}" entry {position}', item) for position, item in enumerate(value, start=1)]

    def state(self, entry: Any, where: str) -> State:
        if not isinstance(entry, dict):
            raise self.fail(f"{where} must be an object with page, method, status, auth and level")
        names = {key: self.text(entry, key, f"{where}: {key}") for key in ("page", "auth", "method", "level")}
        return State(status=int(self.number(entry, "status", f"{where}: status", 100, 600)), **names)

    def weights(self, key: str, name: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for where, entry in self.entries(key):
            weight = int(self.number(entry, "weight", f"{where}: weight", 0, 2**31))
            label = self.text(entry, name, f"{where}: {name}")
            found[label] = found.get(label, 0) + weight
        if sum(found.values()) <= 0:
            raise self.fail(f'"{key}" needs at least one entry whose weight is above 0')
        return found

    def transitions(self) -> dict[State, dict[State, float]]:
        found: dict[State, dict[State, float]] = {}
        for where, entry in self.entries("transitions"):
            source = self.state(entry.get("source"), f"{where}: source")
            destination = self.state(entry.get("dest"), f"{where}: dest")
            probability = self.number(entry, "p", f"{where}: p", 0, 1 + _PROBABILITY_TOLERANCE)
            found.setdefault(destination, {})
            following = found.setdefault(source, {})
            following[destination] = following.get(destination, 0.0) + probability
            if sum(following.values()) > 1 + _PROBABILITY_TOLERANCE:
                raise self.fail(
                    f"the transitions from {source.page} ({source.auth}, {source.level}) exceed 1 at {where}"
                )
        if not found:
            raise self.fail('"transitions" is missing or empty')
        return found

    def new_session(self, transitions: Mapping[State, Any]) -> dict[tuple[str, str], dict[State, int]]:
        found: dict[tuple[str, str], dict[State, int]] = {}
        for where, entry in self.entries("new-session"):
            state = self.state(entry, where)
            if state not in transitions:
                raise self.fail(
                    f"{where} starts in {state.page} ({state.auth}, {state.level}), which no transition has"
                )
            weights = found.setdefault((state.auth, state.level), {})
            weights[state] = weights.get(state, 0) + int(self.number(entry, "weight", f"{where}: weight", 0, 2**31))
        for (auth, level), weights in found.items():
            if sum(weights.values()) <= 0:
                raise self.fail(f'"new-session" of ({auth}, {level}) has no weight above 0')
        return found

    def config(self) -> ListenerConfig:
        transitions = self.transitions()
        new_session = self.new_session(transitions)
        shown: dict[str, bool] = {}
        for where, entry in self.entries("show-user-details"):
            if not isinstance(entry.get("show"), bool):
                raise self.fail(f"{where}: show must be true or false")
            shown[self.text(entry, "auth", f"{where}: auth")] = entry["show"]
        config = ListenerConfig(
            states=tuple(transitions),
            transitions=transitions,
            new_session=new_session,
            show_user_details=shown,
            levels=self.weights("levels", "level"),
            auths=self.weights("auths", "auth"),
            source=self.source,
            **self._optional_values(),
        )
        self._check(config)
        return config

    def _optional_values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        limits: list[tuple[str, str, Callable[[float], Any], float, float]] = [
            ("alpha", "alpha", float, 1e-3, 1e9),
            ("beta", "beta", float, 1.0, 1e9),
            ("damping", "damping", float, 0.0, 1.0),
            ("weekend-damping", "weekend_damping", float, 0.0, 1.0),
            ("weekend-damping-offset", "weekend_damping_offset", int, 0, 721),
            ("weekend-damping-scale", "weekend_damping_scale", int, 0, 1_441),
            ("session-gap", "session_gap", int, 1, 1e9),
            ("seed", "seed", int, -(2.0**63), 2.0**63),
            ("n-users", "users", int, 1, 1e9),
            ("first-user-id", "first_user_id", int, 0, 2.0**53),
            ("growth-rate", "growth_rate", float, 0.0, 1e3),
            ("attrition-rate", "attrition_rate", float, 0.0, 1e3),
        ]
        for key, name, convert, at_least, below in limits:
            if key in self.document:
                value = self.document[key]
                checked = self.number(self.document, key, f'"{key}"', at_least, below)
                found[name] = value if isinstance(value, int) and convert is int else convert(checked)
        for key in ("new-user-auth", "new-user-level", "churned-state", "start-date", "end-date", "tag"):
            if self.document.get(key) is not None:
                found[key.replace("-", "_")] = self.text(self.document, key, f'"{key}"')
        return found

    def _check(self, config: ListenerConfig) -> None:
        starts = {(config.new_user_auth, config.new_user_level)}
        starts |= {(a, lv) for a, wa in config.auths.items() if wa for lv, wl in config.levels.items() if wl}
        for state, following in config.transitions.items():
            ends = sum(following.values()) < 1 - _PROBABILITY_TOLERANCE
            if ends and state.auth != config.churned_state:
                starts.add((state.auth, state.level))
            if state.auth not in config.show_user_details:
                raise self.fail(f'"show-user-details" says nothing of the auth status {state.auth!r}')
        missing = sorted(starts - set(config.new_session))
        # A (auth, level) pair that only a dead end leads to still needs a first state for its next session.
        if missing:
            raise self.fail(f'"new-session" has no entry for {", ".join(f"({a}, {lv})" for a, lv in missing)}')
        self._check_that_sessions_end(config)

    def _check_that_sessions_end(self, config: ListenerConfig) -> None:
        ending = {s for s, following in config.transitions.items() if sum(following.values()) < 1 - 1e-12}
        grown = True
        while grown:
            more = {
                state
                for state, following in config.transitions.items()
                if state not in ending and any(p > 0 and nxt in ending for nxt, p in following.items())
            }
            grown = bool(more)
            ending |= more
        stuck = [state for state in config.states if state not in ending]
        if stuck:
            names = ", ".join(f"{state.page} ({state.auth}, {state.level})" for state in stuck[:3])
            raise self.fail(f"a session that reaches {names} never ends; let some transitions add up to less than 1")
