"""Recommendations and similar songs by name: the first ranks, each with the names of its own day; and what is wrong is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from music_platform.tables.contract import TableContract
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold.dim_users import DIM_USERS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.recommendations import recommendations_by_name as by_name
from music_platform.tables.recommendations import similar_songs_by_name as similar_by_name
from music_platform.tables.recommendations.recommendations import RECOMMENDATIONS
from music_platform.tables.recommendations.recommendations_by_name import (
    RECOMMENDATIONS_BY_NAME,
    recommendations_by_name,
)
from music_platform.tables.recommendations.shared import SHOWN_RANKS
from music_platform.tables.recommendations.similar_songs import SIMILAR_SONGS
from music_platform.tables.recommendations.similar_songs_by_name import SIMILAR_SONGS_BY_NAME, similar_songs_by_name
from music_platform.tables.reconciliations import Stored
from music_platform_tests.unit.tables.aggregate_frames import DAYS, Rows, at, frame, key, read

FIRST, SECOND = at("01 00:00"), at("02 00:00")


def listed(user: int, rank: int, song: int, day: Any = FIRST) -> dict[str, Any]:
    return {"user_key": key(user), "rank": rank, "song_key": key(song), "score": -float(rank), "source": "model",
            "weight": 0.5, "day": day}  # fmt: skip


def pair(song: int, rank: int, similar: int, day: Any = FIRST) -> dict[str, Any]:
    return {"song_key": key(song), "rank": rank, "similar_song_key": key(similar), "similarity": 0.5, "day": day}


def song(number: int, day: Any = FIRST, title: str | None = None) -> dict[str, Any]:
    return {"song_key": key(number), "title": title or f"Title {number}", "artist": f"Artist {number}", "day": day}


def version(user: int, level: str, day: Any = FIRST) -> dict[str, Any]:
    return {"user_key": key(user), "user_id": user * 100, "level": level, "day": day}


LISTS = [*(listed(1, rank, rank) for rank in range(1, SHOWN_RANKS + 3)), listed(2, 1, 2), listed(1, 1, 2, SECOND)]
USERS = [version(1, "free"), version(1, "paid"), version(2, "free"), version(3, "free"), version(1, "paid", SECOND)]
SONGS = [*(song(number) for number in range(15)), song(2, SECOND, "Another title")]
PAIRS = [*(pair(1, rank, rank + 1) for rank in range(1, SHOWN_RANKS + 3)), pair(2, 1, 1)]


def test_the_first_ranks_have_the_names_of_their_day(spark: SparkSession) -> None:
    made = recommendations_by_name(
        frame(spark, RECOMMENDATIONS.columns, LISTS),
        frame(spark, DIM_USERS.columns, USERS),
        frame(spark, DIM_SONGS.columns, SONGS),
    )
    found = [
        (row["day"], row["user_id"], row["rank"], row["title"], row["artist"])
        for row in read(made, RECOMMENDATIONS_BY_NAME)
    ]
    assert found == [
        *((FIRST, 100, rank, f"Title {rank}", f"Artist {rank}") for rank in range(1, SHOWN_RANKS + 1)),
        (FIRST, 200, 1, "Title 2", "Artist 2"),
        (SECOND, 100, 1, "Another title", "Artist 2"),
    ]


def test_both_songs_have_their_names(spark: SparkSession) -> None:
    made = similar_songs_by_name(frame(spark, SIMILAR_SONGS.columns, PAIRS), frame(spark, DIM_SONGS.columns, SONGS))
    names = ("title", "rank", "similar_title", "similar_artist", "similarity")
    assert [tuple(row[name] for name in names) for row in read(made, SIMILAR_SONGS_BY_NAME)] == [
        *(("Title 1", rank, f"Title {rank + 1}", f"Artist {rank + 1}", 0.5) for rank in range(1, SHOWN_RANKS + 1)),
        ("Title 2", 1, "Title 1", "Artist 1", 0.5),
    ]


def test_a_key_without_a_member_keeps_its_row_without_a_name(spark: SparkSession) -> None:
    made = recommendations_by_name(
        frame(spark, RECOMMENDATIONS.columns, [listed(9, 1, 99)]),
        frame(spark, DIM_USERS.columns, USERS),
        frame(spark, DIM_SONGS.columns, SONGS),
    )
    [row] = made.toArrow().to_pylist()
    assert (row["user_key"], row["user_id"], row["title"], row["artist"]) == (key(9), None, None, None)


@dataclass(frozen=True)
class Partitions:
    """A frame in place of stored partitions."""

    contract: TableContract
    frame: DataFrame

    @property
    def rows(self) -> Mapping[str, int]:
        return {}

    def read(self) -> DataFrame:
        return self.frame


def problems(spark: SparkSession, table: GoldTable, rows: Rows, others: Mapping[str, Rows]) -> dict[str, int]:
    """What the reconciliations count on the first day, by their names; those that find nothing are left out."""
    found: dict[str, int] = {}
    for reconciliation in table.reconciliations:
        stored = Stored(
            Partitions(table.contract, frame(spark, table.contract.columns, rows)),
            {
                name: Partitions(other.contract, frame(spark, other.contract.columns, others[other.contract.name]))
                for name, other in reconciliation.others.items()
            },
        )
        assert reconciliation.expected(stored) == {}
        found[reconciliation.name] = reconciliation.found(stored).get(DAYS[0], 0)
    return {name: count for name, count in found.items() if count}


def named(user: int, rank: int, number: int) -> dict[str, Any]:
    return {
        **listed(user, rank, number),
        "user_id": user * 100,
        "title": f"Title {number}",
        "artist": f"Artist {number}",
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, {}),
        ({"song_key": key(3), "title": "Title 3", "artist": "Artist 3"}, {"reconciles_with_recommendations": 2}),
        ({"weight": 0.2}, {"reconciles_with_recommendations": 2}),
        ({"title": "Title 5"}, {"names_are_those_of_dim_songs": 1}),
        ({"user_id": 200}, {"names_are_those_of_dim_users": 1}),
    ],
)
def test_a_row_that_is_not_the_list_s_or_has_another_name_is_found(
    spark: SparkSession, change: dict[str, Any], told: dict[str, int]
) -> None:
    rows = [named(1, 1, 1) | change, named(1, 2, 2)]
    others = {"recommendations": [listed(1, 1, 1), listed(1, 2, 2)], "dim_songs": SONGS, "dim_users": USERS}
    assert problems(spark, by_name.TABLE, rows, others) == told


def test_a_row_that_is_lost_is_found(spark: SparkSession) -> None:
    others = {"recommendations": [listed(1, 1, 1), listed(1, 2, 2)], "dim_songs": SONGS, "dim_users": USERS}
    found = problems(spark, by_name.TABLE, [named(1, 1, 1)], others)
    assert found == {"reconciles_with_recommendations": 1}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, {}),
        ({"similarity": 0.4}, {"reconciles_with_similar_songs": 2}),
        ({"title": "Title 2"}, {"names_are_those_of_dim_songs": 1}),
        ({"similar_artist": "Artist 1"}, {"similar_names_are_those_of_dim_songs": 1}),
    ],
)
def test_a_pair_with_another_name_or_similarity_is_found(
    spark: SparkSession, change: dict[str, Any], told: dict[str, int]
) -> None:
    names = {"title": "Title 1", "artist": "Artist 1", "similar_title": "Title 2", "similar_artist": "Artist 2"}
    others = {"similar_songs": [pair(1, 1, 2)], "dim_songs": SONGS}
    assert problems(spark, similar_by_name.TABLE, [{**pair(1, 1, 2), **names, **change}], others) == told
