"""The chart's values for AWS, from the outputs of the stacks. Needs Python alone:

aws cloudformation describe-stacks | python3 deploy/aws/values.py > values-aws.json

Helm takes JSON as it takes YAML. With several lakes in an account, --lake names the stack of this one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

Outputs = Mapping[str, str]


class MissingOutputError(Exception):
    """A stack that the values need is not deployed, or has no such output."""


def outputs_of(described: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The outputs of each stack by its name, from what ``describe-stacks`` printed."""
    return {
        stack["StackName"]: {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
        for stack in described["Stacks"]
    }


def values_of(stacks: Mapping[str, Outputs], *, lake: str, images: str, database: str) -> dict[str, Any]:
    """The values. Without the database's stack the values of PostgreSQL are left out.

    Raises ``MissingOutputError`` that names the stack and the output.
    """

    def output(stack: str, name: str) -> str:
        try:
            return stacks[stack][name]
        except KeyError:
            there = ", ".join(sorted(stacks.get(stack, ()))) or "no such stack"
            message = f"the stack {stack} has no output {name} ({there}); deploy deploy/aws/templates first"
            raise MissingOutputError(message) from None

    values: dict[str, Any] = {
        "images": {"registry": output(images, "Registry")},
        "lake": {"url": output(lake, "Lake"), "region": output(lake, "Region")},
        "settings": {
            "MUSIC_PLATFORM_LANDING_QUEUE_URL": output(lake, "LandingQueueUrl"),
            "MUSIC_PLATFORM_LANDING_RETENTION_DAYS": output(lake, "RetentionDays"),
        },
        "druid": {"deepStorage": {"bucket": output(lake, "DeepStorageBucket")}},
    }
    if database in stacks:
        values["postgres"] = {"enabled": False, "host": output(database, "Host"), "sslMode": "require"}
    return values


def main() -> None:
    """Read what ``describe-stacks`` printed, print the values. Exit code 1 when a stack is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for stack in ("lake", "images", "database"):
        parser.add_argument(f"--{stack}", default=f"music-platform-{stack}", help="name of the stack (%(default)s)")
    arguments = parser.parse_args()
    try:
        values = values_of(outputs_of(json.load(sys.stdin)), **vars(arguments))
    except MissingOutputError as error:
        sys.exit(f"values: {error}")
    json.dump(values, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
