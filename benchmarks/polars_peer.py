"""The platform's peer: landing to bronze, silver and quarantine as a hand-written Polars script, without a platform.

It does the same work on the same objects (parse, type, repair text, parse user agents, fingerprint, remove duplicates, apply
the rules, one sorted zstd Parquet file an hour and table), each step in a fast way that Polars offers, and leaves out what a
script leaves out: manifests and atomic publishing, damaged input and unknown fields, reading bronze back from its files.

    python -m benchmarks.polars_peer LAKE OUTPUT
"""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
from isal import igzip
from ua_parser import parse

_DEVICE = {
    "city": pl.String,
    "zip": pl.String,
    "state": pl.String,
    "userAgent": pl.String,
    "lon": pl.Float64,
    "lat": pl.Float64,
}
_USER = {
    "userId": pl.Int64,
    "lastName": pl.String,
    "firstName": pl.String,
    "gender": pl.String,
    "registration": pl.Int64,
}
_SONG = {"artist": pl.String, "song": pl.String, "duration": pl.Float64}
_BASE = {"ts": pl.Int64, "sessionId": pl.Int64, "level": pl.String, "itemInSession": pl.Int64, "tag": pl.String}
_PAGE = {"page": pl.String, "auth": pl.String, "method": pl.String, "status": pl.Int64}
SCHEMAS: dict[str, dict[str, Any]] = {
    "auth_events": _BASE | _DEVICE | _USER | {"success": pl.Boolean},
    "listen_events": _BASE | _DEVICE | _USER | _SONG | {"auth": pl.String},
    "page_view_events": _BASE | _DEVICE | _USER | _SONG | _PAGE,
    "status_change_events": _BASE | _DEVICE | _USER | {"auth": pl.String},
}
_RENAMED = {
    "sessionId": "session_id", "itemInSession": "item_in_session", "userAgent": "user_agent", "lon": "longitude",
    "lat": "latitude", "userId": "user_id", "lastName": "last_name", "firstName": "first_name", "duration": "duration_seconds",
}  # fmt: skip
_TEXTS = ("tag", "city", "userAgent", "lastName", "firstName", "artist", "song")
_REQUIRED = ("ts", "sessionId", "level", "itemInSession", *_DEVICE)
_PAGES = [
    "NextSong", "Home", "Login", "Logout", "Downgrade", "Help", "Settings", "About", "Upgrade", "Save Settings", "Error",
    "Submit Upgrade", "Register", "Submit Registration", "Submit Downgrade", "Cancel", "Cancellation Confirmation",
]  # fmt: skip
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PUNCTUATION = str.maketrans({"\x18": "'", "\x19": "'", "\x1c": '"', "\x1d": '"', "\x13": "-", "\x14": "-"})
_HOUR_MS = 3_600_000


def build(lake: Path, output: Path) -> None:
    """All event types, one after the other."""
    for event_type, types in SCHEMAS.items():
        events = _read(lake, event_type)
        _write_hours(events, output / "bronze" / event_type)
        judged = _judge(events, event_type)
        good = pl.col("broken_rules") == ""
        silver = judged.filter(good).select(pl.exclude("broken_rules", "ts", "registration", "_object", "_line_number"))
        narrow = [pl.col(name).cast(pl.Int32) for name in ("itemInSession", "status") if name in types]
        silver = silver.with_columns(narrow).rename(_RENAMED, strict=False).sort("event_time", "event_id")
        _write_hours(silver, output / "silver" / event_type)
        quarantine = judged.filter(~good).select(
            pl.col("broken_rules").str.split(",").list.first().alias("rule"), "broken_rules", "event_id", "_object",
            "_line_number", "hour",
        )  # fmt: skip
        raw = events.join(quarantine, on=["_object", "_line_number"], how="semi", maintain_order="left")
        quarantine = quarantine.with_columns(raw=raw.select(pl.struct(*types).struct.json_encode()).to_series())
        _write_hours(quarantine, output / "quarantine" / event_type)


