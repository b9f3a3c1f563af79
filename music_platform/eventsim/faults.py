"""Faults of the way from a client to the collector: lines that come twice, late, with a wrong value, or cut off.

Which lines they are depends on the seed and the lines alone. What a line says without a fault does not belong here.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from music_platform.eventsim.randomness import (
    IntegerArray,
    high_half,
    low_half,
    random_bits,
    stream_key,
    unit_interval,
)

Text = tuple[int, memoryview]
"""A number of lines, and they themselves: UTF-8 text of which each ends with a newline."""

TWICE, LATE, CUT_OFF = 0.5, 0.75, 0.8
"""Bounds of the kinds among the lines with a fault: delivered twice, late, cut off; the rest has a value that is wrong."""
LEAST_DELAY_SECONDS, MOST_DELAY_SECONDS = 600, 6 * 3_600
_ITEM_BITS, _TYPE_BITS = np.uint64(20), np.uint64(4)

# What a client of a wrong version sends.
_WRONG_VALUES: tuple[Callable[[dict[str, Any]], None], ...] = (
    lambda record: record.update(itemInSession=-1),
    lambda record: record.update(sessionId=f"s-{record['sessionId']}"),
    lambda record: record.pop("level"),
    lambda record: record.update(level="trial"),
)


class Faults:
    """Spoils a share of lines, and holds those back that are late. Safe to use from threads."""

    def __init__(self, share: float, seed: int) -> None:
        """``share``: of all lines, from 0 to 1."""
        self._bound = np.uint64(round(share * 2**32))
        self._keys = stream_key(seed, "faults"), stream_key(seed, "kinds of faults")
        self._held: list[tuple[int, str, bytes]] = []
        self._adding = threading.Lock()

    def spoil(self, event_type: str, ts: IntegerArray, session: IntegerArray, item: IntegerArray, given: Text) -> Text:
        """The lines with their faults and without the late ones. The arrays have an entry for each line, ``ts`` in seconds."""
        counters = (session.astype(np.uint64) << _ITEM_BITS) + item.astype(np.uint64)
        counters = (counters << _TYPE_BITS) + np.uint64(len(event_type) & 15)
        chosen = np.flatnonzero(high_half(random_bits(self._keys[0], counters)) < self._bound)
        if not chosen.size:
            return given
        bits = random_bits(self._keys[1], counters[chosen])
        kinds, details = unit_interval(high_half(bits)), unit_interval(low_half(bits))
        lines = bytes(given[1]).split(b"\n")[:-1]
        late: list[tuple[int, str, bytes]] = []
        for position, kind, detail in zip(chosen.tolist(), kinds.tolist(), details.tolist(), strict=True):
            line = lines[position]
            if kind < TWICE:
                lines[position] = line + b"\n" + line
            elif kind < LATE:
                delay = LEAST_DELAY_SECONDS + int(detail * (MOST_DELAY_SECONDS - LEAST_DELAY_SECONDS))
                late.append((int(ts[position]) + delay, event_type, line + b"\n"))
                lines[position] = b""
            elif kind < CUT_OFF:
                lines[position] = line[: 1 + int(detail * (len(line) - 2))].rstrip(b"}")
            else:
                lines[position] = _with_wrong_value(line, _WRONG_VALUES[int(detail * len(_WRONG_VALUES))])
        with self._adding:
            self._held += late
        return _text([line + b"\n" for line in lines if line])

    def arrived(self, until: int | None = None) -> dict[str, Text]:
        """The late lines that have come by then (seconds since 1970), or all, by event type and in the order of their coming."""
        with self._adding:
            come = sorted(held for held in self._held if until is None or held[0] <= until)
            self._held = [held for held in self._held if until is not None and held[0] > until]
        types = dict.fromkeys(event_type for _, event_type, _ in come)
        return {name: _text([line for _, event_type, line in come if event_type == name]) for name in types}


def _with_wrong_value(line: bytes, spoil: Callable[[dict[str, Any]], None]) -> bytes:
    record = json.loads(line)
    spoil(record)
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def _text(lines: list[bytes]) -> Text:
    text = b"".join(lines)
    return text.count(b"\n"), memoryview(text)
