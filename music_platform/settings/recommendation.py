"""Settings of the recommendations: the model, and which songs its lists may hold."""

from typing import Literal

from pydantic import Field

from music_platform.settings.group import SettingsGroup


class RecommendationSettings(SettingsGroup):
    recommendation_engine: Literal["implicit", "spark"] = Field(
        default="implicit",
        description="What trains the model of the recommendations: `implicit` in the run's own process, or `spark`, the Spark "
        "Connect server of `MUSIC_PLATFORM_SPARK_REMOTE`, where one machine is too small.",
    )
    recommendation_factors: int = Field(
        default=64, gt=0, le=1024, description="Numbers that describe each song in the model of the recommendations."
    )
    recommendation_regularization: float = Field(
        default=10.0, gt=0, description="How strongly these numbers are kept small: more means less detail."
    )
    recommendation_confidence: float = Field(
        default=3.0, gt=0, description="How much a play weighs against a song that was never played."
    )
    recommendation_least_listeners: int = Field(
        default=2, gt=0, description="Listeners that a song must have for lists to hold it."
    )
