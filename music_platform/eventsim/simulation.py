"""The simulation: all listeners whose next page view is due take a step at once, until a given time is reached.

Rules as in Eventsim (github.com/viirya/eventsim, Session.scala and User.scala); text and files do not belong here.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from music_platform.eventsim.calendar import ListeningCalendar
from music_platform.eventsim.config import ListenerConfig
from music_platform.eventsim.population import Population
from music_platform.eventsim.randomness import (
    COUNTER_BITS,
    IntegerArray,
    UnsignedArray,
    high_half,
    low_half,
    random_bits,
    standard_exponential,
    stream_key,
)
from music_platform.eventsim.song_choice import SongChoice
from music_platform.eventsim.state_machine import REDIRECT, SONG, StateMachine

_NEVER = np.iinfo(np.int64).max
_ONE = np.uint64(1)
_LONGEST_GAP_SECONDS = 1_600_000_000.0


@dataclass(frozen=True)
class EventBatch:
    """Page views in order of time, then listener, then occurrence; arrays of one length.

    ``ts``: seconds since 1970-01-01 UTC. ``user``, ``state``, ``song``: positions in population, state machine and
    catalogue (song is meaningless where the state plays none). ``after_login``: an auth event goes with it.
    """

    ts: IntegerArray
    user: IntegerArray
    state: IntegerArray
    session: IntegerArray
    item: IntegerArray
    song: IntegerArray
    after_login: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return self.ts.size


@dataclass
class _Listeners:
    """The page view that each of some listeners makes next; ``counter`` is the listener's position and draws made."""

    counter: UnsignedArray
    ts: IntegerArray
    state: IntegerArray
    session: IntegerArray
    item: IntegerArray
    song: IntegerArray
    song_end: IntegerArray
    after_login: npt.NDArray[np.bool_]

    def select(self, which: npt.NDArray[np.bool_]) -> "_Listeners":
        positions = np.flatnonzero(which)
        return _Listeners(*[getattr(self, name).take(positions) for name in _FIELDS])

    @staticmethod
    def concatenated(parts: list["_Listeners"]) -> "_Listeners":
        if len(parts) == 1:
            return parts[0]
        return _Listeners(*[np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS])

    @property
    def user(self) -> IntegerArray:
        return (self.counter >> COUNTER_BITS).view(np.int64)


_FIELDS = tuple(field.name for field in fields(_Listeners))


