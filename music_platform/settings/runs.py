"""Settings of runs: the engine, its batch size, and the number of concurrent steps."""

from typing import Literal

from pydantic import Field

from music_platform.settings.group import SettingsGroup


class RunSettings(SettingsGroup):
    spark_remote: str = Field(
        default="",
        description="Spark Connect url (`sc://host:15002`); empty starts Sail inside the process.",
    )
    batch_rows: int = Field(
        default=500_000,
        gt=0,
        description="Rows a range run holds in the engine at once, all its steps together: what bounds its memory.",
    )
    steps_at_once: int = Field(
        default=2,
        gt=0,
        description="Steps of a run that run at the same time where they do not depend on each other.",
    )
    executor: Literal["threads", "in_process", "k8s_job"] = Field(
        default="threads",
        description="What runs the steps of a run: threads of the run's process, that process one step at a time, or a "
        "Kubernetes Job for each step.",
    )

    @property
    def batch_rows_of_a_step(self) -> int:
        """Each step's share of ``batch_rows``, assuming that the maximum number of steps runs at once."""
        return max(self.batch_rows // self.steps_at_once, 1)
