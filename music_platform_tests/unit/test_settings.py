"""Settings that cannot be meant are refused, and of AWS's own variables only those count that may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from music_platform.settings import Settings

_SHELL = {
    "AWS_ACCESS_KEY_ID": "shell-key",
    "AWS_SECRET_ACCESS_KEY": "shell-secret",
    "AWS_SESSION_TOKEN": "shell-token",
    "AWS_SKIP_SIGNATURE": "true",
}


@pytest.mark.parametrize("lake", ["/lakes/{}", "s3://bucket/{}"])
@pytest.mark.parametrize("name", ["a*", "a?", "[a]", "{a,b}", "a]", "a}"])
def test_a_lake_that_is_a_pattern_to_the_engine_is_refused(lake: str, name: str) -> None:
    with pytest.raises(ValidationError, match=r"with which the engine would read other objects or none"):
        Settings(lake=lake.replace("{}", name))


def test_a_folder_below_a_pattern_is_refused_also_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "[a]"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MUSIC_PLATFORM_LAKE", raising=False)
    for make in (Settings, lambda: Settings(lake="lake")):
        with pytest.raises(ValidationError, match=r"\[a\].* has \[ \]"):
            make()


def test_a_number_sign_ends_the_url_of_a_bucket_but_no_folder() -> None:
    with pytest.raises(ValidationError, match="has #"):
        Settings(lake="s3://bucket/a#b")
    assert Settings(lake="/lakes/a#b").lake == "/lakes/a#b"


@pytest.mark.parametrize("lake", ["/lakes/a b+c=d,e%f", "s3://bucket/a b+c=d,e"])
def test_other_characters_are_allowed(lake: str) -> None:
    assert Settings(lake=lake).lake == lake


@pytest.mark.parametrize(("lake", "told"), [("s3:///", "names no bucket"), ("gs://bucket", "is neither s3://")])
def test_a_lake_of_another_kind_is_refused(lake: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings(lake=lake)


def _exported(monkeypatch: pytest.MonkeyPatch, shell: dict[str, str], settings: Settings) -> dict[str, str]:
    """The AWS_* variables after the export, of a process that was started with those of a shell."""
    environment = dict(shell)
    monkeypatch.setattr(os, "environ", environment)
    settings.export_engine_environment()
    monkeypatch.undo()
    return {name: value for name, value in environment.items() if name.startswith("AWS_")}


def test_with_an_access_key_no_credentials_of_the_shell_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(lake="s3://bucket/lake", s3_access_key_id="key", s3_secret_access_key=SecretStr("secret"))
    exported = _exported(monkeypatch, _SHELL, settings)
    assert exported["AWS_ACCESS_KEY_ID"] == "key"
    assert exported["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert not any("shell" in value for value in exported.values())
    assert "AWS_SESSION_TOKEN" not in exported
    assert "AWS_SKIP_SIGNATURE" not in exported


def test_without_an_access_key_the_shells_credentials_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = _exported(monkeypatch, _SHELL, Settings(lake="s3://bucket/lake"))
    assert exported.items() >= _SHELL.items()


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(
    ("configured", "expected"),
    [("", "https://s3.eu-central-1.amazonaws.com"), ("http://minio:9000", "http://minio:9000")],
)
def test_no_endpoint_of_the_shell_reaches_the_engine(
    monkeypatch: pytest.MonkeyPatch, variable: str, configured: str, expected: str
) -> None:
    settings = Settings(lake="s3://bucket/lake", s3_region="eu-central-1", s3_endpoint=configured)
    exported = _exported(monkeypatch, {variable: "http://shell"}, settings)
    assert exported["AWS_ENDPOINT_URL_S3"] == expected  # the engine heeds it above the other two
    assert exported["AWS_ALLOW_HTTP"] == str(expected.startswith("http:")).lower()


def test_an_empty_endpoint_is_that_of_aws_also_to_the_object_store() -> None:
    options = Settings(lake="s3://bucket/lake", s3_region="eu-central-1").object_store_options()
    assert options["endpoint"] == "https://s3.eu-central-1.amazonaws.com"


def test_a_local_lake_leaves_the_shells_variables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = {**_SHELL, "AWS_ENDPOINT_URL": "http://shell"}
    assert _exported(monkeypatch, shell, Settings(lake="/lakes/a")) == shell


def test_names_of_the_ui_are_exact_and_their_ports_do_not_count() -> None:
    settings = Settings(ui_allowed_hosts=" Dagster.Example.org, dagster:8443,[2001:db8::1]:3000,, ")
    assert settings.ui_hosts == ["dagster.example.org", "dagster", "2001:db8::1"]
    assert Settings().ui_hosts == []


@pytest.mark.parametrize("host", ["*", "*.example.org", "https://example.org", "example.org/dagster", "a b", "[x]"])
def test_what_is_no_name_of_the_ui_is_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="is no host name"):
        Settings(ui_allowed_hosts=f"localhost,{host}")
