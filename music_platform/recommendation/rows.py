"""The tables' rows as Arrow, made from what is computed here, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import isfinite

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from music_platform.partitions import DAILY_KEY_FORMAT
from music_platform.recommendation.evaluation import Quality
from music_platform.recommendation.gate import Gain
from music_platform.recommendation.keys import Keys, keys_of_numbers, numbers_of_keys
from music_platform.recommendation.model import SongFactors
from music_platform.recommendation.ranking import POPULARITY, Lists
from music_platform.tables.contract import TableContract
from music_platform.tables.recommendations.blend_weights import BLEND_WEIGHTS
from music_platform.tables.recommendations.evaluation import EVALUATION
from music_platform.tables.recommendations.recommendations import RECOMMENDATIONS
from music_platform.tables.recommendations.similar_songs import SIMILAR_SONGS
from music_platform.tables.recommendations.song_factors import SONG_FACTORS
from music_platform.tables.schemas import arrow_schema


def moment_of_day(day: str) -> datetime:
    """The first moment of a day that is written YYYY-MM-DD."""
    return datetime.strptime(day, DAILY_KEY_FORMAT).replace(tzinfo=UTC)


def song_factors_rows(model: SongFactors, day: str) -> pa.Table:
    """The model as rows of song_factors."""
    songs, factors = model.factors.shape
    ends = pa.array(np.arange(0, songs * factors + 1, factors, dtype=np.int32))
    return _rows(
        SONG_FACTORS,
        day,
        song_key=keys_of_numbers(model.songs),
        factors=pa.ListArray.from_arrays(ends, pa.array(model.factors.ravel())),
        score=model.scores,
        listeners=model.listeners,
        is_offered=model.is_offered,
        parameters=pa.repeat(model.parameters, songs),
    )


def song_factors_of(batches: Iterable[pa.RecordBatch]) -> SongFactors:
    """The model that rows of song_factors hold."""
    rows = pa.Table.from_batches(batches, arrow_schema(SONG_FACTORS.columns)).combine_chunks()
    songs = numbers_of_keys(_column(rows, "song_key"), "song_key")
    values = _column(rows, "factors").flatten().to_numpy()
    order = np.argsort(songs, kind="stable")
    return SongFactors(
        songs[order],
        values.reshape(len(songs), -1 if len(songs) else 0)[order],
        rows["score"].to_numpy()[order],
        rows["listeners"].to_numpy()[order],
        rows["is_offered"].to_numpy()[order],
        rows["parameters"][0].as_py() if len(songs) else "",
    )


def lists_rows(lists: Lists, users: Keys, songs: Keys, day: str) -> pa.Table:
    """Lists as rows of recommendations; ``users`` are the listeners, ``songs`` those of the model."""
    held = lists.songs >= 0
    listener, place = np.nonzero(held)
    weights = lists.weights[listener]
    return _rows(
        RECOMMENDATIONS,
        day,
        user_key=keys_of_numbers(users[listener]),
        rank=(place + 1).astype(np.int32),
        song_key=keys_of_numbers(songs[lists.songs[held]]),
        score=lists.scores[held],
        source=pa.array(np.where(weights == POPULARITY, "popularity", "model"), pa.string()),
        weight=weights,
    )


def similar_songs_rows(
    songs: Keys,
    of: npt.NDArray[np.int64],
    nearest: npt.NDArray[np.int64],
    cosines: npt.NDArray[np.float64],
    day: str,
) -> pa.Table:
    """Rows of similar_songs: to each song ``of`` (positions) the ``nearest`` ones, with their cosines."""
    length = nearest.shape[1]
    return _rows(
        SIMILAR_SONGS,
        day,
        song_key=keys_of_numbers(np.repeat(songs[of], length)),
        rank=np.tile(np.arange(1, length + 1, dtype=np.int32), len(of)),
        similar_song_key=keys_of_numbers(songs[nearest.ravel()]),
        similarity=cosines.ravel(),
    )


def blend_weights_rows(gains: Sequence[tuple[str, Gain]], day: str) -> pa.Table:
    """Rows of blend_weights: each gain with the day that it was judged on."""
    return pa.Table.from_pylist(
        [
            {
                "judged_on": moment_of_day(judged_on),
                "weight": gain.weight,
                "judged_listeners": gain.listeners,
                "gain_over_popularity": gain.mean,
                "gain_standard_error": gain.standard_error if isfinite(gain.standard_error) else None,
                "day": moment_of_day(day),
            }
            for judged_on, gain in gains
        ],
        schema=arrow_schema(BLEND_WEIGHTS.columns),
    )


def gains_of(batches: Iterable[pa.RecordBatch]) -> list[tuple[str, Gain]]:
    """The gains that rows of blend_weights hold, each with the day that it was judged on, in order."""
    found = []
    for row in pa.Table.from_batches(batches, arrow_schema(BLEND_WEIGHTS.columns)).to_pylist():
        error = row["gain_standard_error"]
        gain = Gain(
            row["weight"],
            row["judged_listeners"],
            row["gain_over_popularity"],
            float("inf") if error is None else error,
        )
        found.append((row["judged_on"].strftime(DAILY_KEY_FORMAT), gain))
    return sorted(found, key=lambda entry: (entry[0], entry[1].weight))


def evaluation_rows(judged: Iterable[tuple[str, float, Quality, Gain]], day: str) -> pa.Table:
    """Rows of evaluation: for each model its name, the weight, the quality and the gain over popularity."""
    return pa.Table.from_pylist(
        [
            {
                "model": model,
                "weight": weight,
                "judged_listeners": quality.judged_listeners,
                "ndcg_at_10": quality.ndcg_at_10,
                "map_at_10": quality.map_at_10,
                "recall_at_20": quality.recall_at_20,
                "recall_at_50": quality.recall_at_50,
                "hit_rate_at_10": quality.hit_rate_at_10,
                "coverage_at_10": quality.coverage_at_10,
                "novelty_at_10": quality.novelty_at_10,
                "gain_over_popularity": gain.mean,
                "gain_standard_error": gain.standard_error if isfinite(gain.standard_error) else None,
                "day": moment_of_day(day),
            }
            for model, weight, quality, gain in judged
        ],
        schema=arrow_schema(EVALUATION.columns),
    )


def _rows(contract: TableContract, day: str, **columns: pa.Array | npt.NDArray[np.generic]) -> pa.Table:
    schema = arrow_schema(contract.columns)
    rows = len(next(iter(columns.values())))
    columns["day"] = pa.repeat(pa.scalar(moment_of_day(day), schema.field("day").type), rows)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def _column(rows: pa.Table, name: str) -> pa.Array:
    column = rows[name]
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
