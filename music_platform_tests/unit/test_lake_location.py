"""A place of the lake, taken apart."""

from __future__ import annotations

import pytest

from music_platform.lake_location import LakeLocation


@pytest.mark.parametrize(
    ("text", "parts", "key_prefix"),
    [
        ("s3://lake", ("s3", "lake", ""), ""),
        ("s3://lake/", ("s3", "lake", ""), ""),
        ("s3://lake/music/raw/", ("s3", "lake", "music/raw"), "music/raw/"),
        ("/data/lake", ("file", "", "/data/lake"), "/data/lake/"),
        ("lake", ("file", "", "lake"), "lake/"),
    ],
)
def test_parts_of_a_place(text: str, parts: tuple[str, str, str], key_prefix: str) -> None:
    place = LakeLocation.parse(text)
    assert (place.scheme, place.bucket, place.prefix) == parts
    assert place.key_prefix == key_prefix
    assert place.is_local == (parts[0] == "file")


@pytest.mark.parametrize("text", ["gs://lake/music", "http://lake", "S3://lake"])
def test_another_store_is_refused_by_its_scheme(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither s3://bucket/prefix nor a local folder"):
        LakeLocation.parse(text)


@pytest.mark.parametrize("text", ["s3://", "s3:///prefix"])
def test_a_bucket_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no bucket; write s3://bucket/prefix"):
        LakeLocation.parse(text)
