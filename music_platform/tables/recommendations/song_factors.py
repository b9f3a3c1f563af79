"""The model: a vector for each song that is played, and how popular the song is."""

from __future__ import annotations

from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, SONG_KEY, UNKNOWN_KEY, count_column, text_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform.tables.model_table import ModelTable
from music_platform.tables.recommendations.shared import score_column
from music_platform.tables.reconciliations import Input, Reconciliation, by_day, nothing

SONG_FACTORS = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="song_factors",
    description="The model of the recommendations: one row a song that has a score, with the vector that alternating "
    "least squares finds for it. Carried forward: a day's model begins with the one of the day before, and from "
    "scratch on the first of a month.",
    columns=(
        SONG_KEY,
        Column(
            name="factors",
            type=ColumnType.FLOATS,
            description="The song's vector. Its product with a listener's vector is how well they fit.",
            personal=Personal.NONE,
        ),
        score_column("Sum of the scores of its listeners: how popular the song is.", minimum=0),
        count_column("listeners", "Listeners with a score for the song."),
        Column(
            name="is_offered",
            type=ColumnType.BOOLEAN,
            description="Whether lists may hold the song: it has as many listeners as the settings ask for.",
            personal=Personal.NONE,
        ),
        text_column("parameters", "What the model was trained with.", personal=Personal.NONE),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="factors_are_finite",
            condition="size(factors) > 0 AND array_max(factors) < 1e30 AND array_min(factors) > -1e30",
            description="`factors` holds numbers, none of them infinite or not a number.",
        ),
        Rule(
            name="offered_songs_have_listeners",
            condition="NOT is_offered OR listeners >= 1",
            description="No song is offered that nobody played.",
        ),
    ),
    sort_columns=("song_key",),
    unique_columns=("day", "song_key"),
)

_PLAYED = f"user_key <> '{UNKNOWN_KEY}' AND song_key <> '{UNKNOWN_KEY}'"
_SCORES = (USER_SONG_INTERACTIONS.path, "score")
_LISTENER = (USER_SONG_INTERACTIONS.path, "user_key")
_SONG = (USER_SONG_INTERACTIONS.path, "song_key")

TABLE = ModelTable(
    contract=SONG_FACTORS,
    inputs={"interactions": Input(USER_SONG_INTERACTIONS)},
    lineage={
        "song_key": [_SONG],
        "factors": [_SCORES, _SONG, _LISTENER, (SONG_FACTORS.path, "factors")],
        "score": [_SCORES],
        "listeners": [_LISTENER],
        "is_offered": [_LISTENER],
        "parameters": [],
        "day": [],
    },
    carries_forward=True,
    reconciliations=[
        Reconciliation(
            name="holds_every_song_played",
            description="Songs against those of user_song_interactions:",
            others={"interactions": Input(USER_SONG_INTERACTIONS)},
            expected=lambda stored: by_day(
                stored["interactions"].read().where(_PLAYED), "day", F.count_distinct("song_key")
            ),
            found=lambda stored: stored.own.rows,
        ),
        Reconciliation(
            name="factors_have_one_length",
            description="Lengths of vectors beyond the first:",
            expected=nothing,
            found=lambda stored: by_day(stored.own.read(), "day", F.count_distinct(F.size("factors")) - 1),
        ),
    ],
)
