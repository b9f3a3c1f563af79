"""The gate: what each weight of popularity gained on the days judged last, by which the weight of the day's lists "
"is chosen."""

from __future__ import annotations

from dataclasses import replace

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, count_column, time_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform.tables.model_table import ModelTable
from music_platform.tables.recommendations.shared import weight_column
from music_platform.tables.recommendations.song_factors import SONG_FACTORS
from music_platform.tables.reconciliations import Input

JUDGED_DAYS = 7
WEIGHTS_JUDGED_BY = 10_000
"""Listeners by whom the weights are judged, at most; on a day."""


def gain_column(*, nullable: bool = False) -> Column:
    return Column(
        name="gain_over_popularity",
        type=ColumnType.DOUBLE,
        description="Mean over the judged listeners of the difference of nDCG@10 between this list and popularity's.",
        minimum=-1,
        maximum=1,
        nullable=nullable,
        personal=Personal.NONE,
    )


GAIN_ERROR = Column(
    name="gain_standard_error",
    type=ColumnType.DOUBLE,
    description="Standard error of that mean, from the listeners' paired differences; null of one listener.",
    minimum=0,
    nullable=True,
    personal=Personal.NONE,
)
JUDGED_LISTENERS = count_column(
    "judged_listeners",
    "Listeners with a list of the day before who played, on the judged day, a song that they had not played.",
)

BLEND_WEIGHTS = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="blend_weights",
    description=f"One row a weight of popularity and judged day, the last {JUDGED_DAYS} of them: how much the lists "
    "that the weight would have made gained over popularity. The day's lists take the weight with the largest gain "
    "that exceeds its error; without one they are popularity. Carried forward.",
    columns=(
        time_column("judged_on", "The judged day, by its first moment.", personal=Personal.NONE),
        weight_column("Weight of popularity in the blend: 0 is the model alone, 1 popularity alone."),
        replace(
            JUDGED_LISTENERS,
            description=f"{JUDGED_LISTENERS.description} At most {WEIGHTS_JUDGED_BY:,} of them, chosen evenly by their keys.",
        ),
        gain_column(),
        GAIN_ERROR,
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="judged_by_then",
            condition="judged_on <= day AND date_trunc('DAY', judged_on) = judged_on",
            description="`judged_on` is a day, and not after the row's own.",
        ),
    ),
    sort_columns=("judged_on", "weight"),
    unique_columns=("day", "judged_on", "weight"),
)

_PLAYED = [(USER_SONG_INTERACTIONS.path, name) for name in ("last_played_at", "song_key", "user_key")]
_LISTS = [
    (SONG_FACTORS.path, "factors"),
    (SONG_FACTORS.path, "is_offered"),
    (SONG_FACTORS.path, "score"),
    (USER_SONG_INTERACTIONS.path, "score"),
]


def _own(column: str) -> tuple[str, str]:
    return BLEND_WEIGHTS.path, column


TABLE = ModelTable(
    contract=BLEND_WEIGHTS,
    inputs={
        "interactions": Input(USER_SONG_INTERACTIONS, days_before=1),
        "songs": Input(SONG_FACTORS, days_before=1),
    },
    lineage={
        "judged_on": [_own("judged_on")],
        "weight": [_own("weight")],
        "judged_listeners": [*_PLAYED, _own("judged_listeners")],
        "gain_over_popularity": [*_PLAYED, *_LISTS, _own("gain_over_popularity")],
        "gain_standard_error": [*_PLAYED, *_LISTS, _own("gain_standard_error")],
        "day": [],
    },
    carries_forward=True,
)
