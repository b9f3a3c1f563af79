"""Where the sample lies: output of the real Eventsim and the real Fluentd, described in data/README.md."""

from __future__ import annotations

from pathlib import Path

SAMPLE_FOLDER = Path(__file__).resolve().parent / "data"
