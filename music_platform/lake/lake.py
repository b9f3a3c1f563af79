"""The lake: its location and its number of concurrent requests. The other modules of this room know its content.

A plain object and not a configurable resource: Dagster shows a resource's configuration, and this one holds credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

from music_platform.lake.object_store import ObjectStore
from music_platform.settings import Settings

_PARALLEL_REQUESTS = 16
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Lake:
    """The lake of the settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def location(self) -> str:
        return self.settings.lake

    @cached_property
    def store(self) -> ObjectStore:
        """The objects of the lake."""
        return ObjectStore.from_settings(self.settings)

    def days_of(self, table: str) -> list[str]:
        """The days for which a table has folders, sorted, as YYYY-MM-DD; costs one request."""
        return [name.removeprefix("date=") for name in self.store.folders(table) if name.startswith("date=")]

    def map_parallel(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """Apply the function to each item; results in order, several requests to the store at once."""
        if len(items) <= 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
            return list(pool.map(function, items))

    def map_requests(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """As ``map_parallel``, for functions that only read small objects.

        A local lake answers them all before threads would have started.
        """
        return [function(item) for item in items] if self.store.is_local else self.map_parallel(function, items)
