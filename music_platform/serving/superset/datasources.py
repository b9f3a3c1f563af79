"""The Druid datasources that dashboards ask, with the columns that they may use.

Types are Druid's: a boolean is 1, 0 or null, a moment other than the row's own is milliseconds since 1970 (UTC).
"""

from __future__ import annotations

from music_platform.serving.druid import datasources
from music_platform.serving.druid.ingestion_spec import columns_of

TIME = "__time"

DATASOURCES: dict[str, dict[str, str]] = {
    name: columns_of(datasource) for name, datasource in datasources.DATASOURCES.items()
}
