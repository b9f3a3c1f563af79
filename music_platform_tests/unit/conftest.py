"""The embedded engine's session, shared by the tests of transforms."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from music_platform.lake.spark import SparkEngine


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    """A session of Sail inside this process."""
    return SparkEngine().spark_session