def _read(lake: Path, event_type: str) -> pl.DataFrame:
    """Every event, in the order of the hours, with its object, its line there and the hour of its folder."""

    def read(path: Path) -> pl.DataFrame:
        events = pl.read_ndjson(igzip.decompress(path.read_bytes()), schema=SCHEMAS[event_type])
        hour = datetime.strptime(path.name[:10] + "+0000", "%Y%m%d%H%z")
        return events.with_columns(
            _object=pl.lit(str(path.relative_to(lake))),
            _line_number=pl.int_range(1, pl.len() + 1),
            hour=pl.lit(int(hour.timestamp()) // 3600, pl.Int64),
        )

    paths = sorted((lake / "landing" / event_type).glob("dt=*/hour=*/*.json.gz"))
    with ThreadPoolExecutor() as pool:
        return pl.concat(pool.map(read, paths), rechunk=True)


def _judge(events: pl.DataFrame, event_type: str) -> pl.DataFrame:
    """Typed, repaired, each event once, with the names of the rules that it breaks."""
    types = SCHEMAS[event_type]
    written = pl.concat_str(
        [pl.lit(event_type), *(pl.col(name).cast(pl.String).fill_null("\0") for name in types)], separator="\x1f"
    )
    agents = events["userAgent"].unique().drop_nulls()
    parsed = pl.DataFrame(
        [_families(agent) for agent in agents], schema=["device", "operating_system", "browser"], orient="row"
    ).with_columns(_agent=agents)
    typed = events.lazy().with_columns(
        *(_repaired(events[name]) for name in _TEXTS if name in types),
        event_id=pl.Series(
            [sha256(text.encode()).hexdigest()[:32] for text in events.select(written).to_series()], dtype=pl.String
        ),
        event_time=pl.col("ts").cast(pl.Datetime("ms", "UTC")),
        registered_at=pl.col("registration").cast(pl.Datetime("ms", "UTC")),
        _agent=pl.col("userAgent"),
    )
    typed = typed.unique("event_id", keep="first", maintain_order=True)
    typed = typed.join(parsed.lazy(), on="_agent", how="left", maintain_order="left").drop("_agent")
    broken = [
        pl.when(rule.fill_null(False)).then(None).otherwise(pl.lit(name)) for name, rule in _rules(event_type).items()
    ]
    judged = typed.with_columns(broken_rules=pl.concat_str(broken, separator=",", ignore_nulls=True)).collect()
    if event_type == "status_change_events":
        new_level = pl.when(pl.col("level") == "free").then(pl.lit("paid")).otherwise(pl.lit("free"))
        judged = judged.with_columns(new_level=new_level).rename({"level": "previous_level"})
    return judged


def _rules(event_type: str) -> dict[str, pl.Expr]:
    """By name, what must be true of a row; the conditions of the platform's contracts."""
    column = pl.col
    types = SCHEMAS[event_type]
    rules = {f"{name}_present": column(name).is_not_null() for name in _REQUIRED}
    rules |= {
        "level_allowed": column("level").is_in(["free", "paid"]),
        "session_id_range": column("sessionId") >= 1,
        "item_in_session_range": column("itemInSession") >= 0,
        "zip_pattern": column("zip").str.contains("^[0-9]{5}$"),
        "state_pattern": column("state").str.contains("^[A-Z]{2}$"),
        "longitude_range": column("lon").is_between(-180, 180),
        "latitude_range": column("lat").is_between(-90, 90),
        "gender_allowed": column("gender").is_null() | column("gender").is_in(["F", "M"]),
        "user_id_range": column("userId").is_null() | (column("userId") >= 0),
        "event_in_landed_hour": column("ts") // _HOUR_MS == column("hour"),
    }
    user_is_absent = column("userId").is_null()
    rules["user_block_whole"] = pl.all_horizontal(
        column(name).is_null() == user_is_absent for name in ("lastName", "firstName", "gender", "registration")
    )
    if event_type in ("listen_events", "status_change_events"):
        rules |= {f"{name}_present": column(name).is_not_null() for name in _USER}
    if "auth" in types:
        rules["auth_allowed"] = column("auth").is_in(["Logged In", "Logged Out", "Guest", "Cancelled"])
    if "success" in types:
        rules["user_block_exactly_on_success"] = ~user_is_absent == column("success")
    if "duration" in types:
        rules["duration_range"] = column("duration").is_null() | column("duration").is_between(0, 86_400)
    if event_type == "listen_events":
        rules |= {f"{name}_present": column(name).is_not_null() for name in _SONG}
    if event_type == "page_view_events":
        is_song = column("page") == "NextSong"
        rules |= {
            "page_allowed": column("page").is_in(_PAGES),
            "method_allowed": column("method").is_in(["GET", "PUT"]),
            "status_allowed": column("status").is_in([200, 307, 404]),
            "user_block_exactly_when_known": user_is_absent == column("auth").is_in(["Guest", "Logged Out"]),
            "song_block_exactly_on_next_song": pl.all_horizontal(
                column(name).is_not_null() == is_song for name in _SONG
            ),
        }
    return rules


def _repaired(column: pl.Series) -> pl.Series:
    """Each distinct value is looked at once."""
    changed = {text: new for text in column.unique().drop_nulls() if (new := repair_text(text)) != text}
    return column.replace(list(changed), list(changed.values())) if changed else column


def repair_text(text: str) -> str:
    """Mojibake, then wrapping quotes, then C0 controls, then surrounding blanks."""
    if not text.isascii():
        with suppress(UnicodeError):
            text = text.encode("latin-1").decode()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"')
    return _CONTROLS.sub("", text.translate(_PUNCTUATION)).strip(" ")


def _families(agent: str) -> tuple[str, str, str]:
    result = parse(agent)
    found = (result.device, result.os, result.user_agent)
    device, system, browser = (part.family if part else "Other" for part in found)
    return device, system, browser


def _write_hours(rows: pl.DataFrame, folder: Path) -> None:
    """One file an hour; the rows come in the order of their hours."""
    runs = rows["hour"].rle().struct.unnest()
    rows = rows.drop("hour")

    def write(start: int, length: int, hour: int) -> None:
        target = folder / f"{datetime.fromtimestamp(hour * 3600, UTC):date=%Y-%m-%d/hour=%H}"
        target.mkdir(parents=True, exist_ok=True)
        rows.slice(start, length).write_parquet(target / "part-0.parquet", compression="zstd")

    starts = runs["len"].cum_sum() - runs["len"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(write, starts, runs["len"], runs["value"]))


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
