"""The same model trained by Spark's own alternating least squares, for more pairs than one machine holds.

Spark begins from scratch each day: its solver takes no vectors to begin with. It weighs regularization by the number of pairs of
a listener or song (Zhou and others, "Large-Scale Parallel Collaborative Filtering for the Netflix Prize", 2008), and counts a
confidence from 1 on, so its vectors are not those of model.py, but as good. Listeners' vectors follow from them by the
same ``fold_in``.

Spark plans each iteration from the one before, and after some ten it runs out of stack, which ends the server. Checkpoints cut
that chain. They need a folder that the executors share: ``spark.checkpoint.dir``.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.errors import UnsupportedOperationException
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.errors import MusicPlatformError
from music_platform.recommendation.keys import numbers_of_keys
from music_platform.recommendation.model import SongFactors, Training
from music_platform.recommendation.parameters import Parameters
from music_platform.tables.columns import UNKNOWN_KEY

_CHECKPOINT_FOLDER = "spark.checkpoint.dir"
_ITERATIONS_OF_CHECKPOINT = 4
_LEAST_RATING = 0.001  # 0 and less mean to Spark that the listener does not like the song


class RecommendationEngineError(MusicPlatformError):
    """The engine that should train the model has no machine learning."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the engine cannot train the model of the recommendations: {reason}. Set MUSIC_PLATFORM_SPARK_REMOTE to a Spark "
            f"Connect server of Apache Spark that has {_CHECKPOINT_FOLDER}, or MUSIC_PLATFORM_RECOMMENDATION_ENGINE to "
            "implicit, which trains in the run's own process."
        )


def train_on_spark(pairs: DataFrame, parameters: Parameters) -> Training:
    """The model of a day of user_song_interactions, from scratch. Raises ``RecommendationEngineError``."""
    from pyspark.ml.recommendation import ALS  # half a second that only this engine pays

    if not pairs.sparkSession.conf.get(_CHECKPOINT_FOLDER, ""):
        raise RecommendationEngineError(f"its {_CHECKPOINT_FOLDER} is not set, and without it Spark runs out of stack")
    known = pairs.where(
        f"user_key <> '{UNKNOWN_KEY}' AND song_key <> '{UNKNOWN_KEY}' AND score > 0 AND score < double('Infinity')"
    )
    songs = _numbered(known.groupBy("song_key").agg(F.sum("score").alias("total"), _count("listeners")), "song_key")
    users = _numbered(known.groupBy("user_key").agg(_count("songs")), "user_key")
    means = songs.agg(F.avg("listeners")).crossJoin(users.agg(F.avg("songs"))).first()
    if means is None or means[0] is None:  # a day without a pair
        return Training(_model_of(_no_rows(), parameters), "scratch, by Spark", 0)
    mean_listeners, mean_songs = means
    confidence = (
        F.lit(parameters.confidence)
        * F.log1p("score")
        * F.pow(F.col("songs") / mean_songs, F.lit(-parameters.power_of_songs))
        * F.pow(F.col("listeners") / mean_listeners, F.lit(-parameters.power_of_listeners))
    )
    ratings = known.join(users, "user_key").join(songs, "song_key").select(
        "user_key_number", "song_key_number", F.greatest(confidence - 1, F.lit(_LEAST_RATING)).cast("float").alias("rating")
    )  # fmt: skip
    try:
        als = ALS(
            rank=parameters.factors, maxIter=parameters.iterations, regParam=parameters.regularization / mean_songs,
            implicitPrefs=True, alpha=1.0, seed=1, userCol="user_key_number", itemCol="song_key_number", ratingCol="rating",
            checkpointInterval=_ITERATIONS_OF_CHECKPOINT,
        )  # fmt: skip
        factors = als.fit(ratings).itemFactors.withColumnRenamed("id", "song_key_number")
        rows = songs.join(factors, "song_key_number").select("song_key", "features", "total", "listeners").toArrow()
    except UnsupportedOperationException as error:
        raise RecommendationEngineError(str(error)) from error
    return Training(_model_of(rows, parameters), "scratch, by Spark", parameters.iterations)


def _count(name: str) -> Column:
    return F.count(F.lit(1)).alias(name)


def _numbered(members: DataFrame, key: str) -> DataFrame:
    """Members with a number each, in the order of their keys: Spark's solver takes no texts."""
    in_order = Window.partitionBy(F.lit(0)).orderBy(key)  # one task, for as many rows as there are members, not pairs
    return members.withColumn(f"{key}_number", F.row_number().over(in_order))


def _no_rows() -> pa.Table:
    return pa.schema(
        [("song_key", pa.string()), ("features", pa.list_(pa.float32())), ("total", pa.float64()), ("listeners", pa.int64())]
    ).empty_table()  # fmt: skip


def _model_of(rows: pa.Table, parameters: Parameters) -> SongFactors:
    rows = rows.sort_by("song_key").combine_chunks()
    songs = rows.num_rows
    keys = rows["song_key"].cast(pa.string()).combine_chunks()
    values = rows["features"].combine_chunks().flatten().to_numpy().astype(np.float32)
    listeners = rows["listeners"].to_numpy()
    return SongFactors(
        numbers_of_keys(keys, "song_key"),
        values.reshape(songs, parameters.factors),
        rows["total"].to_numpy(),
        listeners,
        listeners >= parameters.least_listeners,
        parameters.of_model,
    )
