import datetime as dt

import numpy as np
import pyarrow as pa

from music_platform.recommendation.interactions import Interactions, Pairs, positions_of

_A, _B, _C = "000000000000000a", "000000000000000b", "000000000000000c"
_MOMENT = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
_SCHEMA = pa.schema([
    ("user_key", pa.string()), ("song_key", pa.string()), ("score", pa.float64()), ("last_played_at", pa.timestamp("us", "UTC")),
])  # fmt: skip


def _batch(*rows: tuple[str, str, float, dt.datetime]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(_SCHEMA.names, row, strict=True)) for row in rows], schema=_SCHEMA)


def test_rows_become_a_matrix_whatever_their_order() -> None:
    rows = [(_B, _A, 2.0, _MOMENT), (_A, _C, 0.5, _MOMENT - dt.timedelta(1)), (_A, _A, 1.0, _MOMENT)]
    made = [Interactions.of(Pairs.of([_batch(*order)])) for order in (rows, rows[::-1])]
    for found in made:
        assert found.users.tolist() == [10, 11]
        assert found.songs.tolist() == [10, 12]
        assert found.scores.toarray().tolist() == [[1.0, 0.5], [2.0, 0.0]]
        assert found.song_scores.tolist() == [3.0, 0.5]
        assert found.song_listeners.tolist() == [2, 1]
        assert found.last_played.tolist() == [int(_MOMENT.timestamp() * 1e6)] * 2


def test_what_has_no_positive_score_or_no_key_is_left_out() -> None:
    rows = [(_A, _B, score, _MOMENT) for score in (float("nan"), 0.0, -1.0, float("inf"))]
    rows += [("0" * 16, _B, 1.0, _MOMENT), (_A, "0" * 16, 1.0, _MOMENT)]
    assert len(Pairs.of([_batch(*rows)])) == 0


def test_pairs_that_were_played_since() -> None:
    batch = _batch((_A, _B, 1.0, _MOMENT), (_B, _B, 1.0, _MOMENT - dt.timedelta(microseconds=1)))
    assert Pairs.of([batch], since=int(_MOMENT.timestamp() * 1e6)).users.tolist() == [10]


def test_which_pairs_are_there() -> None:
    found = Interactions.of(Pairs.of([_batch((_A, _A, 1.0, _MOMENT), (_B, _C, 0.01, _MOMENT))]))
    users, songs = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert found.hold(users, songs).tolist() == [True, False, False, True]
    assert found.hold(users[:0], songs[:0]).tolist() == []
    assert Interactions.of(Pairs.of([])).hold(users[:0], songs[:0]).tolist() == []


def test_a_day_without_plays_is_an_empty_matrix() -> None:
    found = Interactions.of(Pairs.of([]))
    assert found.scores.shape == (0, 0)
    assert found.song_scores.dtype == np.float64
    assert len(found.song_scores) == len(found.song_listeners) == 0


def test_columns_of_other_songs() -> None:
    found = Interactions.of(Pairs.of([_batch((_A, _A, 1.0, _MOMENT), (_A, _C, 2.0, _MOMENT))]))
    songs = np.array([11, 12, 13], dtype=np.uint64)
    assert found.with_songs(songs).scores.toarray().tolist() == [[0.0, 2.0, 0.0]]
    assert positions_of(found.songs, songs).tolist() == [-1, 1]
    assert positions_of(found.songs, songs[:0]).tolist() == [-1, -1]
