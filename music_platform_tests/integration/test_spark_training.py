"""The model of the recommendations trained by Apache Spark: as good as the one that the run's process trains.

What talks to Spark is a process of its own (this module, run as a script), because a Python process has one Spark session.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.recommendations import parameters_of, stage_day
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.recommendation import rows
from music_platform.recommendation.judging import MICROSECONDS_OF_DAY, Discoveries
from music_platform.recommendation.model import SongFactors, fold_in, train
from music_platform.recommendation.ranking import Ranking
from music_platform.recommendation.spark_training import RecommendationEngineError, train_on_spark
from music_platform.settings import Settings
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform.tables.recommendations import song_factors
from music_platform.tables.recommendations.song_factors import SONG_FACTORS
from music_platform.tables.schemas import arrow_schema
from music_platform_tests.places import REPOSITORY
from music_platform_tests.unit.recommendation.given_day import interactions_rows
from music_platform_tests.unit.recommendation.planted_world import PlantedWorld, planted_world

_FIRST_DAY, _DAY, _NUMBER = "2026-11-01", "2026-11-05", 4
_RUN_SECONDS = 300
_MODULE = "music_platform_tests.integration.test_spark_training"


def _world() -> PlantedWorld:
    return planted_world(users=200, songs=200)


def _settings(lake: str, url: str = "") -> Settings:
    return Settings(lake=lake, spark_remote=url, recommendation_engine="spark", recommendation_factors=16)


def _figures(location: str) -> Path:
    return Path(location).with_name("figures.json")


def _published(settings: Settings, engine: SparkEngine) -> StoredPartitions:
    """The pairs of the day, and a pair of an unknown listener, which is nobody's taste."""
    lake = Lake(settings)
    pairs = interactions_rows(_world().pairs(_NUMBER), _FIRST_DAY)
    unknown = pairs.slice(0, 1).set_column(0, "user_key", pa.array(["0" * 16]))
    pairs = pa.concat_tables([unknown, pairs])
    others = {
        "plays": np.full(len(pairs), 100),
        "played_seconds": np.ones(len(pairs)),
        "skips": np.zeros(len(pairs), dtype=np.int64),
        "day": pa.repeat(pa.scalar(rows.moment_of_day(_DAY)), len(pairs)),
    }
    schema = arrow_schema(USER_SONG_INTERACTIONS.columns)
    for name, values in others.items():
        pairs = pairs.append_column(name, pa.array(values))
    staged = StagedPartitions.begin(USER_SONG_INTERACTIONS, "test", {})
    staged.write_rows([pairs.select(schema.names).cast(schema)], _DAY, lake)
    ParquetLakeIOManager(lake, engine).publish(staged, [_DAY], "test")
    return StoredPartitions.open(USER_SONG_INTERACTIONS, [_DAY], lake, engine)


def _ndcg(model: SongFactors, settings: Settings, weight: float = 0.0) -> float:
    world, parameters = _world(), parameters_of(settings)
    known = world.interactions(_NUMBER)
    found = Discoveries.of(known, model, world.pairs(_NUMBER + 1), (_NUMBER + 1) * MICROSECONDS_OF_DAY)
    listeners = known.of_users(found.listeners)
    lists = Ranking(model).lists(fold_in(model, listeners, parameters), listeners, weight)
    return found.judge(lists.songs, model).ndcg_at_10


def test_spark_trains_a_model_that_is_as_good(spark_url: str, tmp_path: Path) -> None:
    location = str(tmp_path / "lake")
    ended = subprocess.run(
        [sys.executable, "-m", _MODULE, spark_url, location], cwd=REPOSITORY, capture_output=True, text=True,
        timeout=_RUN_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-5000:]
    assert json.loads(_figures(location).read_text())["trained_from"] == "scratch, by Spark"
    settings = _settings(location)
    stored = StoredPartitions.open(SONG_FACTORS, [_DAY], Lake(settings), SparkEngine())
    model = rows.song_factors_of(stored.batches_of_rows(_DAY, [column.name for column in SONG_FACTORS.columns]))
    here = train(_world().interactions(_NUMBER), parameters_of(settings)).model
    assert model.parameters.endswith(" engine=spark")
    np.testing.assert_array_equal(model.songs, here.songs)
    np.testing.assert_array_equal(model.listeners, here.listeners)
    np.testing.assert_allclose(model.scores, here.scores, rtol=1e-5)
    assert _ndcg(model, settings) > 2 * _ndcg(model, settings, weight=1.0)
    assert _ndcg(model, settings) == pytest.approx(_ndcg(here, settings), rel=0.15)


def test_the_embedded_engine_is_refused_by_name(tmp_path: Path) -> None:
    settings, engine = _settings(str(tmp_path / "lake")), SparkEngine()
    stored = _published(settings, engine)
    staged = StagedPartitions.begin(SONG_FACTORS, "test", {})
    with pytest.raises(RecommendationEngineError, match=r"Sail, the embedded engine.*MUSIC_PLATFORM_SPARK_REMOTE"):
        stage_day(song_factors.TABLE, _DAY, {"interactions": stored}, staged, Lake(settings), engine)
    with pytest.raises(RecommendationEngineError, match=r"its spark\.checkpoint\.dir is not set"):
        train_on_spark(stored.read(), parameters_of(settings))
    engine.spark_session.conf.set("spark.checkpoint.dir", str(tmp_path))
    nothing = train_on_spark(stored.read().where("plays < 0"), parameters_of(settings))
    assert (len(nothing.model), nothing.iterations) == (0, 0)
    with pytest.raises(RecommendationEngineError, match=r"ml command.*MUSIC_PLATFORM_RECOMMENDATION_ENGINE"):
        train_on_spark(stored.read(), parameters_of(settings))  # as a Sail server at a url answers


def main(url: str, location: str) -> None:
    settings, engine = _settings(location, url), SparkEngine(remote=url)
    stored, staged = _published(settings, engine), StagedPartitions.begin(SONG_FACTORS, "test", {})
    made = stage_day(song_factors.TABLE, _DAY, {"interactions": stored}, staged, Lake(settings), engine)
    ParquetLakeIOManager(Lake(settings), engine).publish(staged, [_DAY], "test")
    _figures(location).write_text(json.dumps(made.figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
