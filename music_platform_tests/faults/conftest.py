"""Fixtures of the fault tests: processes that can be killed at little cost."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

import pytest


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Starts processes as forks of one that has the imports done and has opened nothing yet.

    A fork of the test's own process would inherit the threads of obstore and of the engine, and hang.
    """
    context = multiprocessing.get_context("forkserver")
    # pyarrow imports pandas at its first use, which would be most of what a forked process costs.
    context.set_forkserver_preload(["music_platform.definitions", "pysail.spark", "polars", "pandas"])
    return context
