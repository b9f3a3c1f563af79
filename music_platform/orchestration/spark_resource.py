"""The Spark session as a Dagster resource: dagster-pyspark's, over Spark Connect."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import dagster as dg
from dagster_pyspark import PySparkResource
from pydantic import Field
from pyspark.sql import SparkSession

from music_platform.lake.spark import SparkEngine
from music_platform.settings import Settings


class SparkResource(PySparkResource):
    """``lake.spark.SparkEngine`` for assets that name ``spark`` as a resource. Its session is opened when first used."""

    remote: str = ""
    spark_config: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Settings) -> SparkResource:
        return cls(remote=settings.spark_remote)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Nothing yet: a run that reads no data opens no session."""

    @cached_property
    def engine(self) -> SparkEngine:
        return SparkEngine(self.remote, self.spark_config)

    @property
    def spark_session(self) -> SparkSession:
        """The session, opened at the first use."""
        return self.engine.spark_session
