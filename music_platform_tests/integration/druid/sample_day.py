"""The day and the names that the tests of Druid share."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from music_platform.serving.druid.client import Origin

DAY = datetime(2026, 11, 1, tzinfo=UTC)
INTERVAL = "2026-11-01T00:00:00.000Z/2026-11-02T00:00:00.000Z"
ORIGIN = Origin("a-run", "druid/tests")
# Half the work at the start; what a JVM compiles further pays only later.
QUICK_START = ("-XX:TieredStopAtLevel=1",)

SpecFactory = Callable[..., dict[str, Any]]
