"""Dockerfiles as the tests look at them: instructions by stage, a stage by its base."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """What follows one FROM: the base as written, the stage's name and its instructions with continuation lines joined."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """The arguments of every instruction of this name."""
        return [rest for found, rest in self.instructions if found == name]


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile: the ARGs before its first stage with their defaults, and its stages."""

    path: Path
    arguments: dict[str, str]
    stages: list[Stage]

    @classmethod
    def read(cls, path: Path) -> Dockerfile:
        lines = (line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
        joined = "\n".join(lines).replace("\\\n", " ")
        found = cls(path, {}, [])
        for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip()):
            if name == "FROM":
                base, _, stage = rest.partition(" AS ")
                found.stages.append(Stage(base, stage))
            elif not found.stages:
                assert name == "ARG"
                argument, _, default = rest.partition("=")
                found.arguments[argument] = default
            else:
                found.stages[-1].instructions.append((name, " ".join(rest.split())))
        return found

    def lineage(self, stage: Stage) -> list[Stage]:
        """The stage and those of this file that it is built upon, the stage first."""
        parent = next((other for other in self.stages if other.name == stage.base), None)
        return [stage, *(self.lineage(parent) if parent else [])]
