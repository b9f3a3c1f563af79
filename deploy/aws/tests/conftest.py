"""The stacks, synthesized once: no network, no account, no Docker."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import cdk_nag
import pytest

from app import build

Templates = Mapping[str, Mapping[str, Any]]


class Synthesized:
    """The app's templates by the short names of the stacks, and what its validation found: cdk-nag's rules and the CDK's own."""

    def __init__(self, folder: Path) -> None:
        app, stacks = build(str(folder))
        cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
        with contextlib.suppress(RuntimeError):  # of findings, after everything is written
            app.synth()
        report = json.loads((folder / "validation-report.json").read_text())
        self.validated_by = {plugin["pluginName"] for plugin in report["pluginReports"]}
        self.findings = [
            (construct["constructPath"], violation["ruleName"], violation["description"])
            for plugin in report["pluginReports"]
            for violation in plugin["violations"]
            for construct in violation["violatingConstructs"]
        ]
        self.templates: Templates = {
            name: json.loads((folder / stack.template_file).read_text()) for name, stack in stacks.items()
        }


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    return Synthesized(tmp_path_factory.mktemp("cdk.out"))


@pytest.fixture(scope="session")
def templates(synthesized: Synthesized) -> Templates:
    return synthesized.templates


@pytest.fixture(scope="session")
def lake(templates: Templates) -> Mapping[str, Any]:
    return templates["lake"]
