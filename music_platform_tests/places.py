"""Where things lie that tests need: the repository, and the sample, which data/README.md describes."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
SAMPLE_FOLDER = TESTS / "data"
"""Output of the real Eventsim and the real Fluentd."""
