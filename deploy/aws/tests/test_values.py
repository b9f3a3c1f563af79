"""The chart's values, from what CloudFormation says of deployed stacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from app import HERE
from conftest import Templates

_VALUES_OF = {
    "lake": {
        "Region": "eu-central-1",
        "Lake": "s3://bucket/lake",
        "LakeBucket": "bucket",
        "DeepStorageBucket": "segments",
        "LandingQueueUrl": "https://queue",
        "RetentionDays": "90",
    },
    "images": {"Registry": "registry"},
    "database": {"Host": "database", "AdministratorSecret": "secret"},
}


def described(stacks: Mapping[str, Mapping[str, str]]) -> str:
    """What ``describe-stacks`` prints of them, and of a stack of somebody else."""
    found = [
        {
            "StackName": f"music-platform-{name}",
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        }
        for name, outputs in stacks.items()
    ]
    return json.dumps({"Stacks": [*found, {"StackName": "other"}]})


def run_values(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, HERE / "values.py", *arguments], input=text, capture_output=True, text=True)


def values(text: str, *arguments: str) -> dict[str, Any]:
    ran = run_values(text, *arguments)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_values_name_what_the_stacks_made() -> None:
    assert values(described(_VALUES_OF)) == {
        "images": {"registry": "registry"},
        "lake": {"url": "s3://bucket/lake", "region": "eu-central-1"},
        "settings": {
            "MUSIC_PLATFORM_LANDING_QUEUE_URL": "https://queue",
            "MUSIC_PLATFORM_LANDING_RETENTION_DAYS": "90",
        },
        "druid": {"deepStorage": {"bucket": "segments"}},
        "postgres": {"enabled": False, "host": "database", "sslMode": "require"},
    }


def test_without_the_databases_stack_the_values_leave_postgresql_out() -> None:
    found = values(described({name: _VALUES_OF[name] for name in ("lake", "images")}))
    assert "postgres" not in found


def test_another_lake_of_the_account_is_named() -> None:
    stacks = described({**_VALUES_OF, "staging": {**_VALUES_OF["lake"], "Lake": "s3://staging/lake"}})
    assert values(stacks, "--lake", "music-platform-staging")["lake"]["url"] == "s3://staging/lake"


@pytest.mark.parametrize(
    ("stacks", "message"),
    [
        ({"images": _VALUES_OF["images"]}, "the stack music-platform-lake has no output Lake (no such stack)"),
        ({**_VALUES_OF, "images": {"Host": "a"}}, "the stack music-platform-images has no output Registry (Host)"),
    ],
)
def test_what_is_not_deployed_is_named(stacks: Mapping[str, Mapping[str, str]], message: str) -> None:
    ran = run_values(described(stacks))
    assert ran.returncode == 1
    assert message in ran.stderr
    assert ran.stdout == ""


def test_the_stacks_have_every_output_that_is_read(templates: Templates) -> None:
    for stack, outputs in _VALUES_OF.items():
        assert set(outputs) <= set(templates[stack]["Outputs"])
