"""A lake in a local folder: what killed writes leave behind is swept, and names that no object can have are listed.

What it has in common with S3 is tested with publishing and landing, S3 alone in integration/test_object_store_on_s3.py.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest

from music_platform.lake.local_folder import is_half_written
from music_platform.lake.object_store import ObjectStore

_FOLDER = "landing/listen_events/dt=2026-11-01/hour=05"


def _leave_half_written(lake: Path, name: str, age_seconds: float) -> Path:
    path = lake / _FOLDER / f".{name}.{uuid.uuid4().hex}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    moment = time.time() - age_seconds
    os.utime(path, (moment, moment))
    return path


def test_what_a_killed_write_leaves_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        ObjectStore(str(tmp_path)).put(f"{_FOLDER}/a.json.gz", b"whole")
    [left] = (tmp_path / _FOLDER).iterdir()
    assert is_half_written(f"{_FOLDER}/{left.name}")
    assert not any(map(is_half_written, ["a.json.gz", ".a.json.gz", f"{_FOLDER}/_SUCCESS", f"a.{uuid.uuid4().hex}"]))


def test_old_leftovers_go_with_the_next_write_into_their_folder(tmp_path: Path) -> None:
    old = [_leave_half_written(tmp_path, name, 3700) for name in ("a.json.gz", "b.json.gz")]
    young = _leave_half_written(tmp_path, "a.json.gz", 3500)  # may be one that another process is writing
    other = tmp_path / _FOLDER / ".a.json.gz"
    other.write_bytes(b"")
    os.utime(other, (0, 0))
    store = ObjectStore(str(tmp_path))
    store.put("landing/listen_events/dt=2026-11-01/hour=06/a.json.gz", b"")
    assert all(path.exists() for path in old)
    store.put(f"{_FOLDER}/c.json.gz", b"c")
    assert sorted((tmp_path / _FOLDER).iterdir()) == sorted([young, other, tmp_path / _FOLDER / "c.json.gz"])


def test_many_writes_into_a_folder_cost_one_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (listed.append(str(folder)), scandir(folder))[1])
    store = ObjectStore(str(tmp_path))
    for number in range(50):
        store.put(f"{_FOLDER}/{number}.json.gz", b"")
    assert listed == [str(tmp_path / _FOLDER)]


def test_a_leftover_that_cannot_be_removed_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _leave_half_written(tmp_path, "a.json.gz", 3700)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    store = ObjectStore(str(tmp_path))
    store.put(f"{_FOLDER}/b.json.gz", b"b")
    assert store.get(f"{_FOLDER}/b.json.gz") == b"b"


def test_local_names_that_end_in_a_number_sign_and_digits_are_listed(tmp_path: Path) -> None:
    (tmp_path / "landing" / "a").mkdir(parents=True)
    names = ("x.json.gz#1", "x.json.gz#a", "y#", "z")
    for name in names:
        (tmp_path / "landing" / "a" / name).write_bytes(b"22")
    (tmp_path / "landing" / "a" / "to-nothing").symlink_to(tmp_path / "gone")
    store = ObjectStore(str(tmp_path))
    assert sorted(found.key for found in store.list("landing")) == [f"landing/a/{name}" for name in names]
    assert [found.key for found in store.list_level("landing/a")[1]] == [f"landing/a/{name}" for name in names]
    assert list(store.list("nowhere")) == list(store.list("landing/a/z")) == []


def test_names_that_no_object_can_have_are_listed_with_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "landing" / "a"
    folder.mkdir(parents=True)
    for name in ("good", "line\nfeed", "esc\x1b", os.fsdecode(b"latin\xfc")):
        (folder / name).write_bytes(b"22")
    store = ObjectStore(str(tmp_path))
    found = {stored.key: stored.size for stored in store.list("landing")}
    assert found == {f"landing/a/{name}": 2 for name in ("good", "line\nfeed", "esc\x1b", "latin\udcfc")}
    assert store.folders("landing") == ["a"]
    good = next(stored for stored in store.list("landing") if stored.key.endswith("good"))
    for name in ("line\nfeed", "esc\x1b", os.fsdecode(b"latin\xfc")):
        (folder / name).unlink()
    assert list(store.list("landing")) == [good]
