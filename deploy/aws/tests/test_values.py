"""The chart's values, from what CloudFormation says of deployed stacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
import yaml

from app import HERE
from conftest import Templates
from test_lake import resources

_CHART = HERE.parent / "helm" / "music-platform"
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


def test_the_chart_takes_the_values() -> None:
    """By the chart's schema, which refuses what it does not know; helm checks the defaults with the values over them."""
    defaults = yaml.safe_load((_CHART / "values.yaml").read_text())
    schema = json.loads((_CHART / "values.schema.json").read_text())
    jsonschema.validate(merged(defaults, values(described(_VALUES_OF))), schema)


def test_each_role_belongs_to_a_service_account_of_the_chart(templates: Templates) -> None:
    manifests = "".join(path.read_text() for path in (_CHART / "templates").glob("*.yaml"))
    used = set(re.findall(r"serviceAccountName: ([\w-]+)$", manifests, re.MULTILINE))
    associations = resources(templates["lake"], "AWS::EKS::PodIdentityAssociation").values()
    assert {association["ServiceAccount"] for association in associations} <= used


def merged(defaults: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """As helm merges values: objects key by key, everything else replaced."""
    return {
        **defaults,
        **{
            key: merged(defaults[key], value) if isinstance(value, Mapping) and key in defaults else value
            for key, value in others.items()
        },
    }
