"""From page views to the lines of Eventsim's four files: newline-delimited JSON, key for key in Eventsim's order.

Where the lines go does not belong here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from music_platform.eventsim.catalogue import Catalogue
from music_platform.eventsim.config import ListenerConfig
from music_platform.eventsim.faults import Faults
from music_platform.eventsim.json_text import (
    NumberedText,
    float32_text,
    integer_texts,
    joined,
    json_string,
    repeated,
    string_array,
    taken,
    taken_where,
    text_of,
)
from music_platform.eventsim.population import Population
from music_platform.eventsim.simulation import EventBatch
from music_platform.eventsim.state_machine import StateMachine

PAGE_VIEWS, LISTENS, AUTHS, STATUS_CHANGES = "page_view_events", "listen_events", "auth_events", "status_change_events"
EVENT_TYPES = (AUTHS, LISTENS, PAGE_VIEWS, STATUS_CHANGES)
_STATUS_CHANGE_PAGES = ("Submit Upgrade", "Submit Downgrade")
Lines = dict[str, tuple[int, memoryview]]
# Small enough that texts in the making stay in the processor's cache, big enough that calls cost little.
ROWS_AT_ONCE = 8_192
_ITEMS_WITH_READY_TEXT = 4_096


@dataclass(frozen=True)
class _Rows:
    """What several event types share of some page views.

    ``ts`` goes on with the key of ``session``, ``item`` ends with a comma, ``block`` is device and user.
    """

    state: npt.NDArray[np.int64]
    ts: pa.StringArray
    session: pa.StringArray
    item: pa.StringArray
    block: pa.StringArray

    def at(self, positions: npt.NDArray[np.int64]) -> "_Rows":
        """Some of the rows."""
        texts = (taken(text, positions) for text in (self.ts, self.session, self.item, self.block))
        return _Rows(self.state[positions], *texts)


class Renderer:
    """Writes lines from fragments that are made once: by listener, by song, by state. Safe to use from threads."""

    def __init__(
        self,
        config: ListenerConfig,
        machine: StateMachine,
        catalogue: Catalogue,
        people: Population,
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults
        states = machine.states
        # One table, so that one index picks the block with or without the user.
        self.blocks = pa.concat_arrays([people.anonymous, people.identified])
        shown = np.array([config.show_user_details[state.auth] for state in states])
        self.block_offset = np.where(shown, len(people), 0)
        songs = [
            f'"artist":{json_string(artist)},"song":{json_string(title)},"duration":{float32_text(duration)}'
            for artist, title, duration in zip(catalogue.artists, catalogue.titles, catalogue.durations, strict=True)
        ]
        self.listen_openings = string_array(f'{{{song},"ts":' for song in songs)
        self.page_view_endings = string_array([*(f",{song}}}\n" for song in songs), "}\n"])
        self.no_song = len(songs)
        self.plays = np.array([state.page == "NextSong" for state in states])
        self.changes_status = np.array([state.page in _STATUS_CHANGE_PAGES for state in states])
        self.logged_in = np.array([int(state.auth == "Logged In") for state in states])
        self.time = NumberedText('000,"sessionId":')
        self.page_view_states = string_array(
            f',"page":{json_string(s.page)},"auth":{json_string(s.auth)},"method":{json_string(s.method)},'
            f'"status":{s.status},"level":{json_string(s.level)},"itemInSession":'
            for s in states
        )
        self.auth_and_level = string_array(
            f',"auth":{json_string(s.auth)},"level":{json_string(s.level)},"itemInSession":' for s in states
        )
        self.level = string_array(f',"level":{json_string(s.level)},"itemInSession":' for s in states)
        self.items = string_array(f"{item}," for item in range(_ITEMS_WITH_READY_TEXT))
        self.success = string_array([',"success":false}\n', ',"success":true}\n'])
        self.opening = repeated('{"ts":', ROWS_AT_ONCE)
        self.closing = repeated("}\n", ROWS_AT_ONCE)

    def lines(self, batch: EventBatch, first: int) -> Lines:
        """The lines of at most ``ROWS_AT_ONCE`` page views of a batch from position ``first`` on, by event type.

        Each value is (number of lines, UTF-8 text whose every line ends with a newline); types without a line are
        absent.
        """
        part = slice(first, first + ROWS_AT_ONCE)
        state, song = batch.state[part], batch.song[part]
        rows = _Rows(
            state=state,
            ts=self.time.texts(batch.ts[part]),
            session=integer_texts(batch.session[part]),
            item=self._item_texts(batch.item[part]),
            block=taken(self.blocks, batch.user[part] + self.block_offset.take(state)),
        )
        plays = self.plays.take(state)
        found = {PAGE_VIEWS: (state.size, text_of(self._page_views(rows, np.where(plays, song, self.no_song))))}
        listens = int(np.count_nonzero(plays))
        if listens:
            found[LISTENS] = listens, text_of(self._listens(rows, song, plays))
        auths = np.flatnonzero(batch.after_login[part])
        if auths.size:
            found[AUTHS] = auths.size, text_of(self._auths(rows.at(auths)))
        status_changes = np.flatnonzero(self.changes_status.take(state))
        if status_changes.size:
            found[STATUS_CHANGES] = status_changes.size, text_of(self._status_changes(rows.at(status_changes)))
        if self.faults is None:
            return found
        positions = {LISTENS: np.flatnonzero(plays), AUTHS: auths, STATUS_CHANGES: status_changes}
        spoilt: Lines = {}
        for event_type, text in found.items():
            of = positions.get(event_type, slice(None))
            ts, session, item = batch.ts[part][of], batch.session[part][of], batch.item[part][of]
            spoilt[event_type] = self.faults.spoil(event_type, ts, session, item, text)
        return {event_type: text for event_type, text in spoilt.items() if text[0]}

    def late_lines(self, until: int | None = None) -> Lines:
        """The lines held back so far that have come by then, in seconds since 1970, or all of them."""
        return {} if self.faults is None else self.faults.arrived(until)

    def _item_texts(self, item: npt.NDArray[np.int64]) -> pa.StringArray:
        if item.size and int(item.max()) >= _ITEMS_WITH_READY_TEXT:
            return joined(integer_texts(item), repeated(",", item.size))
        return taken(self.items, item)

    def _page_views(self, rows: _Rows, ending: npt.NDArray[np.int64]) -> pa.StringArray:
        return joined(
            self.opening[: ending.size], rows.ts, rows.session, taken(self.page_view_states, rows.state), rows.item,
            rows.block, taken(self.page_view_endings, ending),
        )  # fmt: skip

    def _listens(self, rows: _Rows, song: npt.NDArray[np.int64], plays: npt.NDArray[np.bool_]) -> pa.StringArray:
        # Nearly all page views are songs: leaving the others out by a null is cheaper than copying all but them.
        return joined(
            taken_where(self.listen_openings, song, plays), rows.ts, rows.session,
            taken(self.auth_and_level, rows.state), rows.item, rows.block, self.closing[: song.size],
        )  # fmt: skip

    def _status_changes(self, rows: _Rows) -> pa.StringArray:
        return joined(
            self.opening[: rows.state.size], rows.ts, rows.session, taken(self.auth_and_level, rows.state), rows.item,
            rows.block, self.closing[: rows.state.size],
        )  # fmt: skip

    def _auths(self, rows: _Rows) -> pa.StringArray:
        return joined(
            self.opening[: rows.state.size], rows.ts, rows.session, taken(self.level, rows.state), rows.item,
            rows.block, taken(self.success, self.logged_in.take(rows.state)),
        )  # fmt: skip
