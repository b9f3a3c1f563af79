"""The log of the original Eventsim (Interana's, with which Sparkify's logs were made): one file that holds every page.

Its lines are views of pages. Listens, attempts to log in and changes of level are derived from them as Eventsim's later
version does, which writes them to files of their own. Pure functions on bytes: event_lines.py sorts what they give.

Source: https://github.com/Interana/eventsim (User.scala) and https://github.com/viirya/eventsim (Output.scala).
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from typing import Any

from music_platform.exact_json import LARGEST_EXACT_FRACTION, Pairs, WrittenNumber, json_text, refuse_constant
from music_platform.landing.byte_order_marks import without_marks
from music_platform.landing.event_lines import epoch_milliseconds, records_of
from music_platform.tables.events import EVENT_CONTRACTS

PAGE_VIEWS, LISTENS, AUTHS, STATUS_CHANGES = "page_view_events", "listen_events", "auth_events", "status_change_events"
PAGE_LOG_TYPES = (PAGE_VIEWS, LISTENS, AUTHS, STATUS_CHANGES)
"""The event types that a log of all pages holds; each of its lines is one of the first."""

_KEYS_OF_ALL = frozenset({"ts", "page", "sessionId", "itemInSession"})
_KEYS_OF_ITS_OWN = frozenset({"location", "length"})
_KEYS_OF_OTHERS = frozenset({"city", "zip", "lat", "lon", "duration"})
_MAY_BE_EMPTY = frozenset({
    "userId", "firstName", "lastName", "gender", "registration", "location", "userAgent", "artist", "song", "length", "tag",
})  # fmt: skip
_USER_NUMBER = re.compile(r"[0-9]{1,18}(?=(?:\.0+)?\Z)")
_PLACE = re.compile(r"(?P<cities>.*\S), *(?P<state>[A-Z]{2})(?:-[A-Z]{2})*", re.DOTALL)
_LEVEL_CHANGES = ("Submit Upgrade", "Submit Downgrade")
_MOST_LOGINS = 100_000  # that wait for the page after them; some 30 MB


def is_page_log(begin: bytes) -> bool:
    """Whether lines are of the original Eventsim's log: pages with a `location` or `length`, which no other format has."""
    has_own = False
    for line in without_marks(begin).split(b"\n"):
        for record, _ in records_of(line) if line.strip() else ():
            if not isinstance(record, dict):
                continue
            present = {key for key, value in record.items() if value is not None}
            if not present >= _KEYS_OF_ALL or present & _KEYS_OF_OTHERS:
                return False
            has_own = has_own or bool(present & _KEYS_OF_ITS_OWN)
    return has_own


class PageLog:
    """Splits one log, block by block in the order of the file, into lines of the event types.

    Holds the attempts to log in whose answer, the session's next page, has not come yet.
    """

    def __init__(self) -> None:
        # By session and position of the next page: whether that page was left at Login, and whether an earlier one was.
        self._logins: OrderedDict[tuple[int, int], tuple[bool, bool]] = OrderedDict()

    def split(self, block: bytes) -> dict[str, bytes]:
        """Whole lines of each event type that a block of whole lines holds; every line is in ``page_view_events``.

        A line that is no record, or names a key twice, stays as it is: what is wrong with it is found where it lands.
        """
        lines: dict[str, list[bytes]] = defaultdict(list)
        for line in without_marks(block).split(b"\n"):
            if not line.strip():
                continue
            for text, record in _read(line):
                if record is None:
                    lines[PAGE_VIEWS].append(text)
                    continue
                view = _page_view(record)
                lines[PAGE_VIEWS].append(_text(view))
                for event_type, event in self._derived(view):
                    lines[event_type].append(_text(event))
        return {event_type: b"\n".join(texts) + b"\n" for event_type, texts in lines.items()}

    def _derived(self, view: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events that go with the view of a page."""
        if epoch_milliseconds(view) is None:  # the view itself becomes an error record
            return
        page = view.get("page")
        if page == "NextSong":
            yield LISTENS, _of_type(LISTENS, view)
        if page in _LEVEL_CHANGES:
            yield STATUS_CHANGES, _of_type(STATUS_CHANGES, view)
        if self._answers_a_login(view):
            yield AUTHS, _of_type(AUTHS, view | {"success": view.get("auth") == "Logged In"})

    def _answers_a_login(self, view: dict[str, Any]) -> bool:
        """Whether the page follows on Login in its session; a redirect between them does not count, as in Eventsim."""
        session, item = view.get("sessionId"), view.get("itemInSession")
        if type(session) is not int or type(item) is not int:
            return False
        was_login, was_before = self._logins.get((session, item), (False, False))
        status = view.get("status")
        is_redirect = type(status) is int and 300 <= status < 399
        is_answer = was_before if is_redirect else was_login
        if is_answer or view.get("page") == "Login":
            self._logins[session, item + 1] = (view.get("page") == "Login", is_answer)
            if len(self._logins) > _MOST_LOGINS:
                self._logins.popitem(last=False)
        return is_answer


def _read(line: bytes) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """The texts of a line's records, each with the record; None where it is none, or names a key twice."""
    record = _record(line)
    if record is not None:
        yield line, record
        return
    texts = [text for _, text in records_of(line)]
    for text in texts or [line]:
        yield text, _record(text)


def _record(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(
            text.decode("utf-8"), object_pairs_hook=Pairs, parse_float=_number, parse_constant=refuse_constant
        )
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, Pairs):
        return None
    record = dict(value)
    return record if len(record) == len(value) else None


def _number(text: str) -> float | WrittenNumber:
    number = float(text)
    return number if repr(number) == text else WrittenNumber(text)  # what Python would write in another way


def _page_view(record: dict[str, Any]) -> dict[str, Any]:
    """A record of the log under the keys of a page view. What is null, or empty where that means absent, is left out."""
    view = {}
    for key, value in record.items():
        if value is None or (value == "" and key in _MAY_BE_EMPTY):
            continue
        if key == "length" and "duration" not in record:
            key = "duration"
        view[key] = _user_number(value) if key == "userId" else _whole(key, value)
    location = view.get("location")
    if isinstance(location, str) and not view.keys() & {"city", "state"}:
        place = _PLACE.fullmatch(location.strip())
        if place is not None:
            view |= {"city": place["cities"], "state": place["state"]}
    return view


def _user_number(value: Any) -> Any:
    """The number that a text of digits is; what is no number stays, and breaks a rule where it lands."""
    if isinstance(value, str):
        digits = _USER_NUMBER.match(value.strip())
        return value if digits is None else int(digits[0])
    return _whole("userId", value)


def _whole(key: str, value: Any) -> Any:
    """A whole number that is written with a fraction or an exponent, as the integer that it is."""
    if isinstance(value, WrittenNumber):
        whole = value.as_integer()
        return value if whole is None or key == "duration" else whole
    if isinstance(value, float) and key != "duration" and value.is_integer() and abs(value) <= LARGEST_EXACT_FRACTION:
        return int(value)
    return value


def _of_type(event_type: str, view: dict[str, Any]) -> dict[str, Any]:
    return {key: view[key] for key in EVENT_CONTRACTS[event_type].keys if key in view}


def _text(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=_refuse).encode()
    except (TypeError, UnicodeEncodeError):  # numbers as they were written, and lone surrogates
        return json_text(record).encode()


def _refuse(value: object) -> Any:
    raise TypeError(f"{value!r} is written by json_text")
