"""For each song those that the same listeners play."""

from __future__ import annotations

from dataclasses import replace

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, SONG_KEY, key_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.model_table import ModelTable
from music_platform.tables.recommendations.shared import rank_column, ranks_have_no_hole, scores_fall
from music_platform.tables.recommendations.song_factors import SONG_FACTORS
from music_platform.tables.reconciliations import Input

LEAST_LISTENERS = 3
SIMILAR_RANKS = 20

SIMILAR_SONGS = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="similar_songs",
    description=f"The {SIMILAR_RANKS} songs nearest to each song in the model, among songs with at least "
    f"{LEAST_LISTENERS} listeners: those that the same listeners play.",
    columns=(
        replace(SONG_KEY, description="Song in dim_songs."),
        rank_column("rank", "Place by similarity; of equal ones the lesser key comes first.", SIMILAR_RANKS),
        key_column("similar_song_key", "The similar song in dim_songs.", personal=Personal.NONE),
        Column(
            name="similarity",
            type=ColumnType.DOUBLE,
            description="Cosine of the angle between the songs' vectors.",
            minimum=-1,
            maximum=1,
            personal=Personal.NONE,
        ),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="another_song",
            condition="song_key <> similar_song_key",
            description="No song is similar to itself.",
        ),
    ),
    sort_columns=("song_key", "rank"),
    unique_columns=("day", "song_key", "similar_song_key"),
)

TABLE = ModelTable(
    contract=SIMILAR_SONGS,
    inputs={"songs": Input(SONG_FACTORS)},
    lineage={
        "song_key": [(SONG_FACTORS.path, "song_key")],
        "rank": [(SONG_FACTORS.path, "factors")],
        "similar_song_key": [(SONG_FACTORS.path, "factors"), (SONG_FACTORS.path, "song_key")],
        "similarity": [(SONG_FACTORS.path, "factors")],
        "day": [],
    },
    reconciliations=[ranks_have_no_hole("song_key"), scores_fall("song_key", score="similarity")],
)
