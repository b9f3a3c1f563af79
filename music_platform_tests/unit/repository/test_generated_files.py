"""Every generated file that is committed is what its source gives today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from music_platform.settings import Settings
from music_platform_tests import generated_files
from music_platform_tests.generated_files import COMMAND, GeneratedFile, leftover_files, main
from music_platform_tests.settings_page import render_settings_page

_FILES = generated_files.generated_files()


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.name)
def test_a_generated_file_is_current(file: GeneratedFile) -> None:
    difference = file.difference()
    assert not difference, f"{file.name} is stale; if the change is meant, run: {COMMAND}\n{difference}"


def test_nothing_is_left_of_what_is_gone() -> None:
    assert leftover_files() == [], f"run: {COMMAND}"


@pytest.fixture
def one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GeneratedFile:
    """A repository with one generated file, which is stale, and a spec that belongs to nothing."""
    file = GeneratedFile(tmp_path / "docs" / "page.md", lambda: "new\n")
    (tmp_path / "gone.json").write_text("{}")
    monkeypatch.setattr(generated_files, "REPOSITORY", tmp_path)
    monkeypatch.setattr(generated_files, "_DRUID_SPECS", tmp_path)
    monkeypatch.setattr(generated_files, "generated_files", lambda: [file])
    return file


def test_regenerate_writes_what_is_stale_and_removes_what_is_left(
    one_file: GeneratedFile, capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    assert one_file.path.read_text() == "new\n"
    assert not (one_file.path.parents[1] / "gone.json").exists()
    assert capsys.readouterr().out == "wrote docs/page.md\nremoved gone.json\n"
    main([])
    assert capsys.readouterr().out == "every generated file is current\n"
    main(["--check"])


def test_check_names_what_is_stale_and_writes_nothing(one_file: GeneratedFile) -> None:
    one_file.path.parent.mkdir()
    one_file.path.write_text("old\n")
    with pytest.raises(SystemExit) as ended:
        main(["--check"])
    assert re.findall(r"^[-+]\w+|^.*stale|^.*nothing.*|^run: .*", str(ended.value.code), re.MULTILINE) == [
        "-old", "+new", "docs/page.md is stale", "gone.json belongs to nothing that exists", f"run: {COMMAND}",
    ]  # fmt: skip
    assert one_file.path.read_text() == "old\n"


def test_the_page_of_settings_has_each_setting_once() -> None:
    shown = re.findall(r"^\| `MUSIC_PLATFORM_(\w+)`", render_settings_page(), re.MULTILINE)
    assert sorted(shown) == sorted(name.upper() for name in Settings.model_fields)
