"""The songs that listeners hear: read from a file of the Million Song Dataset's columns, or generated.

Popularity is a property of the catalogue, so it is the same for every seed. Who listens does not belong here.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from music_platform.compressed_text import read_bytes
from music_platform.eventsim import song_names
from music_platform.eventsim.errors import CatalogueError
from music_platform.eventsim.randomness import (
    AliasTable,
    FloatArray,
    UnsignedArray,
    random_bits,
    standard_normal,
    stream_key,
)

GENERATED_SONGS = 10_000
_REQUIRED_COLUMNS = ("artist_name", "title", "duration")
# Share of plays by rank r: (r + flattening) ** -exponent; the flattening keeps one song from ruling the charts.
_POPULARITY_EXPONENT = 0.8
_POPULARITY_FLATTENING = 20.0
_UNKNOWN_DURATION_SECONDS = 180.0
_LONGEST_CELL_CHARACTERS = 10_000_000


@dataclass(frozen=True)
class Catalogue:
    """Songs by position: texts, durations (float32 seconds) and weights by which they are played.

    ``artist_keys``: 64 bits that stand for the artist's name as the catalogue spells it, garbled or not. ``popularity``
    draws positions by ``weights``.
    """

    artists: Sequence[str]
    titles: Sequence[str]
    durations: npt.NDArray[np.float32]
    artist_keys: UnsignedArray
    weights: FloatArray
    popularity: AliasTable

    def __len__(self) -> int:
        return len(self.titles)


def read_catalogue(path: Path, keep_text: bool = False) -> Catalogue:
    """The catalogue in a CSV file (UTF-8; plain, .gz or .xz) with columns artist_name, title and duration at least.

    A column ``plays`` holds weights; without it popularity follows a power law over a fixed shuffle of the songs.
    Texts are garbled the way Eventsim garbles them, unless ``keep_text``. Raises ``CatalogueError``.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CatalogueError(f"Cannot read the song catalogue {path}: {reason}. Check --songs.") from error
    return parse_catalogue(text, str(path), keep_text)


def parse_catalogue(text: str, source: str, keep_text: bool = False) -> Catalogue:
    """The catalogue in a CSV text; ``source`` stands for it in errors. Quotes are escaped by doubling or backslash."""
    # A title may hold a line break of its own (U+0085, U+2028), which only an explicit newline setting leaves alone.
    csv.field_size_limit(_LONGEST_CELL_CHARACTERS)
    reader = csv.DictReader(io.StringIO(text, newline=""), escapechar="\\")
    artists: list[str] = []
    titles: list[str] = []
    durations: list[float] = []
    plays: list[float] = []
    try:
        missing = [column for column in _REQUIRED_COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise CatalogueError(
                f"The song catalogue {source} has no column {', '.join(missing)}; "
                f"it needs {', '.join(_REQUIRED_COLUMNS)}."
            )
        weighted = "plays" in (reader.fieldnames or ())
        for row in reader:
            where = f"line {reader.line_num} of the song catalogue {source}"
            artists.append(_cell(row, "artist_name", where))
            titles.append(_cell(row, "title", where))
            durations.append(_number(row, "duration", where) if row["duration"] else _UNKNOWN_DURATION_SECONDS)
            if weighted:
                plays.append(_number(row, "plays", where))
    except csv.Error as error:
        raise CatalogueError(f"The song catalogue {source} is not CSV at line {reader.line_num}: {error}.") from error
    if not titles:
        raise CatalogueError(f"The song catalogue {source} holds no song.")
    if weighted and sum(plays) <= 0:
        raise CatalogueError(f"No song of the catalogue {source} has a number of plays above 0.")
    weights = np.array(plays) if weighted else _power_law_weights(artists, titles)
    keys = _artist_keys(artists)
    if not keep_text:
        artists, titles = [garbled(artist) for artist in artists], [garbled(title) for title in titles]
    seconds = np.array(durations, dtype=np.float32)
    return Catalogue(artists, titles, seconds, keys, weights, AliasTable.from_weights(weights))


def _cell(row: dict[str, str | None], column: str, where: str) -> str:
    value = row[column]
    if value is None:
        raise CatalogueError(f"In {where} the column {column} is missing.")
    return value


def _number(row: dict[str, str | None], column: str, where: str) -> float:
    try:
        value = float(row[column] or "")
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1e7:
        raise CatalogueError(f"In {where} {column} must be a number of at least 0, not {row[column]!r}.")
    return value


def garbled(text: str) -> str:
    """The text as the real Eventsim lets it out: UTF-8 read as Latin-1, and what holds quotes wrapped in quotes."""
    latin = text.encode("utf-8", "replace").decode("latin-1")
    return '"' + latin.replace('"', '\\"') + '"' if '"' in latin else latin


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()


def _artist_keys(artists: Sequence[str]) -> UnsignedArray:
    return np.frombuffer(b"".join(map(_digest, artists)), dtype="<u8").astype(np.uint64)


def _power_law_weights(artists: Sequence[str], titles: Sequence[str]) -> FloatArray:
    """A weight for each song, by its rank in an order that only the songs' own names decide."""
    keys = [_digest(f"{artist}\x00{title}") for artist, title in zip(artists, titles, strict=True)]
    order = sorted(range(len(keys)), key=lambda position: (keys[position], position))
    weights = np.empty(len(keys))
    weights[order] = (np.arange(len(keys)) + 1 + _POPULARITY_FLATTENING) ** -_POPULARITY_EXPONENT
    return weights


@lru_cache(maxsize=4)
def generated_catalogue(songs: int = GENERATED_SONGS) -> Catalogue:
    """The project's own catalogue: the same songs for every seed and on every machine; no two share artist and title.

    Durations are log-normal around 3:40 (from 30 s to 20 min); popularity follows a power law.
    """
    artists, titles = song_names.artists_and_titles(songs)
    positions = np.arange(songs, dtype=np.uint64)
    spread = standard_normal(random_bits(stream_key(0, "song durations"), positions))
    durations = np.clip(220.0 * np.exp(0.33 * spread), 30.0, 1_200.0).round(5).astype(np.float32)
    weights = _power_law_weights(artists, titles)
    return Catalogue(artists, titles, durations, _artist_keys(artists), weights, AliasTable.from_weights(weights))
