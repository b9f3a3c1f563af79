"""What an engine's error is told as."""

from __future__ import annotations

import pytest

from music_platform.errors import (
    ContractError,
    LandedObjectGoneError,
    MissingFileError,
    MusicPlatformError,
    platform_error_of,
)


@pytest.mark.parametrize(
    ("text", "error_type", "told"),
    [
        ("x\nmusic_platform.errors.ContractError: silver/a is wrong\n", ContractError, "silver/a is wrong"),
        (
            "\nmusic_platform.errors.LandedObjectGoneError: 'a.json.gz' is gone",
            LandedObjectGoneError,
            "'a.json.gz' is gone",
        ),
        ("\nModuleNotFoundError: No module named 'music_platform'", MusicPlatformError, "workers lack a package"),
        ("job failed\nObject at location /lake/silver/part-1.parquet not found: x", MissingFileError, "part-1.parquet"),
        ("[FAILED_READ_FILE] file:/a/part-2.parquet does not exist", MissingFileError, "part-2.parquet"),
    ],
)
def test_errors_are_reported_by_what_is_wrong(text: str, error_type: type[Exception], told: str) -> None:
    found = platform_error_of(RuntimeError(text))
    assert type(found) is error_type
    assert told in str(found)


@pytest.mark.parametrize(
    "text", ["FileNotFoundError: landed object 'x'", "TableNotFound: a", "No such file or directory: /etc/x"]
)
def test_other_errors_stay_as_they_are(text: str) -> None:
    error = RuntimeError(text)
    assert platform_error_of(error) is error
