"""Files of events before they are landed: found and typed by their names, and read in blocks of whole lines."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.landing.event_files import EventFile, LandingInputError, blocks, event_files, left_out_of_folders


class _Dribble(io.RawIOBase):
    """A stream that gives a few bytes a read, as a pipe does."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content, self._step = io.BytesIO(content), step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._content.read(min(self._step, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


@given(content=st.lists(st.sampled_from([b"a", b"bc\n", b"\n", b"\r\n", b"\xc2\x85", b"\xe2\x80\xa8", b"x" * 30])).map(b"".join),
       size=st.integers(1, 50), step=st.integers(1, 50))  # fmt: skip
def test_blocks_are_whole_lines_and_do_not_depend_on_the_reads(content: bytes, size: int, step: int) -> None:
    file = EventFile(None, "listen_events")
    parts = list(blocks(io.BytesIO(content), file, size))
    assert all(part.endswith(b"\n") for part in parts)
    assert b"".join(parts) == content + b"\n" * (not content.endswith(b"\n") and bool(content))
    dribbled: Any = _Dribble(content, step)
    assert list(blocks(dribbled, file, size)) == parts


def test_files_are_found_by_their_names(tmp_path: Path) -> None:
    names = ["auth_events", "listen_events.jsonl", "page_view_events.jsonl.xz", "status_change_events.gz"]
    for name in [*names, "README.md", ".listen_events.partial", "listen_events.pos"]:
        (tmp_path / name).write_bytes(b"")
    assert [(file.path, file.event_type) for file in event_files([tmp_path])] == [
        (tmp_path / name, name.split(".")[0]) for name in names
    ]
    assert event_files([tmp_path / "README.md"], "auth_events") == [EventFile(tmp_path / "README.md", "auth_events")]


def test_what_lies_beside_event_files_is_found(tmp_path: Path) -> None:
    for name in ["auth_events", "listen_events_2026.jsonl", ".listen_events.partial", "README.md"]:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "listen_events").mkdir()
    left_out = [tmp_path / name for name in ("README.md", "listen_events", "listen_events_2026.jsonl")]
    assert left_out_of_folders([tmp_path, tmp_path / "auth_events", Path("-")]) == left_out


def test_a_name_of_another_type_is_refused(tmp_path: Path) -> None:
    for name in ("auth_events.jsonl", "listen_events_2026.jsonl", "listen_events.jsonl"):
        (tmp_path / name).write_bytes(b"")
    message = "'.*listen_events.*' is named after listen_events, and --event-type says auth_events"
    for path in (tmp_path, tmp_path / "listen_events_2026.jsonl", tmp_path / "listen_events.jsonl"):
        with pytest.raises(LandingInputError, match=message):
            event_files([path], "auth_events")
    older = tmp_path / "listen_events_2026.jsonl"
    assert event_files([older], "listen_events") == [EventFile(older, "listen_events")]
