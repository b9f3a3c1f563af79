"""Every setting of the platform, read once from MUSIC_PLATFORM_* environment variables; one module per subject.

Nothing else in the project reads the process environment. What is not a setting (a command's own options, a table's
rules) does not belong here.
"""

from functools import lru_cache
from typing import Self

from pydantic import model_validator

from music_platform.settings.automation import DailyTableSettings, LandingSettings
from music_platform.settings.druid import DruidSettings
from music_platform.settings.environment import dagster_home, java_command, process_environment
from music_platform.settings.object_store import ObjectStoreSettings, without_foreign_s3_endpoint
from music_platform.settings.operations import HealthSettings, UiSettings
from music_platform.settings.recommendation import RecommendationSettings
from music_platform.settings.runs import RunSettings
from music_platform.settings.superset import SupersetSettings

__all__ = [
    "Settings",
    "current_settings",
    "dagster_home",
    "java_command",
    "process_environment",
    "without_foreign_s3_endpoint",
]


class Settings(
    ObjectStoreSettings, RunSettings, LandingSettings, DailyTableSettings, RecommendationSettings, HealthSettings,
    UiSettings, DruidSettings, SupersetSettings,
):  # fmt: skip
    """Settings of one process; immutable once read. The subjects' classes hold the settings; this one checks rules across
    subjects.

    Raises ``pydantic.ValidationError``, which names the variable and what is wrong with it.
    """

    @model_validator(mode="after")
    def _queue_needs_a_bucket(self) -> Self:
        if self.landing_queue_url and self.lake_location.is_local:
            raise ValueError("landing_queue_url is for a lake in a bucket, and this lake is a local folder")
        return self

    @model_validator(mode="after")
    def _superset_shows_druid(self) -> Self:
        if self.superset_enabled and not self.druid_enabled:
            raise ValueError("superset_enabled shows Druid's datasources, and druid_enabled is not set")
        return self


@lru_cache(maxsize=1)
def current_settings() -> Settings:
    """The settings of this process, read at the first call."""
    return Settings()
