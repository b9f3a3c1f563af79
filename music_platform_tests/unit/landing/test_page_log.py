"""Logs of the original Eventsim: every line is a page view, and what Eventsim derives from them follows; nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.landing.page_log import AUTHS, LISTENS, PAGE_VIEWS, STATUS_CHANGES, PageLog, is_page_log
from music_platform_tests.page_logs import DERIVED, LINES, page_log

_START = datetime(2026, 11, 1, 5, tzinfo=UTC)
_LOG = page_log(_START)
_TS = 1_793_509_200_000
_USER: dict[str, Any] = {
    "userId": "39", "firstName": "Walter", "lastName": "Frye", "gender": "M", "registration": 1_540_919_166_796.0,
    "location": "New York-Newark-Jersey City, NY-NJ-PA", "userAgent": '"Mozilla/5.0 (X11)"',
}  # fmt: skip


def _record(page: str, item: int = 0, **changes: Any) -> dict[str, Any]:
    return {"ts": _TS + item, "sessionId": 7, "page": page, "auth": "Logged In", "method": "GET", "status": 200,
            "level": "free", "itemInSession": item} | changes  # fmt: skip


def _split(*records: dict[str, Any] | bytes) -> dict[str, list[dict[str, Any]]]:
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    found = PageLog().split(b"\n".join(lines) + b"\n")
    return {event_type: [json.loads(line) for line in text.splitlines()] for event_type, text in found.items()}


def test_a_listen_is_a_page_view_and_a_listen_with_nothing_made_up() -> None:
    record = _record("NextSong", **_USER, artist="Pixies", song="Debaser", length=171.59791)
    found = _split(record)
    shared = {
        "ts": _TS, "sessionId": 7, "auth": "Logged In", "level": "free", "itemInSession": 0, "userId": 39,
        "firstName": "Walter", "lastName": "Frye", "gender": "M", "registration": 1_540_919_166_796,
        "location": "New York-Newark-Jersey City, NY-NJ-PA", "city": "New York-Newark-Jersey City", "state": "NY",
        "userAgent": '"Mozilla/5.0 (X11)"', "artist": "Pixies", "song": "Debaser", "duration": 171.59791,
    }  # fmt: skip
    assert found == {PAGE_VIEWS: [shared | {"page": "NextSong", "method": "GET", "status": 200}], LISTENS: [shared]}


def test_the_hundred_lines_give_what_eventsim_writes_of_them() -> None:
    counts = {event_type: len(text.splitlines()) for event_type, text in PageLog().split(_LOG).items()}
    assert counts == {PAGE_VIEWS: LINES, **DERIVED}


@pytest.mark.parametrize(
    ("given_user", "user"),
    [("39", 39), (39, 39), (39.0, 39), ("39.0", 39), ("", None), (None, None), ("a", "a"), ("3.5", "3.5"), (3.5, 3.5)],
)
def test_the_number_of_a_listener(given_user: object, user: object) -> None:
    [view] = _split(_record("Home", userId=given_user))[PAGE_VIEWS]
    assert view.get("userId") == user


@pytest.mark.parametrize(
    ("location", "city", "state"),
    [
        ("Phoenix-Mesa-Scottsdale, AZ", "Phoenix-Mesa-Scottsdale", "AZ"),
        ("Washington-Arlington-Alexandria, DC-VA-MD-WV", "Washington-Arlington-Alexandria", "DC"),
        ("Somewhere", None, None),
        ("A, Bc", None, None),
        (", NY", None, None),
    ],
)
def test_the_place_of_a_location(location: str, city: str | None, state: str | None) -> None:
    [view] = _split(_record("Home", location=location))[PAGE_VIEWS]
    assert (view["location"], view.get("city"), view.get("state")) == (location, city, state)


def test_an_attempt_to_log_in_is_known_by_the_page_after_it() -> None:
    pages = [
        _record("Login", 3, auth="Logged Out", status=307), _record("Home", 4, **_USER),
        _record("Login", 8, sessionId=8, auth="Logged Out", status=307), _record("Error", 9, sessionId=8, auth="Logged Out"),
        _record("Login", 5, sessionId=9, auth="Logged Out", status=307), _record("Home", 7, sessionId=9),
    ]  # fmt: skip
    found = _split(*pages, _record("Home", 4, **_USER))
    assert [(event["sessionId"], event["itemInSession"], event["success"]) for event in found[AUTHS]] == [
        (7, 4, True), (8, 9, False), (7, 4, True),  # a repeated line repeats its event, and silver keeps one
    ]  # fmt: skip


def test_a_redirect_after_the_answer_repeats_the_attempt_as_eventsim_does() -> None:
    pages = [_record("Login", 0, auth="Logged Out", status=307), _record("Home", 1, **_USER),
             _record("Logout", 2, status=307, **_USER), _record("Home", 3, auth="Logged Out")]  # fmt: skip
    assert [event["itemInSession"] for event in _split(*pages)[AUTHS]] == [1, 2]


def test_a_change_of_level_is_the_page_that_submits_it() -> None:
    pages = [_record("Upgrade"), _record("Submit Upgrade", 1), _record("Submit Downgrade", 2, level="paid")]
    assert [(event["level"], "page" in event) for event in _split(*pages)[STATUS_CHANGES]] == [
        ("free", False),
        ("paid", False),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON", b"7", b'"text"', b"[]", b'{"ts":1,"ts":2}', b'{"a":NaN}', b'{"a":"\xff"}', b'{"ts":' + b"9" * 5_000 + b"}",
        b"[" * 5_000 + b"]" * 5_000,
    ],
)  # fmt: skip
def test_a_line_that_is_no_record_stays_as_it_is(line: bytes) -> None:
    assert PageLog().split(line + b"\n") == {PAGE_VIEWS: line + b"\n"}


def test_without_a_page_or_a_usable_time_nothing_is_derived() -> None:
    song: dict[str, Any] = {"artist": "Pixies", "song": "Debaser", "length": 1.5}
    assert list(_split({"ts": _TS, "sessionId": 7} | song)) == [PAGE_VIEWS]
    assert list(_split(_record("NextSong", ts="yesterday", **song))) == [PAGE_VIEWS]


def test_numbers_keep_their_digits() -> None:
    line = b'{"ts":1.793509200000E12,"length":3.0400e2,"big":12345678901234567890.5,"lone":"\\ud800"}'
    expected = b'{"ts":1793509200000,"duration":3.0400e2,"big":12345678901234567890.5,"lone":"\\ud800"}\n'
    assert PageLog().split(line + b"\n") == {PAGE_VIEWS: expected}


def test_an_array_on_one_line_and_marks_between_objects_are_records() -> None:
    records = [_record("Home"), _record("NextSong", 1, artist="a", song="b", length=1.5)]
    array = json.dumps(records).encode()
    joined = b"\xef\xbb\xbf".join(json.dumps(record).encode() for record in records)
    assert _split(array) == _split(joined) == _split(*records)


_LINES = st.one_of(
    st.sampled_from(_LOG.splitlines()),
    st.binary(max_size=12).map(lambda line: line.replace(b"\n", b" ")),
    st.dictionaries(
        st.sampled_from(["ts", "page", "userId", "sessionId", "itemInSession", "status", "location", "length", "x"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=4)
        | st.lists(st.integers(), max_size=2),
    ).map(lambda record: json.dumps(record).encode()),
)


@given(lines=st.lists(_LINES, min_size=1, max_size=12), at=st.integers(0, 12))
def test_no_line_is_lost_and_blocks_do_not_matter(lines: list[bytes], at: int) -> None:
    whole = PageLog().split(b"\n".join(lines) + b"\n")
    log, pieces = PageLog(), dict[str, bytes]()
    for part in (lines[:at], lines[at:]):
        for event_type, text in log.split(b"\n".join(part) + b"\n").items():
            pieces[event_type] = pieces.get(event_type, b"") + text
    assert pieces == whole
    not_blank = sum(bool(line.replace(b"\xef\xbb\xbf", b"").strip()) for line in lines)
    assert whole.get(PAGE_VIEWS, b"").count(b"\n") >= not_blank


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (_LOG, True),
        (b"broken\n" + _LOG, True),
        (b"", False),
        (b"broken\n", False),
        (json.dumps(_record("Home")).encode(), False),  # of a listener who is logged out, as any page view
        (json.dumps(_record("Home", location="A, NY")).encode(), True),
        (json.dumps(_record("Home", location="A, NY", zip="12345")).encode(), False),
        (json.dumps({"ts": _TS, "length": 7, "artist": "x"}).encode(), False),
    ],
)
def test_a_log_is_recognised_beyond_doubt(line: bytes, is_one: bool) -> None:
    assert is_page_log(line) is is_one
