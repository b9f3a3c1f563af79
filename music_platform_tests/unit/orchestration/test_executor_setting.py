"""The executor of the settings is that of the platform's jobs."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from music_platform.definitions import build_definitions
from music_platform.settings import Settings


@pytest.mark.parametrize(
    ("setting", "name"), [("threads", "multithread"), ("in_process", "in_process"), ("k8s_job", "k8s")]
)
def test_the_setting_chooses_the_executor(setting: str, name: str) -> None:
    definitions = build_definitions(Settings.model_validate({"lake": "/lake", "executor": setting}))
    for job in ("hourly_spine", "daily_tier"):
        assert definitions.resolve_job_def(job).executor_def.name == name


def test_another_executor_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="'threads', 'in_process' or 'k8s_job'"):
        Settings.model_validate({"lake": "/lake", "executor": "dask"})
