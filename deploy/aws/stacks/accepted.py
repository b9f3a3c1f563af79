"""Findings of cdk-nag and of CloudFormation's own validation that are meant as they are, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable

import aws_cdk as cdk
from constructs import IConstruct


def accept(scope: IConstruct, rule: str, reason: str, findings: Iterable[str] = ()) -> None:
    """Accept a rule in a construct and all below it: by the name under which it is reported, and of a rule that tells its
    findings apart these findings alone.
    """
    names = [f"{rule}[{finding}]" for finding in findings] or [rule]
    cdk.Validations.of(scope).acknowledge(*(cdk.Acknowledgment(id=name, reason=reason) for name in names))
