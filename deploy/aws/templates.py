"""Writes the stacks as plain CloudFormation into templates/, from where they are deployed. `./run aws templates` calls it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from app import HERE, build

FOLDER = HERE / "templates"


def rendered() -> dict[Path, str]:
    """The content of every template, by its file."""
    with tempfile.TemporaryDirectory() as folder:
        app, stacks = build(folder)
        assembly = app.synth()
        return {
            FOLDER / f"{name}.json": text_of(assembly.get_stack_by_name(stack.stack_name).template)
            for name, stack in stacks.items()
        }


def text_of(template: object) -> str:
    """A template as it is committed."""
    return json.dumps(template, indent=1) + "\n"


def main() -> None:
    """Write the templates, and remove those of stacks that no longer exist."""
    wanted = rendered()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
