"""A log of 100 lines as the original Eventsim writes it, with the pages and the spellings of the logs that people have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

LISTENERS: tuple[dict[str, Any], ...] = (
    {"userId": "1039", "firstName": "Walter", "lastName": "Frye", "gender": "M", "location": "San Francisco-Oakland-Hayward, CA"},
    {"userId": "1008", "firstName": "Kaylee", "lastName": "Summers", "gender": "F", "location": "Phoenix-Mesa-Scottsdale, AZ"},
    {"userId": "1010", "firstName": "Sylvie", "lastName": "Cruz", "gender": "F",
     "location": "Washington-Arlington-Alexandria, DC-VA-MD-WV"},
    {"userId": "1026", "firstName": "Ryan", "lastName": "Smith", "gender": "M",
     "location": "New York-Newark-Jersey City, NY-NJ-PA"},
    {"userId": "1101", "firstName": "Jayden", "lastName": "Fox", "gender": "M", "location": "New Orleans-Metairie, LA"},
)  # fmt: skip
SONG = {"artist": "The Page Log", "song": "Every Page in One File", "length": 277.89016}
_USER_AGENT = (
    '"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/36.0.1985.125 Safari/537.36"'
)
_REGISTRATION = 1_540_919_166_796.0
# Page, auth, method, status, level: two listens, an attempt to log in that succeeds, an upgrade and pages of later versions.
_PAGES = (
    ("Home", "Logged Out", "GET", 200, "free"), ("About", "Logged Out", "GET", 200, "free"),
    ("Login", "Logged Out", "PUT", 307, "free"), ("Home", "Logged In", "GET", 200, "free"),
    ("NextSong", "Logged In", "PUT", 200, "free"), ("Thumbs Up", "Logged In", "PUT", 307, "free"),
    ("NextSong", "Logged In", "PUT", 200, "free"), ("Roll Advert", "Logged In", "GET", 200, "free"),
    ("Add to Playlist", "Logged In", "PUT", 200, "free"), ("Add Friend", "Logged In", "PUT", 307, "free"),
    ("Upgrade", "Logged In", "GET", 200, "free"), ("Submit Upgrade", "Logged In", "PUT", 307, "free"),
    ("Home", "Logged In", "GET", 200, "paid"), ("NextSong", "Logged In", "PUT", 200, "paid"),
    ("Thumbs Down", "Logged In", "PUT", 307, "paid"), ("Help", "Logged In", "GET", 200, "paid"),
    ("Error", "Logged In", "GET", 404, "paid"), ("Settings", "Logged In", "GET", 200, "paid"),
    ("Logout", "Logged In", "PUT", 307, "paid"), ("Home", "Logged Out", "GET", 200, "paid"),
)  # fmt: skip
LINES = len(LISTENERS) * len(_PAGES)
DERIVED = {"listen_events": 15, "auth_events": 5, "status_change_events": 5}


def page_log_records(start: datetime) -> Iterator[dict[str, Any]]:
    """The records of five visits of 20 pages each, in the order of time; they begin at ``start``."""
    for item, (page, auth, method, status, level) in enumerate(_PAGES):
        for number, listener in enumerate(LISTENERS):
            is_known = auth == "Logged In"
            at = start + timedelta(minutes=5 * item, seconds=number)
            yield {
                "artist": None, "auth": auth, "firstName": None, "gender": None, "itemInSession": item, "lastName": None,
                "length": None, "level": level, "location": None, "method": method, "page": page,
                "registration": _REGISTRATION if is_known else None, "sessionId": 900 + number, "song": None, "status": status,
                "ts": int(at.timestamp() * 1000), "userAgent": _USER_AGENT if is_known else None, "userId": "",
            } | (listener if is_known else {}) | (SONG if page == "NextSong" else {})  # fmt: skip


def page_log(start: datetime) -> bytes:
    """The records as lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in page_log_records(start))
