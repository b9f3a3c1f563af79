"""A whole platform in a temporary folder: lands lines, runs the assets on an ephemeral Dagster instance, reads the tables."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from music_platform.definitions import build_definitions
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.manifest import DataFile, Manifest, manifest_key, read_manifest
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform.tables.schemas import arrow_schema
from music_platform_tests.assets.execution import execute

HOUR = "2026-11-01-05:00"
NEXT_HOUR = "2026-11-01-06:00"
EMPTY_HOUR = "2026-11-01-07:00"

_VALUES: dict[str, Any] = {
    "sessionId": 7, "page": "NextSong", "auth": "Logged In", "method": "PUT", "status": 200, "level": "paid",
    "itemInSession": 3, "city": "Austin", "zip": "73301", "state": "TX", "userAgent": "curl/8", "lon": -97.7, "lat": 30.3,
    "userId": 5, "lastName": "Doe", "firstName": "Jane", "gender": "F", "registration": 1_790_000_000_000,
    "artist": "Pixies", "song": "Debaser", "duration": 171.6, "success": True,
}  # fmt: skip


def milliseconds(partition: str, *, minute: int = 10) -> int:
    """A moment within an hour as the producers write it."""
    return int(hour_of_key(partition).timestamp() * 1000) + minute * 60_000


def good_record(event_type: str, partition: str = HOUR, **changes: Any) -> dict[str, Any]:
    """A record of that hour that breaks no rule, with some values changed; None leaves the key out."""
    values = {"ts": milliseconds(partition)} | _VALUES
    record = {key: values[key] for key in EVENT_CONTRACTS[event_type].keys if key not in ("tag", "location")} | changes
    return {key: value for key, value in record.items() if value is not None}


def to_line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def gzip_lines(lines: Iterable[bytes]) -> bytes:
    return gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)


@dataclass
class LocalPlatform:
    """The definitions over one local lake, and an instance that lives as long as the test."""

    settings: Settings
    resource_overrides: dict[str, Any] = field(default_factory=dict)
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    def __post_init__(self) -> None:
        self.lake = Lake(self.settings)

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings, resource_overrides=self.resource_overrides)

    def land(self, event_type: str, partition: str, content: bytes, *, chunk: int | None = None) -> str:
        """Put an object where the collector would and return its key; the chunk id orders objects of an hour."""
        chunk_id = hashlib.md5(content).hexdigest() if chunk is None else f"{chunk:032x}"
        key = landed_key(event_type, hour_of_key(partition), chunk_id)
        self.lake.store.put(key, content)
        return key

    def land_records(self, event_type: str, partition: str, records: Sequence[dict[str, Any]]) -> str:
        return self.land(event_type, partition, gzip_lines(map(to_line, records)))

    def run(
        self,
        first: str,
        last: str | None = None,
        *,
        tables: Sequence[str] = (),
        raise_on_error: bool = True,
        tags: Mapping[str, str] | None = None,
        run_config: Mapping[str, Any] | None = None,
    ) -> dg.JobExecutionResult:
        """Materialize tables (default: the whole spine) of one hour, or of a range in one run."""
        return execute(
            self.definitions.resolve_job_def("hourly_spine"),
            self.instance,
            first,
            last,
            tables=tables,
            tags=tags,
            run_config=run_config,
            raise_on_error=raise_on_error,
        )

    def run_day(
        self,
        first: str,
        last: str | None = None,
        *,
        tables: Sequence[str] = (),
        raise_on_error: bool = True,
        tags: Mapping[str, str] | None = None,
    ) -> dg.JobExecutionResult:
        """Materialize daily tables (default: all) of one day, or of a range in one run."""
        job = self.definitions.resolve_job_def("daily_tier")
        return execute(job, self.instance, first, last, tables=tables, tags=tags, raise_on_error=raise_on_error)

    def manifest(self, table: str, partition: str) -> Manifest:
        found = read_manifest(self.lake.store, TABLES[table], partition)
        assert found is not None, f"{table} {partition} was never published"
        return found[0]

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Every manifest in the lake by its key, without what belongs to the run that wrote it."""
        found = {}
        for stored in self.lake.store.list(""):
            if stored.key.endswith("/_SUCCESS"):
                content = json.loads(self.lake.store.get(stored.key) or b"")
                found[stored.key] = {name: content[name] for name in content if name not in ("run_id", "created_at")}
        return found

    def data_versions(self) -> dict[tuple[str, str], tuple[str, int]]:
        """Data version and rows of every published table and partition."""
        return {
            (content["table"], content["partition"]): (content["data_version"], content["rows"])
            for content in self.manifests().values()
        }

    def table(self, table: str, partition: str) -> pa.Table:
        """The rows of a partition, read from the files that its manifest names."""
        parts = [pq.read_table(self.lake.store.open(key)) for key in self.manifest(table, partition).keys]
        return pa.concat_tables(parts) if parts else arrow_schema(TABLES[table].columns).empty_table()

    def rows(self, table: str, partition: str) -> list[dict[str, Any]]:
        return self.table(table, partition).to_pylist()

    def tamper(self, table: str, partition: str, rows: pa.Table, *, keep_manifest_rows: bool = False) -> None:
        """Replace a partition's one file by these rows and make its manifest agree, as a defect of a writer would."""
        manifest = self.manifest(table, partition)
        [file], [key] = manifest.files, manifest.keys
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        content = sink.getvalue().to_pybytes()
        self.lake.store.put(key, content)
        told = DataFile(
            file.name,
            file.rows if keep_manifest_rows else rows.num_rows,
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
        self.lake.store.put(manifest_key(table, partition), replace(manifest, files=(told,)).to_json())


def evaluations(result: dg.JobExecutionResult) -> dict[str, dg.AssetCheckEvaluation]:
    """What the checks of a run found, by `<table> <check>`."""
    return {
        f"{'/'.join(evaluation.asset_key.path)} {evaluation.check_name}": evaluation
        for evaluation in result.get_asset_check_evaluations()
    }


def materialized(result: dg.JobExecutionResult) -> set[str]:
    """The tables that a run materialized."""
    return {
        "/".join(event.asset_key.path)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key is not None
    }


def counts(platform: LocalPlatform, event_type: str, partition: str) -> dict[str, int]:
    """Rows of an hour by where they went."""
    silver = platform.manifest(f"silver/{event_type}", partition)
    return {
        "bronze": platform.manifest(f"bronze/{event_type}", partition).rows,
        "silver": silver.rows,
        "duplicates": silver.counts.get("duplicates", 0),
        "quarantine": platform.manifest(f"quarantine/{event_type}", partition).rows,
    }
