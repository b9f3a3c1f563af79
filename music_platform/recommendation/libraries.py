"""How implicit is brought in and held in check: its OpenMP, its threads and those of BLAS."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from threadpoolctl import threadpool_limits

from music_platform.errors import MusicPlatformError

# Waiting threads of OpenMP spin by default, which takes the processors from the engine. It is read when libgomp is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class RecommendationLibraryError(MusicPlatformError):
    """The library that trains the model cannot be loaded; ``reason`` is why, ``advice`` what the machine lacks."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"recommendations need the package implicit, which does not load: {reason}; {advice}")
        self.reason, self.advice = reason, advice


def als_class() -> Any:
    """implicit's ``AlternatingLeastSquares`` on the processor; raises ``RecommendationLibraryError``."""
    return _loaded("implicit.cpu.als").AlternatingLeastSquares


def top_k() -> Callable[..., Any]:
    """implicit's ``topk``; raises ``RecommendationLibraryError``."""
    return _loaded("implicit.cpu.topk").topk


def _loaded(module: str) -> Any:
    try:
        return import_module(module)
    except (ImportError, OSError) as error:
        advice = (
            "install the system's OpenMP library (Debian: libgomp1; Red Hat: libgomp)"
            if "libgomp" in str(error)
            else "install this project's locked packages again"
        )
        raise RecommendationLibraryError(str(error), advice) from error


def one_blas_thread() -> AbstractContextManager[Any]:
    """Within it BLAS takes one thread: implicit's own threads each call it. Raises ``RecommendationLibraryError``."""
    als_class()  # only a BLAS that is loaded can be held
    return threadpool_limits(1, "blas")


def threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
