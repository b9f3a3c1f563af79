"""A few listeners' lists by titles: what they played most, and what they are offered."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from music_platform.recommendation.day_of_inputs import DayOfInputs
from music_platform.recommendation.interactions import Interactions
from music_platform.recommendation.keys import Keys, numbers_of_keys
from music_platform.recommendation.model import SongFactors
from music_platform.recommendation.ranking import Lists

_EXAMPLES = 5
_SONGS_OF_EXAMPLE = 5


def examples_of(inputs: DayOfInputs, listeners: Interactions, model: SongFactors, lists: Lists) -> list[dict[str, str]]:
    """What those who play the most played, and what they are offered, by titles; listeners are not named."""
    songs_of_each = np.diff(listeners.scores.indptr)
    most = np.argsort(-songs_of_each, kind="stable")[:_EXAMPLES]
    played = [_best(listeners, place) for place in most]
    offered = [model.songs[songs[songs >= 0][:_SONGS_OF_EXAMPLE]] for songs in lists.songs[most]]
    titles = _titles(inputs, np.concatenate([*played, *offered])) if len(most) else {}
    return [
        {
            "listener": str(number),
            "played most": "; ".join(titles.get(int(song), "?") for song in own),
            "is offered": "; ".join(titles.get(int(song), "?") for song in new),
        }
        for number, (own, new) in enumerate(zip(played, offered, strict=True), 1)
    ]


def _best(listeners: Interactions, place: int) -> Keys:
    row = slice(*listeners.scores.indptr[place : place + 2])
    scores = np.asarray(listeners.scores.data[row], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")[:_SONGS_OF_EXAMPLE]
    return listeners.songs[listeners.scores.indices[row][order]]


def _titles(inputs: DayOfInputs, songs: Keys) -> dict[int, str]:
    found: dict[int, str] = {}
    for batch in inputs.batches("titles", inputs.day, ["song_key", "title"]):
        keys = numbers_of_keys(batch.column("song_key"), "song_key")
        wanted = np.flatnonzero(np.isin(keys, songs))
        titles = batch.column("title").take(pa.array(wanted)).to_pylist()
        found |= dict(zip(keys[wanted].tolist(), titles, strict=True))
    return found
