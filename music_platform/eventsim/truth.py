"""The tastes planted by a run, written as Parquet beside its events, which hold none of this.

Whoever judges recommendations compares them with it. How tastes come about does not belong here.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from music_platform.eventsim.catalogue import Catalogue
from music_platform.eventsim.errors import GeneratorError
from music_platform.eventsim.options import Plan
from music_platform.eventsim.randomness import IntegerArray
from music_platform.eventsim.scenes import SCENES, Scenes
from music_platform.eventsim.song_choice import SongsByTaste
from music_platform.eventsim.tastes import LIBRARY_SONGS, Tastes, slot_shares

SONGS, LISTENERS, PLAYS = "songs.parquet", "listeners.parquet", "plays.parquet"
_LISTENERS_AT_ONCE = 65_536


def write_truth(folder: Path, plan: Plan, songs: SongsByTaste) -> None:
    """Write the three files into the folder, which is made; they replace older ones, each when it is complete.

    The same options with the same seed give the same rows. Raises ``GeneratorError``.
    """
    tables = {
        SONGS: [_songs(plan.catalogue, songs.tastes.scenes)],
        LISTENERS: _listeners(songs.tastes, plan.request.first_user_id),
        PLAYS: [_plays(songs)],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, row_groups in tables.items():
            _write(folder / name, row_groups)
    except OSError as error:
        raise GeneratorError(f"Cannot write {error.filename or folder}: {error.strerror}. Check --truth.") from error


def _write(path: Path, row_groups: Iterable[pa.Table]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    writer: pq.ParquetWriter | None = None
    try:
        with partial.open("wb") as file:
            for rows in row_groups:
                writer = writer or pq.ParquetWriter(file, rows.schema, compression="zstd")
                writer.write_table(rows)
            if writer is not None:
                writer.close()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _songs(catalogue: Catalogue, scenes: Scenes) -> pa.Table:
    return pa.table(
        {
            "song": pa.array(range(len(catalogue)), pa.int32()),
            "artist": pa.array(catalogue.artists, pa.string()),
            "title": pa.array(catalogue.titles, pa.string()),
            "duration": catalogue.durations,
            "popularity": catalogue.weights / catalogue.weights.sum(),
            "home_scene": scenes.home.astype(np.int32),
            "second_scene": scenes.second.astype(np.int32),
            "second_share": scenes.second_share,
        }
    )


def _listeners(tastes: Tastes, first_user_id: int) -> Iterator[pa.Table]:
    for first in range(0, tastes.listeners, _LISTENERS_AT_ONCE):
        users = np.arange(first, min(first + _LISTENERS_AT_ONCE, tastes.listeners))
        weights = tastes.weights(users)
        liked = weights > 0
        scenes = np.broadcast_to(np.arange(SCENES, dtype=np.int32), weights.shape)
        yield pa.table(
            {
                "user_id": users + first_user_id,
                "scenes": _lists(np.count_nonzero(liked, axis=1), scenes[liked]),
                "weights": _lists(np.count_nonzero(liked, axis=1), weights[liked]),
                "library": _lists(np.full(users.size, LIBRARY_SONGS), tastes.library(users).astype(np.int32).ravel()),
            }
        )


def _lists(lengths: IntegerArray, values: np.ndarray) -> pa.ListArray:
    return pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32), values)


def _plays(songs: SongsByTaste) -> pa.Table:
    strength = songs.strength
    return pa.table(
        {
            "taste": [strength.strength],
            "scene_share": [strength.scene_share],
            "library_share": [strength.library_share],
            "popularity_share": [strength.popularity_share],
            "skipped_share": [strength.skipped_share],
            "slot_shares": pa.array([slot_shares().tolist()], pa.list_(pa.float64())),
        }
    )
