"""How good the lists of the day before were, judged by what the listeners played on the day."""

from __future__ import annotations

from math import sqrt

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.partitions import days_around
from music_platform.tables.columns import DAY, DAY_IS_WHOLE, UNKNOWN_KEY, share_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, TableContract
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform.tables.model_table import ModelTable
from music_platform.tables.recommendations.blend_weights import GAIN_ERROR, JUDGED_DAYS, JUDGED_LISTENERS, gain_column
from music_platform.tables.recommendations.recommendations import RECOMMENDATIONS
from music_platform.tables.recommendations.shared import weight_column
from music_platform.tables.recommendations.song_factors import SONG_FACTORS
from music_platform.tables.reconciliations import Input, Numbers, Reconciliation, Stored, by_day, nothing

SERVED, POPULARITY, MODEL = "served", "popularity", "als"
_TOLERATED_ERRORS = 2

EVALUATION = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="evaluation",
    description="The lists of the day before, judged by the songs that their listeners played on this day for the "
    "first time; one row for the lists that were served, one for popularity's and one for the model's alone. No row "
    "on a day on which nobody can be judged.",
    columns=(
        Column(
            name="model",
            type=ColumnType.STRING,
            description=f"What was judged: `{SERVED}`, the lists as they were published; `{POPULARITY}`; `{MODEL}`, "
            "the model without popularity.",
            allowed=(SERVED, POPULARITY, MODEL),
            personal=Personal.NONE,
        ),
        weight_column("Weight of popularity in the lists."),
        JUDGED_LISTENERS,
        share_column("ndcg_at_10", "Normalized discounted cumulative gain of the first 10 songs; mean over listeners."),
        share_column("map_at_10", "Mean average precision of the first 10 songs."),
        share_column("recall_at_20", "Share of a listener's new songs that the first 20 held; mean."),
        share_column("recall_at_50", "Share of a listener's new songs that the first 50 held; mean."),
        share_column("hit_rate_at_10", "Share of listeners of whose first 10 songs at least one was played."),
        share_column(
            "coverage_at_10", "Share of all songs of the model that stand among the first 10 of some judged list."
        ),
        Column(
            name="novelty_at_10",
            type=ColumnType.DOUBLE,
            description="Mean over the first 10 songs of how surprising each is: -log2 of its share of all scores.",
            unit="bits",
            minimum=0,
            personal=Personal.NONE,
        ),
        gain_column(),
        GAIN_ERROR,
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(DAY_IS_WHOLE,),
    sort_columns=("model",),
    unique_columns=("day", "model"),
)

_PLAYED = [(USER_SONG_INTERACTIONS.path, name) for name in ("last_played_at", "song_key", "user_key")]
_SERVED = [(RECOMMENDATIONS.path, name) for name in ("rank", "song_key", "user_key")]
_MODEL = [(SONG_FACTORS.path, name) for name in ("factors", "is_offered", "score")]


def _judged_listeners(stored: Stored) -> Numbers:
    """Listeners with a list of the day before who played, on the day, a song that they had not played by then."""
    pairs = stored["interactions"].read().where(f"user_key <> '{UNKNOWN_KEY}' AND song_key <> '{UNKNOWN_KEY}'")
    tomorrow = F.col("day") + F.expr("INTERVAL 1 DAY")
    known = pairs.select(tomorrow.alias("day"), "user_key", "song_key")
    lists = stored["lists"].read().select(tomorrow.alias("day"), "user_key").distinct()
    new: DataFrame = (
        pairs.where("last_played_at >= day")
        .select("day", "user_key", "song_key")
        .join(known, ["day", "user_key", "song_key"], "left_anti")
        .join(lists, ["day", "user_key"], "left_semi")
    )
    return by_day(new, "day", F.count_distinct("user_key"))


def _below_popularity(stored: Stored) -> Numbers:
    """1 for a day up to which the served lists were below popularity by more than so many errors, over the days "
    "judged last."""
    served = stored["days"].read().where(f"model = '{SERVED}' AND judged_listeners > 1")
    rows = served.select(
        F.date_format("day", "yyyy-MM-dd").alias("day"), "judged_listeners", "gain_over_popularity", "gain_standard_error"
    ).toArrow().to_pylist()  # fmt: skip
    found: dict[str, int] = {}
    for day in stored.own.rows:
        around = days_around(day, before=JUDGED_DAYS - 1, after=0)
        judged = [row for row in rows if row["day"] in around]
        listeners = sum(row["judged_listeners"] for row in judged)
        if not listeners:
            continue
        gain = sum(row["judged_listeners"] * row["gain_over_popularity"] for row in judged) / listeners
        error = sqrt(sum((row["judged_listeners"] * row["gain_standard_error"]) ** 2 for row in judged)) / listeners
        found[day] = int(gain < -_TOLERATED_ERRORS * error and gain < 0)
    return found


TABLE = ModelTable(
    contract=EVALUATION,
    inputs={
        "lists": Input(RECOMMENDATIONS, days_before=1),
        "interactions": Input(USER_SONG_INTERACTIONS, days_before=1),
        "songs": Input(SONG_FACTORS, days_before=1),
    },
    lineage={
        "model": [],
        "weight": [(RECOMMENDATIONS.path, "weight")],
        "judged_listeners": [(RECOMMENDATIONS.path, "user_key"), *_PLAYED],
        **{
            column.name: [*_SERVED, *_MODEL, *_PLAYED]
            for column in EVALUATION.columns
            if column.name not in ("model", "weight", "judged_listeners", "day")
        },
        "day": [],
    },
    reconciliations=[
        Reconciliation(
            name="judges_every_list",
            description="Judged listeners, of the three rows of each day together, against those with a list and a "
            "new song:",
            others={
                "lists": Input(RECOMMENDATIONS, days_before=1),
                "interactions": Input(USER_SONG_INTERACTIONS, days_before=1),
            },
            expected=lambda stored: {day: 3 * number for day, number in _judged_listeners(stored).items()},
            found=lambda stored: by_day(stored.own.read(), "day", F.sum("judged_listeners")),
        ),
        Reconciliation(
            name="not_below_popularity",
            description="Days up to which the served lists were worse than popularity's by more than "
            f"{_TOLERATED_ERRORS} standard errors, over {JUDGED_DAYS} days:",
            others={"days": Input(EVALUATION, days_before=JUDGED_DAYS - 1)},
            expected=nothing,
            found=_below_popularity,
            is_blocking=False,
        ),
    ],
)  # fmt: skip
