"""What each active listener is offered: songs that they have not played."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.partitions import partition_before
from music_platform.tables.columns import DAY, DAY_IS_WHOLE, SONG_KEY, UNKNOWN_KEY
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold.dim_users import DIM_USERS
from music_platform.tables.gold.user_activity import USER_KEY_OF_A_LISTENER
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform.tables.model_table import ModelTable
from music_platform.tables.recommendations.blend_weights import BLEND_WEIGHTS
from music_platform.tables.recommendations.shared import (
    ACTIVE_DAYS,
    IS_ACTIVE,
    LIST_LENGTH,
    rank_column,
    ranks_have_no_hole,
    score_column,
    scores_fall,
    weight_column,
)
from music_platform.tables.recommendations.song_factors import SONG_FACTORS
from music_platform.tables.reconciliations import Input, Numbers, Reconciliation, Stored, by_day, nothing

RECOMMENDATIONS = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="recommendations",
    description=f"For each listener who played something in the last {ACTIVE_DAYS} days the {LIST_LENGTH} songs to "
    "offer next, of those that they have not played: fewer where not as many are left, never padded. "
    "user_song_interactions forgets a pair when its score has faded; then the song can be offered again.",
    columns=(
        USER_KEY_OF_A_LISTENER,
        rank_column("rank", "Place in the list.", LIST_LENGTH),
        replace(SONG_KEY, description="Song in dim_songs, which the listener has not played."),
        score_column(
            "What orders the list: the model's product and the logarithm of popularity, each standardized over all "
            "songs and blended. It compares songs of one list alone."
        ),
        Column(
            name="source",
            type=ColumnType.STRING,
            description="What made the list: the model, blended with popularity or not, or popularity alone.",
            allowed=("model", "popularity"),
            personal=Personal.NONE,
        ),
        weight_column("Weight of popularity in the list's blend: 0 is the model alone, 1 popularity alone."),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="source_is_of_weight",
            condition="(source = 'popularity') = (weight = 1)",
            description="`source` is popularity where `weight` is 1, and the model elsewhere.",
        ),
        Rule(
            name="score_is_finite",
            condition="abs(score) < 1e30",
            description="`score` is a number, and finite.",
        ),
    ),
    sort_columns=("user_key", "rank"),
    unique_columns=("day", "user_key", "song_key"),
)

_KNOWN = f"user_key <> '{UNKNOWN_KEY}' AND song_key <> '{UNKNOWN_KEY}'"


def _played(stored: Stored) -> Numbers:
    """Songs of lists that their listener has played."""
    played = stored["interactions"].read().select("day", "user_key", "song_key")
    return by_day(
        stored.own.read().join(played, ["day", "user_key", "song_key"], "left_semi"), "day", F.count(F.lit(1))
    )


def _not_offered(stored: Stored) -> Numbers:
    """Songs of lists that no list may hold."""
    offered = stored["songs"].read().where("is_offered").select("day", "song_key")
    return by_day(stored.own.read().join(offered, ["day", "song_key"], "left_anti"), "day", F.count(F.lit(1)))


def _without_member(dimension: str, key: str) -> Reconciliation:
    contract = {"songs": DIM_SONGS, "users": DIM_USERS}[dimension]

    def lacking(stored: Stored) -> Numbers:
        members = stored[dimension].read().select("day", key).distinct()
        return by_day(stored.own.read().select("day", key).distinct().join(members, ["day", key], "left_anti"), "day",
                      F.count(F.lit(1)))  # fmt: skip

    return Reconciliation(
        name=f"resolves_{key}",
        description=f"Keys without a member in {contract.name}:",
        others={dimension: Input(contract)},
        expected=nothing,
        found=lacking,
    )


def _songs_left(stored: Stored) -> DataFrame:
    """Active listeners, and how many songs are left that each can be offered."""
    offered = stored["songs"].read().where("is_offered").select("day", "song_key", F.lit(1).alias("offered"))
    totals = offered.groupBy("day").agg(F.count(F.lit(1)).alias("songs"))
    listeners = (
        stored["interactions"].read().where(_KNOWN).join(offered, ["day", "song_key"], "left")
        .groupBy("day", "user_key")
        .agg(F.max("last_played_at").alias("last_played_at"), F.count("offered").alias("known"))
        .where(IS_ACTIVE)
    )  # fmt: skip
    return listeners.join(totals, "day").withColumn("left", F.col("songs") - F.col("known")).where("left > 0")


_MADE_FROM = {"interactions": Input(USER_SONG_INTERACTIONS), "songs": Input(SONG_FACTORS)}


def _collapsed(stored: Stored) -> Numbers:
    """1 for a day on which the model's lists hold less than half of the songs that those of the day before held.

    Days are compared where the weight is the same and the lists are not half as many.
    """
    first = stored["before"].read().where("source = 'model' AND rank <= 10")
    days = {
        row["day"]: row
        for row in first.groupBy(F.date_format("day", "yyyy-MM-dd").alias("day"))
        .agg(
            F.count_distinct("song_key").alias("songs"),
            F.count_distinct("user_key").alias("lists"),
            F.min("weight").alias("weight"),
        )
        .toArrow().to_pylist()
    }  # fmt: skip
    found: dict[str, int] = {}
    for day, row in days.items():
        earlier = days.get(partition_before(day))
        if earlier and earlier["weight"] == row["weight"] and row["lists"] * 2 >= earlier["lists"]:
            found[day] = int(row["songs"] * 2 < earlier["songs"])
    return found


TABLE = ModelTable(
    contract=RECOMMENDATIONS,
    inputs={**_MADE_FROM, "weights": Input(BLEND_WEIGHTS), "titles": Input(DIM_SONGS)},
    lineage={
        "user_key": [(USER_SONG_INTERACTIONS.path, "user_key"), (USER_SONG_INTERACTIONS.path, "last_played_at")],
        "rank": [(SONG_FACTORS.path, "factors"), (SONG_FACTORS.path, "score")],
        "song_key": [
            (SONG_FACTORS.path, "factors"), (SONG_FACTORS.path, "is_offered"), (SONG_FACTORS.path, "score"),
            (SONG_FACTORS.path, "song_key"), (USER_SONG_INTERACTIONS.path, "song_key"),
        ],
        "score": [
            (BLEND_WEIGHTS.path, "gain_over_popularity"), (SONG_FACTORS.path, "factors"), (SONG_FACTORS.path, "score"),
            (USER_SONG_INTERACTIONS.path, "score"),
        ],
        "source": [(BLEND_WEIGHTS.path, "gain_over_popularity"), (BLEND_WEIGHTS.path, "gain_standard_error")],
        "weight": [(BLEND_WEIGHTS.path, "gain_over_popularity"), (BLEND_WEIGHTS.path, "gain_standard_error")],
        "day": [],
    },
    reconciliations=[
        ranks_have_no_hole("user_key"),
        scores_fall("user_key"),
        Reconciliation(
            name="holds_no_song_that_was_played",
            description="Songs that their listener has played:",
            others={"interactions": Input(USER_SONG_INTERACTIONS)},
            expected=nothing,
            found=_played,
        ),
        Reconciliation(
            name="holds_offered_songs_alone",
            description="Songs that lists may not hold, for too few listeners played them:",
            others={"songs": Input(SONG_FACTORS)},
            expected=nothing,
            found=_not_offered,
        ),
        _without_member("songs", "song_key"),
        _without_member("users", "user_key"),
        Reconciliation(
            name="every_active_listener_has_a_list",
            description=f"Listeners with a list against those active in {ACTIVE_DAYS} days who have a song left:",
            others=_MADE_FROM,
            expected=lambda stored: by_day(_songs_left(stored), "day", F.count(F.lit(1))),
            found=lambda stored: by_day(stored.own.read(), "day", F.count_distinct("user_key")),
        ),
        Reconciliation(
            name="lists_are_whole",
            description=f"Rows against lists of {LIST_LENGTH} songs, or of as many as are left:",
            others=_MADE_FROM,
            expected=lambda stored: by_day(
                _songs_left(stored).withColumn("rows", F.least("left", F.lit(LIST_LENGTH))), "day", F.sum("rows")
            ),
            found=lambda stored: stored.own.rows,
        ),
        Reconciliation(
            name="coverage_holds",
            description="Days on which the model's lists hold less than half of the songs of the day before:",
            others={"before": Input(RECOMMENDATIONS, days_before=1)},
            expected=nothing,
            found=_collapsed,
        ),
    ],
)  # fmt: skip
