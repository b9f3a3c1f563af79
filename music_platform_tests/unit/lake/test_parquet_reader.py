"""Parquet is read in the thread that asks: no thread of Arrow ever holds the Python object behind a file."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from music_platform.lake.lake import Lake
from music_platform.lake.parquet_reader import batches_of_object, open_parquet, read_object, read_parquet
from music_platform.settings import Settings

ROWS = pa.table({"name": [f"name {number % 90}" for number in range(5_000)], "number": list(range(5_000))})


class Watched(io.BytesIO):
    """Tells in which threads it is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.threads: set[int] = set()

    def read(self, *arguments: Any) -> bytes:
        self.threads.add(threading.get_ident())
        return super().read(*arguments)


@pytest.fixture
def content() -> bytes:
    sink = io.BytesIO()
    pq.write_table(ROWS, sink, compression="zstd", row_group_size=1_000)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("read", "is_read_here"),
    [
        (read_parquet, True),
        (lambda source: read_parquet(source, ["number"]), True),
        # What this test can see, and why pyarrow's own function is not used, whatever it is told.
        (pq.read_table, False),
        (lambda source: pq.read_table(source, use_threads=False, pre_buffer=False), False),
    ],
)
def test_a_file_is_read_in_the_thread_that_asks(
    content: bytes, read: Callable[[Any], pa.Table], is_read_here: bool
) -> None:
    source = Watched(content)
    found = read(source)
    assert found.equals(ROWS.select(found.schema.names))
    assert (source.threads == {threading.get_ident()}) is is_read_here


def test_objects_of_a_lake_are_read_so_too(settings: Settings, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Lake(settings).store
    store.put("a/file.parquet", content)
    opened: list[Watched] = []

    def open_watched(_store: object, key: str) -> Watched:
        opened.append(Watched(content))
        return opened[-1]

    monkeypatch.setattr(type(store), "open", open_watched)
    assert read_object(store, "a/file.parquet", ["name"]).equals(ROWS.select(["name"]))
    batches = list(batches_of_object(store, "a/file.parquet", 700))
    assert pa.Table.from_batches(batches).equals(ROWS)
    assert max(batch.num_rows for batch in batches) <= 700
    with open_parquet(store, "a/file.parquet") as file:
        assert file.metadata.num_rows == len(ROWS)
    assert [source.threads for source in opened] == [{threading.get_ident()}] * 3
