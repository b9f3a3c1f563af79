"""The song catalogue of the settings, read once per process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from music_platform.compressed_text import read_bytes
from music_platform.errors import MusicPlatformError
from music_platform.settings import Settings
from music_platform.tables.transforms.catalogue_seed import parse_catalogue


def song_catalogue(settings: Settings) -> pa.Table | None:
    """The catalogue of the settings, as ``read_catalogue`` gives it; None without one."""
    return read_catalogue(settings.song_catalogue) if settings.song_catalogue else None


@lru_cache(maxsize=1)
def read_catalogue(path: str) -> pa.Table:
    """The rows of the catalogue, in ``catalogue_seed.CATALOGUE_SCHEMA``; ``MusicPlatformError`` where it cannot be read."""
    try:
        text = read_bytes(Path(path)).decode()
    except (OSError, ValueError) as error:
        raise MusicPlatformError(
            f"the song catalogue {path} cannot be read: {error}. Check MUSIC_PLATFORM_SONG_CATALOGUE."
        ) from error
    return parse_catalogue(text, path)
