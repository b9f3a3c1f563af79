"""One listener's recommendations, or one song's neighbours, read from the lake's files with titles and reasons.

Files are sorted by key, so a filter reads little of them; no engine is needed.
"""

# pyarrow makes its compute functions when it is imported, so no type checker finds them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from music_platform.errors import MusicPlatformError, PartitionMissingError
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.lake.parquet_reader import batches_of_object
from music_platform.tables.columns import UNKNOWN_KEY
from music_platform.tables.contract import TableContract
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold.dim_users import DIM_USERS
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform.tables.recommendations.evaluation import EVALUATION
from music_platform.tables.recommendations.popular_songs import POPULAR_SONGS
from music_platform.tables.recommendations.recommendations import RECOMMENDATIONS
from music_platform.tables.recommendations.similar_songs import SIMILAR_SONGS
from music_platform.tables.recommendations.song_factors import SONG_FACTORS


class UnknownSongError(MusicPlatformError):
    """No song has the title that was asked for."""


@dataclass(frozen=True)
class Song:
    """A song by its names."""

    key: str
    title: str
    artist: str


@dataclass(frozen=True)
class Play:
    """A song that a listener played, and when last."""

    song: Song
    last_played_at: datetime
    plays: int


@dataclass(frozen=True)
class Offer:
    """A song that is offered. ``because`` is the song that the listener knows and that is nearest to it in the model."""

    rank: int
    song: Song
    source: str
    because: Song | None


@dataclass(frozen=True)
class ListenerOffers:
    """A listener's list of a day; of a listener without one it is that of the popular songs, and ``has_list`` is false."""

    day: str
    user_id: int
    has_list: bool
    last_plays: Sequence[Play]
    offers: Sequence[Offer]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SimilarSong:
    """A song that the same listeners play; ``similarity`` is the cosine in the model."""

    rank: int
    song: Song
    similarity: float


@dataclass(frozen=True)
class Neighbours:
    """The songs nearest to one; ``others`` are further songs of the same title, which were not asked about."""

    day: str
    song: Song
    others: Sequence[Song]
    similar: Sequence[SimilarSong]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def latest_day(lake: Lake) -> str:
    """The last day that has recommendations; ``PartitionMissingError`` when none was ever made."""
    for day in reversed(lake.days_of(RECOMMENDATIONS.path)):
        if read_manifest(lake.store, RECOMMENDATIONS, day) is not None:
            return day
    raise PartitionMissingError(
        f"{RECOMMENDATIONS.path} has no partition in {lake.location}. Make them first: ./run dagster asset materialize "
        "--select 'group:recommendations' --partition-range FIRST...LAST, once gold has these days."
    )


def offers_to(lake: Lake, user_id: int, day: str, limit: int) -> ListenerOffers:
    """What a listener, by the number that events give them, is offered on a day. Raises ``PartitionMissingError``."""
    users = _rows(lake, DIM_USERS, day, ["user_key", "user_id"], user_id=_is(user_id))
    key = users[0]["user_key"] if users else UNKNOWN_KEY
    played = _rows(
        lake, USER_SONG_INTERACTIONS, day, ["song_key", "plays", "last_played_at"], user_key=_is(key)
    ) if users else []  # fmt: skip
    played.sort(key=lambda row: (row["last_played_at"], row["song_key"]), reverse=True)
    columns = ["rank", "song_key", "source"]
    offered: list[dict[str, Any]] = []
    if users:
        offered = _rows(lake, RECOMMENDATIONS, day, columns, user_key=_is(key), rank=_up_to(limit))
    has_list = bool(offered)
    if not has_list:
        known = {row["song_key"] for row in played}
        popular = _rows(lake, POPULAR_SONGS, day, ["rank", "song_key"], rank=_up_to(limit + len(known)))
        popular = sorted((row for row in popular if row["song_key"] not in known), key=lambda row: row["rank"])[:limit]
        offered = [
            {"rank": rank, "song_key": row["song_key"], "source": "popularity"} for rank, row in enumerate(popular, 1)
        ]
    offered.sort(key=lambda row: row["rank"])
    by_model = [row["song_key"] for row in offered if row["source"] == "model"]
    nearest = _nearest(lake, day, by_model, [row["song_key"] for row in played])
    shown = played[:limit]
    songs = _songs(lake, day, [row["song_key"] for row in (*shown, *offered)] + list(nearest.values()))
    return ListenerOffers(
        day,
        user_id,
        has_list,
        [Play(songs[row["song_key"]], row["last_played_at"], row["plays"]) for row in shown],
        [
            Offer(row["rank"], songs[row["song_key"]], row["source"], songs.get(nearest.get(row["song_key"], "")))
            for row in offered
        ],
    )


