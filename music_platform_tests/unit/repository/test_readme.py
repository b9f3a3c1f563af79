"""The README and the guides in docs/ say what is true of the code: commands, options, links."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

from typer.main import get_command

from music_platform.cli.main import COMMANDS, app, load_command
from music_platform_tests.places import REPOSITORY

GUIDES = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
# A command at the beginning of a line of a code block, or in backquotes.
_COMMAND = re.compile(r"(?:^|`)(?:\./run )?(music-platform [^`\n]+|(?<=\./run )demo[^`\n]*)", re.MULTILINE)

# A file or folder of the repository in backquotes; a tag such as `music_platform/requested` has neither slash nor suffix.
_PATH = re.compile(
    r"`((?:music_platform|music_platform_tests|benchmarks|fluentd|druid|deploy|docs)/(?:[\w/-]+/|[\w/.-]+\.\w+))`"
)


def in_guides(problems_of: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """The problems by guide: what was renamed fails one test, which names all the guides that speak of it."""
    return {str(guide.relative_to(REPOSITORY)): found for guide in GUIDES if (found := problems_of(guide))}


def test_commands_exist() -> None:
    described = set(re.findall(r"^  ([a-z-]+)", (REPOSITORY / "run").read_text(), re.MULTILINE)) | {"dg"}
    assert in_guides(lambda guide: sorted({*re.findall(r"\./run ([a-z-]+)", guide.read_text())} - described)) == {}


def test_subcommands_and_options_exist() -> None:
    def problems_of(guide: Path) -> list[str]:
        commands = _COMMAND.findall(guide.read_text().replace("\\\n", " "))
        return [problem for command in commands if (problem := problem_of_command(command))]

    assert in_guides(problems_of) == {}


def test_what_does_not_exist_is_found() -> None:
    text = (
        "`music-platform chekc` x\n./run music-platform check --partitoin 1 # all\n./run demo --day 1\n./run test --x\n"
    )
    assert [problem_of_command(command) for command in _COMMAND.findall(text)] == [
        "music-platform has no chekc",
        "music-platform check has no --partitoin",
        "music-platform demo has no --day",
    ]
    good = "./run music-platform quarantine show --rule line_readable --limit=5 # all\n`./run music-platform land -`\n./run demo"
    assert [problem_of_command(command) for command in _COMMAND.findall(good)] == [""] * 3


def test_links_lead_somewhere() -> None:
    def broken_links(guide: Path) -> list[str]:
        targets = re.findall(r"\]\((?!https?://)([^)#]+)", guide.read_text())
        return [target for target in targets if not (guide.parent / target).exists()]

    assert in_guides(broken_links) == {}


def test_named_files_exist() -> None:
    def missing_files(guide: Path) -> list[str]:
        return [name for name in _PATH.findall(guide.read_text()) if not (REPOSITORY / name).exists()]

    assert in_guides(missing_files) == {}


def problem_of_command(line: str) -> str:
    """What a `music-platform ...` or `demo ...` line names that does not exist; empty when all of it does."""
    words = shlex.split(line, comments=True)
    name = "music-platform"
    words = words[1:] if words[0] == name else words
    if words and not words[0].startswith("-"):
        if words[0] not in COMMANDS:
            return f"{name} has no {words[0]}"
        command, name = load_command(words[0]), f"{name} {words.pop(0)}"
    else:
        command = get_command(app)
    while (subcommands := getattr(command, "commands", None)) and words and not words[0].startswith("-"):
        if words[0] not in subcommands:
            return f"{name} has no {words[0]}"
        command, name = subcommands[words[0]], f"{name} {words.pop(0)}"
    known = {"--help"}.union(*([*option.opts, *option.secondary_opts] for option in command.params))
    options = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return next((f"{name} has no {option}" for option in options if option not in known), "")
