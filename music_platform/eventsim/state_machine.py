"""The configuration's states as tables of numbers, so that many listeners take a step at once.

How states become text, and when the steps happen, does not belong here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from music_platform.eventsim.config import ListenerConfig, State
from music_platform.eventsim.randomness import AliasRows, IntegerArray

# What decides the time of the next page view.
ORDINARY, REDIRECT, SONG = 0, 1, 2
_ROUNDING = 1e-9


@dataclass(frozen=True)
class StateMachine:
    """States are numbered in the configuration's order; one number more, ``end``, ends the session.

    ``kind``, ``is_login``, ``is_churned``: by state. ``group``: by state, its (auth, level) pair's number in
    ``groups``. ``next_states`` draws by state, ``first_states`` by group.
    """

    states: tuple[State, ...]
    end: int
    kind: IntegerArray
    is_login: npt.NDArray[np.bool_]
    is_churned: npt.NDArray[np.bool_]
    group: IntegerArray
    groups: tuple[tuple[str, str], ...]
    next_states: AliasRows
    first_states: AliasRows

    @classmethod
    def create(cls, config: ListenerConfig) -> "StateMachine":
        """The tables of a configuration."""
        states = config.states
        number = {state: position for position, state in enumerate(states)}
        groups = tuple(config.new_session)
        group_number = {group: position for position, group in enumerate(groups)}
        moves = []
        for state in states:
            following = config.transitions[state]
            ending = 1.0 - sum(following.values())
            row = [(number[nxt], p) for nxt, p in following.items() if p > 0]
            moves.append([*row, (len(states), ending if ending > _ROUNDING or not row else 0.0)])
        starts = [[(number[s], float(w)) for s, w in config.new_session[group].items()] for group in groups]
        return cls(
            states=states,
            end=len(states),
            kind=np.array([_kind(state) for state in states], dtype=np.int64),
            is_login=np.array([state.page == "Login" for state in states]),
            is_churned=np.array([state.auth == config.churned_state for state in states]),
            # A pair without a first state only occurs where the listener has left for ever, or goes on to another.
            group=np.array([group_number.get((s.auth, s.level), 0) for s in states], dtype=np.int64),
            groups=groups,
            next_states=AliasRows.from_outcomes(moves),
            first_states=AliasRows.from_outcomes(starts),
        )

    def groups_of(self, auths: npt.NDArray[np.object_], levels: npt.NDArray[np.object_]) -> IntegerArray:
        """The numbers of (auth, level) pairs."""
        group_number = {group: position for position, group in enumerate(self.groups)}
        return np.array([group_number[pair] for pair in zip(auths, levels, strict=True)], dtype=np.int64)


def _kind(state: State) -> int:
    if state.is_redirect:
        return REDIRECT
    return SONG if state.page == "NextSong" else ORDINARY
