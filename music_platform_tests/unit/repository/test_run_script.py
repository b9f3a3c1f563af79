"""`./run` as a shell script: which lake and which instance a command gets. What the commands do is tested elsewhere.

A copy of the script runs in a folder of its own, with stand-ins for uv and for the commands that it starts.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from music_platform_tests.places import REPOSITORY

_TELL = '#!/bin/sh\nprintf "%s\\n" "$MUSIC_PLATFORM_LAKE" "$DAGSTER_HOME"\n'
_PYTHON = _TELL.replace("printf", '[ "$1" = -c ] && exit; printf', 1)  # the script asks for its version by -c
_UV = "#!/bin/sh\ncase $* in *--help) echo --check ;; esac\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose commands print their lake and instance."""
    project = tmp_path / "project"
    (project / "deploy" / "local").mkdir(parents=True)
    shutil.copy(REPOSITORY / "run", project)
    shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", project / "deploy" / "local")
    for name in ("music-platform", "dagster", "dg", "python", "uv"):
        command = project / ".venv" / "bin" / name
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text({"python": _PYTHON, "uv": _UV}.get(name, _TELL))
        command.chmod(0o755)
    return project


def state(project: Path, command: str, folder: Path, arguments: Sequence[str] = (), **variables: str) -> list[str]:
    """The lake and the instance that a command gets when it is called from a folder."""
    folder.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MUSIC_PLATFORM_", "DAGSTER_"))}
    ended = subprocess.run(
        [project / "run", command, *arguments],
        cwd=folder,
        env={**kept, "UV_CACHE_DIR": str(project / "cache"), **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return ended.stdout.splitlines()


@pytest.mark.parametrize("command", ["demo", "music-platform", "dagster", "dg", "dev"])
def test_relative_paths_count_from_the_folder_of_the_call(project: Path, tmp_path: Path, command: str) -> None:
    folder = tmp_path / "a folder"
    told = state(project, command, folder, MUSIC_PLATFORM_LAKE="lakes/one", DAGSTER_HOME="instance")
    assert told == [f"{folder}/lakes/one", f"{folder}/instance"]
    assert (folder / "instance").is_dir()


@pytest.mark.parametrize(
    ("lake", "expected"),
    [("s3://bucket/lake", "s3://bucket/lake"), ("/somewhere/lake", "/somewhere/lake"), ("~/lake", "{home}/lake")],
)
def test_other_places_stay_what_they_are(project: Path, tmp_path: Path, lake: str, expected: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    told = state(
        project, "dg", tmp_path / "folder", MUSIC_PLATFORM_LAKE=lake, DAGSTER_HOME="~/instance", HOME=str(home)
    )
    assert told == [expected.format(home=home), f"{home}/instance"]
    assert (home / "instance").is_dir()


def test_without_settings_the_state_lies_in_the_project(project: Path, tmp_path: Path) -> None:
    told = state(project, "dagster", tmp_path / "folder")
    assert told == [f"{project}/.music-platform/lake", f"{project}/.music-platform/dagster"]
    assert (project / ".music-platform" / "dagster" / "dagster.yaml").is_file()


@pytest.mark.parametrize(
    ("is_up", "variables", "expected"),
    [(False, {}, ""), (True, {}, "true"), (True, {"MUSIC_PLATFORM_DRUID_ENABLED": "false"}, "false")],
)
def test_a_druid_that_was_started_makes_its_datasources_assets(
    project: Path, tmp_path: Path, is_up: bool, variables: dict[str, str], expected: str
) -> None:
    folder = tmp_path / "druid"
    (folder / "logs").mkdir(parents=True)
    if is_up:
        (folder / "logs" / "java.pid").write_text("{}")
    (project / ".venv" / "bin" / "python").write_text(
        '#!/bin/sh\n[ "$1" = -c ] && exit; printf "%s\\n" "${MUSIC_PLATFORM_DRUID_ENABLED:-}"\n'
    )
    told = state(project, "dagster", tmp_path / "a folder", MUSIC_PLATFORM_DRUID_FOLDER=str(folder), **variables)
    assert told == [expected]


@pytest.mark.parametrize(
    ("is_up", "variables", "expected"),
    [
        (False, {}, ""),
        (True, {}, "true"),
        (True, {"MUSIC_PLATFORM_SUPERSET_ENABLED": "false"}, "false"),
        (True, {"MUSIC_PLATFORM_DRUID_ENABLED": "false"}, ""),
    ],
)
def test_a_superset_that_was_started_beside_druid_makes_the_dashboards_an_asset(
    project: Path, tmp_path: Path, is_up: bool, variables: dict[str, str], expected: str
) -> None:
    druid, superset = tmp_path / "druid", tmp_path / "superset"
    (druid / "logs").mkdir(parents=True)
    (druid / "logs" / "java.pid").write_text("{}")
    superset.mkdir()
    if is_up:
        (superset / "superset.pid").write_text("{}")
    (project / ".venv" / "bin" / "python").write_text(
        '#!/bin/sh\n[ "$1" = -c ] && exit; printf "%s\\n" "${MUSIC_PLATFORM_SUPERSET_ENABLED:-}"\n'
    )
    places = {"MUSIC_PLATFORM_DRUID_FOLDER": str(druid), "MUSIC_PLATFORM_SUPERSET_HOME": str(superset)}
    assert state(project, "dev", tmp_path / "a folder", **places, **variables) == [expected]


@pytest.mark.parametrize("command", ["dagster", "dg"])
def test_dagsters_commands_end_as_the_platforms_do(project: Path, tmp_path: Path, command: str) -> None:
    (project / ".venv" / "bin" / "python").write_text('#!/bin/sh\n[ "$1" = -c ] && exit; printf "%s\\n" "$*"\n')
    told = state(project, command, tmp_path / "a folder")
    assert told == [f"-m music_platform.cli.process {project}/.venv/bin/{command}"]


@pytest.mark.parametrize(
    ("command", "module"), [("regenerate", "generated_files"), ("screenshots", "screenshots")], ids=lambda value: value
)
def test_what_writes_to_the_repository_knows_no_settings_of_the_shell(
    project: Path, tmp_path: Path, command: str, module: str
) -> None:
    (project / ".venv" / "bin" / "python").write_text(
        '#!/bin/sh\n[ "$1" = -c ] && exit; printf "%s\\n" "$PWD" "$*" "${MUSIC_PLATFORM_LAKE:-}" "${DAGSTER_HOME:-}"\n'
    )
    told = state(project, command, tmp_path / "a folder", MUSIC_PLATFORM_LAKE="lakes/one", DAGSTER_HOME="instance")
    assert told == [str(project), f"-m music_platform_tests.{module}", "", ""]


def test_the_site_is_built_strictly_from_the_locked_packages_of_its_group(project: Path, tmp_path: Path) -> None:
    (project / ".venv" / "bin" / "uv").write_text(_UV + 'case $1 in run) printf "%s\\n" "$*" ;; esac\n')
    [told] = state(project, "docs", tmp_path / "a folder")
    assert told.endswith("--frozen --quiet --isolated --only-group docs mkdocs build --strict")


@pytest.mark.parametrize(
    ("arguments", "expected"), [([], "pytest"), (["-x"], "pytest -x"), (["templates"], "python templates.py")]
)
def test_the_stacks_have_an_environment_of_their_own(
    project: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    tell = 'case $1 in run) printf "%s\\n" "$UV_PROJECT_ENVIRONMENT" "$*" ;; esac\n'
    (project / ".venv" / "bin" / "uv").write_text(_UV + tell)
    environment, told = state(project, "aws", tmp_path / "a folder", arguments=arguments)
    assert environment == f"{project}/deploy/aws/.venv"
    assert told == f"run --directory {project}/deploy/aws --frozen --quiet {expected}"
