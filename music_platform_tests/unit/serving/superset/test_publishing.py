"""A bundle with a fault is refused before Superset is asked; Superset reaches Druid by the settings of Druid."""

from __future__ import annotations

import pytest

from music_platform.serving.superset.bundle import bundle_files
from music_platform.serving.superset.client import SupersetResource
from music_platform.serving.superset.connection import database_uri
from music_platform.serving.superset.publishing import InvalidBundleError, publish
from music_platform.settings import Settings


def test_a_bundle_with_a_fault_is_refused_by_file_and_fault() -> None:
    files = bundle_files("druid://127.0.0.1:8888/druid/v2/sql/")
    files["datasets/Druid/streams.yaml"] = files["datasets/Druid/streams.yaml"].replace('"song_key"', '"sng_key"')
    nobody = SupersetResource("http://127.0.0.1:9", "admin", "unused")  # asking it would be another error
    with pytest.raises(InvalidBundleError, match=r"nothing was imported.*\n.*streams.yaml: songs .* column sng_key"):
        publish(nobody, files)


@pytest.mark.parametrize(
    ("settings", "uri"),
    [
        ({}, "druid://127.0.0.1:8888/druid/v2/sql/"),
        ({"druid_port_offset": 100}, "druid://127.0.0.1:8988/druid/v2/sql/"),
        (
            {"druid_url": "https://druid.example.org", "druid_user": "a@b", "druid_password": "p/w"},
            "druid+https://a%40b:p%2Fw@druid.example.org:443/druid/v2/sql/",
        ),
        ({"superset_database_uri": "druid://elsewhere:1/druid/v2/sql/"}, "druid://elsewhere:1/druid/v2/sql/"),
    ],
)
def test_superset_reaches_druid_by_the_settings(settings: dict[str, str], uri: str) -> None:
    assert database_uri(Settings.model_validate(settings)) == uri


def test_superset_shows_nothing_without_druid() -> None:
    with pytest.raises(ValueError, match="druid_enabled is not set"):
        Settings(superset_enabled=True)
