"""What holds for every template: it is current, plain CloudFormation, and nothing is found by cfn-lint or cdk-nag."""

from __future__ import annotations

import json

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from conftest import Synthesized, Templates
from templates import FOLDER, text_of

_LARGEST_WITHOUT_A_BUCKET = 51_200
STACKS = ("network", "cluster", "database", "secrets", "images", "lake")


def test_each_stack_has_its_template_and_no_template_is_left_over(templates: Templates) -> None:
    assert sorted(path.stem for path in FOLDER.glob("*")) == sorted(templates) == sorted(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_a_committed_template_is_what_the_code_gives(templates: Templates, stack: str) -> None:
    committed = (FOLDER / f"{stack}.json").read_text(encoding="utf-8")
    assert committed == text_of(templates[stack]), "stale; if the change is meant, run: ./run aws templates"


@pytest.mark.parametrize("stack", STACKS)
def test_a_template_needs_no_bootstrap_no_asset_and_no_function(templates: Templates, stack: str) -> None:
    template = templates[stack]
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith(("AWS::Lambda::", "Custom::", "AWS::CloudFormation::"))}
    assert "cdk-hnb659fds" not in json.dumps(template)
    assert "BootstrapVersion" not in template.get("Parameters", {})
    # CloudFormation takes a larger one only from a bucket.
    assert len(text_of(template).encode()) < _LARGEST_WITHOUT_A_BUCKET


@pytest.mark.parametrize("stack", STACKS)
def test_cfn_lint_finds_nothing(stack: str) -> None:
    assert lint_file(FOLDER / f"{stack}.json", ManualArgs(regions=["eu-central-1", "us-east-1"])) == []


def test_cdk_nag_finds_nothing_without_a_reason(synthesized: Synthesized) -> None:
    assert "AwsSolutions" in synthesized.validated_by
    assert synthesized.findings == []


def test_what_outlives_a_mistake_is_kept_when_its_stack_is_deleted(templates: Templates) -> None:
    kept = {"AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::RDS::DBInstance", "AWS::SecretsManager::Secret"}
    found = {
        (resource["Type"], resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        for template in templates.values()
        for resource in template["Resources"].values()
        if resource["Type"] in kept
    }
    assert found == {(kind, "Retain", "Retain") for kind in kept}
