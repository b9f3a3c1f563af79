"""What a plan says of where its columns come from."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.contract import Column, ColumnType, Layer, Personal, TableContract
from music_platform.tables.lineage.plans import LineageError, column_sources
from music_platform.tables.schemas import spark_schema


def _table(name: str, *columns: str) -> TableContract:
    return TableContract(
        layer=Layer.GOLD,
        name=name,
        description=name,
        columns=tuple(
            Column(name=column, type=ColumnType.LONG, description=column, personal=Personal.NONE) for column in columns
        ),
        partition_column=columns[-1],
        unique_columns=(columns[0],),
    )


PLAYS = _table("plays", "play_id", "song_id", "seconds", "time")
SONGS = _table("songs", "song_id", "title", "year")


@pytest.fixture
def plays(spark: SparkSession) -> DataFrame:
    return spark.read.schema(spark_schema(PLAYS.columns)).parquet("plays")


@pytest.fixture
def songs(spark: SparkSession) -> DataFrame:
    return spark.read.schema(spark_schema(SONGS.columns)).parquet("songs")


def _sources(frame: DataFrame) -> dict[str, set[str]]:
    found = column_sources(frame, {"plays": PLAYS, "songs": SONGS})
    return {
        name: {f"{table.removeprefix('gold/')}.{column}" for table, column in sources}
        for name, sources in found.items()
    }


def test_a_computed_column_comes_from_every_column_of_its_expression(plays: DataFrame) -> None:
    frame = plays.select(
        "play_id", F.when(F.col("seconds") > 30, F.col("song_id")).alias("long"), F.lit(2).alias("two")
    )
    assert _sources(frame) == {"play_id": {"plays.play_id"}, "long": {"plays.seconds", "plays.song_id"}, "two": set()}


def test_an_expression_in_sql_comes_from_the_columns_that_it_names(plays: DataFrame) -> None:
    frame = plays.select(F.expr("seconds + length('time play_id')").alias("sum"))
    assert _sources(frame) == {"sum": {"plays.seconds"}}


def test_what_chooses_rows_is_no_source(plays: DataFrame) -> None:
    frame = plays.where("seconds > 30").dropDuplicates(["time"]).sort("time").select("play_id")
    assert _sources(frame) == {"play_id": {"plays.play_id"}}


def test_a_column_that_is_replaced_comes_from_what_replaced_it(plays: DataFrame) -> None:
    frame = plays.withColumn("seconds", F.col("time")).drop("time", "song_id")
    assert _sources(frame) == {"play_id": {"plays.play_id"}, "seconds": {"plays.time"}}


def test_a_join_brings_the_columns_of_both_sides(plays: DataFrame, songs: DataFrame) -> None:
    frame = plays.join(songs, "song_id", "left").select("song_id", "seconds", F.upper("title").alias("name"))
    assert _sources(frame) == {"song_id": {"plays.song_id"}, "seconds": {"plays.seconds"}, "name": {"songs.title"}}


def test_an_anti_join_brings_none_of_the_other_side(plays: DataFrame, songs: DataFrame) -> None:
    assert set(_sources(plays.join(songs, "song_id", "left_anti"))) == {"play_id", "song_id", "seconds", "time"}


def test_a_union_by_place_comes_from_both(plays: DataFrame, songs: DataFrame) -> None:
    frame = plays.select("song_id", "seconds").union(songs.select("song_id", "year"))
    assert _sources(frame) == {
        "song_id": {"plays.song_id", "songs.song_id"},
        "seconds": {"plays.seconds", "songs.year"},
    }


def test_a_union_by_name_comes_from_both(plays: DataFrame, songs: DataFrame) -> None:
    years = songs.select(F.col("year").alias("seconds"), "song_id")
    frame = plays.select("song_id", "seconds").unionByName(years)
    assert _sources(frame) == {
        "song_id": {"plays.song_id", "songs.song_id"},
        "seconds": {"plays.seconds", "songs.year"},
    }


def test_a_count_of_rows_comes_from_what_identifies_them(plays: DataFrame) -> None:
    counts = [F.count("*").alias("all"), F.count(F.lit(1)).alias("ones"), F.sum(F.lit(1)).alias("sum")]
    frame = plays.groupBy("song_id").agg(*counts, F.max("seconds").alias("longest"))
    assert _sources(frame) == {
        "song_id": {"plays.song_id"},
        "all": {"plays.play_id"},
        "ones": {"plays.play_id"},
        "sum": {"plays.play_id"},
        "longest": {"plays.seconds"},
    }


def test_rows_marked_before_a_union_are_counted_of_their_table_alone(plays: DataFrame, songs: DataFrame) -> None:
    played = plays.select("song_id", F.lit(1).cast("bigint").alias("plays"))
    never = songs.select("song_id", F.lit(0).cast("bigint").alias("plays"))
    frame = played.unionByName(never).groupBy("song_id").agg(F.sum("plays").alias("plays"))
    assert _sources(frame)["plays"] == {"plays.play_id"}


def test_a_rank_comes_from_its_order_and_a_neighbour_from_its_column(plays: DataFrame) -> None:
    window = Window.partitionBy("song_id").orderBy("time")
    frame = plays.select(
        F.row_number().over(window).alias("rank"), F.lead("seconds").over(window).alias("next_seconds")
    )
    assert _sources(frame) == {"rank": {"plays.time"}, "next_seconds": {"plays.seconds"}}


def test_a_relation_that_is_not_known_is_reported(plays: DataFrame) -> None:
    with pytest.raises(LineageError, match="no lineage through 'sample' of a plan"):
        _sources(plays.sample(0.5))