def most_active_listeners(lake: Lake, day: str, number: int) -> list[int]:
    """The numbers of the listeners with a list on a day who know the most songs. Raises ``PartitionMissingError``."""
    with_list = {row["user_key"] for row in _rows(lake, RECOMMENDATIONS, day, ["user_key"], rank=_is(1))}
    songs = Counter(row["user_key"] for row in _rows(lake, USER_SONG_INTERACTIONS, day, ["user_key"]))
    chosen = sorted(with_list, key=lambda key: (-songs[key], key))[:number]
    users = _rows(lake, DIM_USERS, day, ["user_key", "user_id"], user_key=_is(*chosen))
    by_key = {row["user_key"]: row["user_id"] for row in users}
    return [by_key[key] for key in chosen]


def judged_on(lake: Lake, day: str) -> dict[str, dict[str, Any]]:
    """The rows of recommendations/evaluation of a day by what was judged; empty when nobody could be."""
    columns = ["model", "judged_listeners", "ndcg_at_10", "gain_over_popularity", "gain_standard_error"]
    return {row["model"]: row for row in _rows(lake, EVALUATION, day, columns)}


def neighbours_of(lake: Lake, title: str, day: str, limit: int) -> Neighbours:
    """The songs nearest to the one of a title, whatever its case; of several the one with the most listeners.

    Raises ``UnknownSongError``, and ``PartitionMissingError``.
    """
    found = _rows(
        lake,
        DIM_SONGS,
        day,
        ["song_key", "title", "artist"],
        title=lambda titles: _is(title.lower())(pc.utf8_lower(titles)),
    )
    if not found:
        raise UnknownSongError(
            f"no song of {DIM_SONGS.path} is called '{title}' on {day}; titles are compared whole, in any case of letters"
        )
    keys = [row["song_key"] for row in found]
    listeners = {
        row["song_key"]: row["listeners"]
        for row in _rows(lake, SONG_FACTORS, day, ["song_key", "listeners"], song_key=_is(*keys))
    }
    named = [Song(row["song_key"], row["title"], row["artist"]) for row in found]
    named.sort(key=lambda song: (-listeners.get(song.key, 0), song.key))
    columns = ["rank", "similar_song_key", "similarity"]
    similar = _rows(lake, SIMILAR_SONGS, day, columns, song_key=_is(named[0].key), rank=_up_to(limit))
    similar.sort(key=lambda row: row["rank"])
    songs = _songs(lake, day, [row["similar_song_key"] for row in similar])
    return Neighbours(
        day,
        named[0],
        named[1:],
        [SimilarSong(row["rank"], songs[row["similar_song_key"]], row["similarity"]) for row in similar],
    )


_Condition = Callable[[pa.Array], pa.Array]
"""Which values of a column are wanted."""


def _is(*values: object) -> _Condition:
    return lambda column: pc.is_in(column, pa.array(values, column.type))


def _up_to(most: int) -> _Condition:
    return lambda column: pc.less_equal(column, most)


def _rows(
    lake: Lake, contract: TableContract, day: str, columns: Sequence[str], **wanted: _Condition
) -> list[dict[str, Any]]:
    """The rows of a day's partition whose columns named in ``wanted`` meet these conditions."""
    found: list[dict[str, Any]] = []
    for key in _manifest(lake, contract, day).keys:
        for batch in batches_of_object(lake.store, key, columns=list(dict.fromkeys([*columns, *wanted]))):
            for name, condition in wanted.items():
                batch = batch.filter(condition(batch.column(name)))
            found += batch.select(list(columns)).to_pylist()
    return found


def _manifest(lake: Lake, contract: TableContract, day: str) -> Manifest:
    found = read_manifest(lake.store, contract, day)
    if found is None:
        raise PartitionMissingError(
            f"{contract.path} has no partition {day} in {lake.location}. Materialize it first: ./run dagster asset "
            f"materialize --select '{contract.path}' --partition '{day}'."
        )
    return found[0]


def _songs(lake: Lake, day: str, keys: Sequence[str]) -> dict[str, Song]:
    """The songs of keys by their names; one that dim_songs lacks is named by its key."""
    rows = _rows(lake, DIM_SONGS, day, ["song_key", "title", "artist"], song_key=_is(*keys))
    found = {row["song_key"]: Song(row["song_key"], row["title"], row["artist"]) for row in rows}
    return {key: found.get(key, Song(key, key, "")) for key in keys}


def _nearest(lake: Lake, day: str, offered: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """For each offered song the known one whose vector is nearest."""
    if not offered or not known:
        return {}
    rows = _rows(lake, SONG_FACTORS, day, ["song_key", "factors"], song_key=_is(*offered, *known))
    vectors = {row["song_key"]: np.asarray(row["factors"], dtype=np.float32) for row in rows}
    directions = {key: vector / norm for key, vector in vectors.items() if (norm := np.linalg.norm(vector)) > 0}
    own = [key for key in known if key in directions]
    if not own:
        return {}
    matrix = np.stack([directions[key] for key in own])
    return {key: own[int(np.argmax(matrix @ directions[key]))] for key in offered if key in directions}