class Simulation:
    """The listeners of one run from its start on; ``advance`` moves the clock and hands out what happened."""

    def __init__(self, config: ListenerConfig, songs: SongChoice, population: Population, seed: int) -> None:
        self.machine = StateMachine.create(config)
        self.calendar = ListeningCalendar.create(
            config.damping, config.weekend_damping, config.weekend_damping_offset, config.weekend_damping_scale
        )
        self.session_gap = config.session_gap
        self.population = population
        self.songs = songs
        self.key = stream_key(seed, "page views")
        self.gap_key = stream_key(seed, "seconds between page views")
        self.first_key = stream_key(seed, "first sessions")
        count = len(population)
        self.next_session_id = count + 1
        self.new_sessions: list[tuple[IntegerArray, IntegerArray]] = []
        self.new_session_count = 0
        self.waiting = self._first_sessions(count)

    def _first_sessions(self, count: int) -> _Listeners:
        """Every listener's first session: found from a random past on, so that the run starts in a steady state."""
        users = np.arange(count, dtype=np.uint64)
        groups = self.machine.groups_of(self.population.auths, self.population.levels)
        mean_gap = self.population.beta.astype(np.int64)
        start = self.population.joined - 2 * mean_gap
        earliest = self.population.joined - mean_gap
        counters = users << COUNTER_BITS
        pending = np.arange(count)
        while pending.size:
            found, moved = self._session_starts(counters[pending], start[pending], self.first_key)
            start[pending], counters[pending] = found, moved
            pending = pending[found < earliest[pending]]
        sessions = np.arange(1, count + 1, dtype=np.int64)
        return self._opened(users << COUNTER_BITS, start, groups, sessions)

    def _session_starts(
        self, counters: UnsignedArray, last: IntegerArray, key: np.uint64
    ) -> tuple[IntegerArray, UnsignedArray]:
        """When the next session of each listener starts after ``last``, and the counters moved on by what was drawn."""
        starts = last.copy()
        counters = counters.copy()
        mean_gaps = self.population.beta.take((counters >> COUNTER_BITS).view(np.int64))
        pending = np.arange(last.size)
        since = last
        while pending.size:
            bits = random_bits(key, counters[pending])
            counters[pending] += _ONE
            gap = np.minimum(standard_exponential(high_half(bits)) * mean_gaps[pending], _LONGEST_GAP_SECONDS)
            candidate = self.calendar.warped(since + gap.astype(np.int64) + self.session_gap)
            # The warp may lead back in time; then a later start is tried, as if a session gap had passed.
            backward = candidate < since
            dropped = self.calendar.dropped_share(candidate) * 2.0**32 > low_half(bits)
            kept = ~(backward | dropped)
            starts[pending[kept]] = candidate[kept]
            since = np.where(backward, since + self.session_gap, candidate)[~kept]
            pending = pending[~kept]
        return starts, counters

    def _opened(
        self, counters: UnsignedArray, starts: IntegerArray, groups: IntegerArray, sessions: IntegerArray
    ) -> _Listeners:
        """The first page views of sessions."""
        machine = self.machine
        bits = random_bits(self.key, counters)
        state = machine.first_states.draw(groups, high_half(bits))
        self.songs.begin_sessions(counters)
        song, heard_seconds = self.songs.choose(counters, low_half(bits))
        plays = machine.kind.take(state) == SONG
        return _Listeners(
            counter=counters + _ONE,
            ts=starts,
            state=state,
            session=sessions,
            item=np.zeros(starts.size, dtype=np.int64),
            song=song,
            song_end=np.where(plays, starts + heard_seconds, -_NEVER),
            after_login=np.zeros(starts.size, dtype=np.bool_),
        )

    def _next_sessions(self, ended: _Listeners) -> _Listeners:
        """What follows for listeners whose session ended with the given page view; those who left for good are gone."""
        stays = ~self.machine.is_churned.take(ended.state)
        starts, counters = self._session_starts(ended.counter, ended.ts, self.key)
        stays &= starts < self.population.leaves.take(ended.user)
        count = ended.ts.size
        numbers = -1 - self.new_session_count - np.arange(count, dtype=np.int64)
        self.new_sessions.append((ended.ts, ended.user))
        self.new_session_count += count
        following = self._opened(counters, starts, self.machine.group.take(ended.state), numbers)
        return following if stays.all() else following.select(stays)

    def _step(self, now: _Listeners) -> tuple[_Listeners, npt.NDArray[np.bool_]]:
        """The page views after the given ones in the same session, and which of them exist: the others end it."""
        machine = self.machine
        bits = random_bits(self.key, now.counter)
        state = machine.next_states.draw(now.state, high_half(bits))
        goes_on = state != machine.end
        state[~goes_on] = 0
        kind = machine.kind.take(state)
        plays = kind == SONG
        chosen, heard_seconds = self.songs.choose(now.counter, low_half(bits))
        song_runs = plays & (now.song_end > now.ts)
        ts = np.where(song_runs, now.song_end, now.ts + 1)
        # Only these wait for a time of chance; the others follow a redirect or the end of a song.
        pausing = np.flatnonzero((kind != REDIRECT) & goes_on & ~song_runs)
        counters = now.counter[pausing]
        pause = standard_exponential(high_half(random_bits(self.gap_key, counters)))
        pause *= self.population.alpha.take((counters >> COUNTER_BITS).view(np.int64))
        ts[pausing] = now.ts[pausing] + np.minimum(pause, _LONGEST_GAP_SECONDS).astype(np.int64)
        following = _Listeners(
            counter=now.counter + _ONE,
            ts=ts,
            state=state,
            session=now.session,
            item=now.item + 1,
            song=np.where(plays, chosen, now.song),
            song_end=np.where(plays, ts + heard_seconds, now.song_end),
            # A redirect does not count as a page of its own, so the page before it is remembered once more.
            after_login=np.where(kind == REDIRECT, now.after_login, machine.is_login.take(now.state)),
        )
        return following, goes_on

    def advance(self, until: int, keep: bool = True) -> EventBatch:
        """All page views before ``until`` (seconds since 1970-01-01 UTC) that were not handed out yet, in order.

        The result is the same whether time is passed in one advance or in many. ``keep=False`` drops the page views.
        """
        due = self.waiting.ts < until
        active = self.waiting.select(due)
        later = [self.waiting.select(~due)]
        first_draws = np.zeros(len(self.population), dtype=np.uint64)
        first_draws[active.user] = active.counter
        seen: list[_Listeners] = []
        ended: list[_Listeners] = []
        ended_count = 0
        while active.ts.size or ended_count:
            # Sessions that ended wait until they are as many as those going on: long steps cost less than many.
            if ended_count >= active.ts.size:
                opened = self._next_sessions(_Listeners.concatenated(ended))
                ended, ended_count = [], 0
                due = opened.ts < until
                later.append(opened.select(~due))
                active = _Listeners.concatenated([active, opened.select(due)])
                continue
            if keep:
                seen.append(active)
            following, goes_on = self._step(active)
            if not goes_on.all():
                over = ~goes_on
                finished = active.select(over)
                finished.counter += _ONE
                ended.append(finished)
                ended_count += finished.ts.size
            due = goes_on & (following.ts < until)
            late = goes_on ^ due
            if late.any():
                later.append(following.select(late))
            active = following if due.all() else following.select(due)
        self.waiting = _Listeners.concatenated(later)
        return self._numbered(seen, first_draws)

    def _numbered(self, seen: list[_Listeners], first_draws: UnsignedArray) -> EventBatch:
        """Number the sessions opened since the last call in order of opening, and put the page views in order."""
        numbers = self._session_numbers()
        waiting = self.waiting.session
        self.waiting.session = np.where(waiting < 0, numbers.take(-1 - waiting, mode="clip"), waiting)
        if not seen:
            nothing = np.empty(0, dtype=np.int64)
            return EventBatch(nothing, nothing, nothing, nothing, nothing, nothing, np.empty(0, dtype=np.bool_))
        order = self._order(seen, first_draws)

        def ordered(name: str) -> npt.NDArray[Any]:
            return np.concatenate([getattr(part, name) for part in seen]).take(order)

        session = ordered("session")
        fresh = session < 0
        session[fresh] = numbers[-1 - session[fresh]]
        return EventBatch(
            ts=ordered("ts"),
            user=(ordered("counter") >> COUNTER_BITS).view(np.int64),
            state=ordered("state"),
            session=session,
            item=ordered("item"),
            song=ordered("song"),
            after_login=ordered("after_login"),
        )

    def _session_numbers(self) -> IntegerArray:
        if not self.new_sessions:
            return np.zeros(1, dtype=np.int64)
        times = np.concatenate([ts for ts, _ in self.new_sessions])
        users = np.concatenate([user for _, user in self.new_sessions])
        numbers = np.empty(times.size, dtype=np.int64)
        numbers[np.lexsort((users, times))] = self.next_session_id + np.arange(times.size)
        self.next_session_id += times.size
        self.new_sessions, self.new_session_count = [], 0
        return numbers

    @staticmethod
    def _order(seen: list[_Listeners], first_draws: UnsignedArray) -> IntegerArray:
        """Positions in order of time, then listener, then occurrence."""
        ts = np.concatenate([part.ts for part in seen])
        counter = np.concatenate([part.counter for part in seen])
        user = counter >> COUNTER_BITS
        draws = counter - first_draws.take(user.view(np.int64))
        ts -= ts.min()
        draw_bits, user_bits = int(draws.max()).bit_length(), int(user.max()).bit_length()
        if draw_bits + user_bits + int(ts.max()).bit_length() > 64:
            return np.lexsort((draws, user, ts))
        # One unique number for each page view: its sort is several times as fast, and needs not be stable.
        key = (ts.view(np.uint64) << np.uint64(user_bits + draw_bits)) | (user << np.uint64(draw_bits)) | draws
        return np.argsort(key)
