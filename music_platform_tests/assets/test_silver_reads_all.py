"""Silver takes every bronze row that the manifest promises, or publishes nothing."""

from __future__ import annotations

import pytest

from music_platform.errors import ManifestCorruptError
from music_platform.lake.partition_sets import StoredPartitions
from music_platform_tests.assets.local_platform import HOUR, NEXT_HOUR, LocalPlatform, good_record

EVENT_TYPE = "auth_events"


def test_an_engine_that_reads_too_little_is_found_out(platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    for partition in (HOUR, NEXT_HOUR):
        platform.land_records(
            EVENT_TYPE, partition, [good_record(EVENT_TYPE, partition, itemInSession=item) for item in range(4)]
        )
    platform.run(HOUR, NEXT_HOUR)
    before = platform.manifests()
    read = StoredPartitions.read
    monkeypatch.setattr(
        StoredPartitions, "read", lambda self, partitions=None: read(self, partitions).where("itemInSession <> 2")
    )
    with pytest.raises(
        ManifestCorruptError, match=f"bronze/{EVENT_TYPE} partition {HOUR}: .* 4 rows, the engine read 3"
    ):
        platform.run(HOUR, NEXT_HOUR, tables=[f"silver/{EVENT_TYPE}", f"quarantine/{EVENT_TYPE}"])
    assert platform.manifests() == before
