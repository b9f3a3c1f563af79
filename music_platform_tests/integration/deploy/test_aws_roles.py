"""The lake's stack on AWS: events go from the collector's role to the platform's tables, and no role may do more than it needs.

What stands in for AWS, and what it leaves out, is in lake_on_moto.py.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import ClientError

from music_platform.lake.landing_layout import errors_key, landed_key
from music_platform.lake.manifest import read_manifest
from music_platform.landing.watch.sqs import SqsNotifications
from music_platform.orchestration.automation.landing_sensor import LandingWatch
from music_platform.partitions import hour_of_key
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.settings import Settings
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.silver import SILVER
from music_platform_tests.conftest import running_s3_server
from music_platform_tests.integration.command_line import HOUR, auth_event
from music_platform_tests.integration.deploy.lake_on_moto import NO_ROLE, REGION, ROLES, LakeOnMoto
from music_platform_tests.places import REPOSITORY

_LANDED = f"lake/{landed_key('auth_events', hour_of_key(HOUR), 'a' * 32)}"
_ERRORS = f"lake/{errors_key(hour_of_key(HOUR), 'b' * 32)}"
_REFUSALS = {"AccessDenied", "AccessDeniedException", "403"}
_NOTIFIED_SECONDS = 20.0


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeOnMoto]:
    """The stack with an object in each part of the buckets."""
    with running_s3_server(tmp_path_factory.mktemp("moto") / "log.txt") as server:
        aws = LakeOnMoto(server)
        s3 = aws.client("s3")
        for key in (_LANDED, "lake/silver/a", "lake/gold/a", "lake/recommendations/a", "logs/a"):
            s3.put_object(Bucket=aws.bucket, Key=key, Body=b"x")
        s3.put_object(Bucket=aws.deep_storage, Key="druid/segments/a", Body=b"x")
        aws.check_permissions()
        yield aws


@pytest.fixture
def new_aws(tmp_path: Path) -> Iterator[LakeOnMoto]:
    """The stack as it is once it is created."""
    with running_s3_server(tmp_path / "log.txt") as server:
        aws = LakeOnMoto(server)
        aws.check_permissions()
        yield aws


_Request = Callable[[LakeOnMoto, str], Any]


def _s3(operation: str, key: str | None = None, *, of: str = "bucket", **arguments: Any) -> _Request:
    """A request for the lake's bucket, or for Druid's with ``of="deep_storage"``."""

    def send(aws: LakeOnMoto, role: str) -> Any:
        place = {"Bucket": getattr(aws, of), **({} if key is None else {"Key": key})}
        return getattr(aws.client("s3", role), operation)(**place, **arguments)

    return send


def _sqs(operation: str, **arguments: Any) -> _Request:
    def send(aws: LakeOnMoto, role: str) -> Any:
        return getattr(aws.client("sqs", role), operation)(QueueUrl=aws.queue_url, **arguments)

    return send


_COLLECTOR, _PLATFORM, _SPARK, _DRUID = ({role} for role in ROLES)
_MATRIX: dict[str, tuple[_Request, set[str]]] = {
    "land events": (_s3("put_object", _LANDED, Body=b"x"), _COLLECTOR | _PLATFORM),
    "land error records": (_s3("put_object", _ERRORS, Body=b"x"), _COLLECTOR | _PLATFORM),
    "land in parts": (_s3("create_multipart_upload", _LANDED), _COLLECTOR | _PLATFORM),
    "read what landed": (_s3("get_object", _LANDED), _PLATFORM | _SPARK),
    "remove what landed": (_s3("delete_object", "lake/landing/b"), _PLATFORM),
    "read silver": (_s3("get_object", "lake/silver/a"), _PLATFORM | _SPARK),
    "ask for silver": (_s3("head_object", "lake/silver/a"), _PLATFORM | _SPARK),
    "read gold": (_s3("get_object", "lake/gold/a"), _PLATFORM | _SPARK | _DRUID),
    "read recommendations": (_s3("get_object", "lake/recommendations/a"), _PLATFORM | _SPARK | _DRUID),
    "write gold": (_s3("put_object", "lake/gold/b", Body=b"x"), _PLATFORM),
    "write gold in parts": (_s3("create_multipart_upload", "lake/gold/b"), _PLATFORM),
    "remove gold": (_s3("delete_object", "lake/gold/b"), _PLATFORM),
    "remove objects of gold at once": (_s3("delete_objects", Delete={"Objects": [{"Key": "lake/gold/b"}]}), _PLATFORM),
    "list the lake": (_s3("list_objects_v2"), _PLATFORM | _SPARK),
    "write a run's log": (_s3("put_object", "logs/b", Body=b"x"), _PLATFORM),
    "read a run's log": (_s3("get_object", "logs/a"), _PLATFORM),
    "write beside the lake": (_s3("put_object", "other/a", Body=b"x"), set()),
    "list Druid's segments": (_s3("list_objects_v2", of="deep_storage"), _DRUID),
    "read Druid's segments": (_s3("get_object", "druid/segments/a", of="deep_storage"), _DRUID),
    "write Druid's segments": (_s3("put_object", "druid/segments/b", of="deep_storage", Body=b"x"), _DRUID),
    "remove Druid's segments": (_s3("delete_object", "druid/segments/b", of="deep_storage"), _DRUID),
    "change who may use the bucket": (_s3("put_bucket_policy", Policy="{}"), set()),
    "stop the versions": (_s3("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}), set()),
    "remove the bucket": (_s3("delete_bucket"), set()),
    "read notifications": (_sqs("receive_message", VisibilityTimeout=0), _PLATFORM),
    "count notifications": (_sqs("get_queue_attributes", AttributeNames=["All"]), _PLATFORM),
    "delete notifications": (
        _sqs("delete_message_batch", Entries=[{"Id": "1", "ReceiptHandle": "none"}]),
        _PLATFORM,
    ),
    "send notifications": (_sqs("send_message", MessageBody="x"), set()),
    "empty the queue": (_sqs("purge_queue"), set()),
}


@pytest.mark.parametrize("role", [*ROLES, NO_ROLE])
@pytest.mark.parametrize("action", _MATRIX)
def test_a_role_may_do_what_it_needs_and_nothing_else(aws: LakeOnMoto, action: str, role: str) -> None:
    request, allowed = _MATRIX[action]
    assert _is_allowed(lambda: request(aws, role)) == (role in allowed)


def _is_allowed(send: Callable[[], Any]) -> bool:
    """Whether the request was let through. Others than refusals are raised."""
    try:
        answer = send()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _REFUSALS:
            return False
        raise
    # Requests for several objects or messages succeed as a whole, with the refusals inside.
    refused = [entry for entry in answer.get("Errors", ()) if entry["Code"] in _REFUSALS]
    return not refused


def test_druid_may_read_the_table_of_each_of_its_datasources(aws: LakeOnMoto) -> None:
    druid = aws.client("s3", "Druid")
    for datasource in DATASOURCES.values():
        aws_key = f"lake/{datasource.contract.path}/a"
        aws.client("s3", "Platform").put_object(Bucket=aws.bucket, Key=aws_key, Body=b"x")
        assert druid.get_object(Bucket=aws.bucket, Key=aws_key)["Body"].read() == b"x"


def test_what_the_collector_lands_becomes_tables_by_the_platforms_role(
    new_aws: LakeOnMoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cluster: the object notifies the queue, the sensor reads it there and asks for the hour, a run makes it."""
    aws = new_aws
    for name in [name for name in os.environ if name.startswith(("AWS_", "MUSIC_PLATFORM_"))]:
        monkeypatch.delenv(name)
    with aws.pod_identity_agent("Platform", tmp_path / "token") as pod:
        for name, value in {**pod, **_settings_of_pod(aws)}.items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        watch = LandingWatch(settings, SqsNotifications(settings))
        instance = dg.DagsterInstance.ephemeral()
        now = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)  # long after the hour: the window does not list it
        cursor = watch.tick(dg.build_sensor_context(instance=instance), now).cursor

        lines = "".join(f"{auth_event(number)}\n" for number in range(20))
        aws.client("s3", "Collector").put_object(Bucket=aws.bucket, Key=_LANDED, Body=gzip.compress(lines.encode()))
        _wait_for_messages(
            aws, 1, ["ApproximateNumberOfMessages"]
        )  # S3's own test messages were read by the first tick
        ticked = watch.tick(dg.build_sensor_context(instance=instance, cursor=cursor), now)
        assert [request.partition_key for request in ticked.run_requests or []] == [HOUR]
        watch.tick(dg.build_sensor_context(instance=instance, cursor=ticked.cursor), now)
        _wait_for_messages(aws, 0, ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"])

        _run_the_hour(tmp_path)
        store = watch.lake.store
        made = {
            contract.path: read_manifest(store, contract, HOUR) for contract in (SILVER["auth_events"], FACT_STREAMS)
        }
        assert made["silver/auth_events"] is not None
        assert made["silver/auth_events"][0].rows == 20
        assert made[FACT_STREAMS.path] is not None


def _settings_of_pod(aws: LakeOnMoto) -> dict[str, str]:
    return {
        "MUSIC_PLATFORM_LAKE": f"s3://{aws.bucket}/lake",
        "MUSIC_PLATFORM_S3_REGION": REGION,
        "MUSIC_PLATFORM_S3_ENDPOINT": aws.endpoint,
        "MUSIC_PLATFORM_LANDING_QUEUE_URL": aws.queue_url,
        "MUSIC_PLATFORM_LANDING_QUEUE_ENDPOINT": aws.endpoint,
        "MUSIC_PLATFORM_LANDING_QUIET_SECONDS": "0",
        "MUSIC_PLATFORM_S3_RETRY_SECONDS": "10",
    }


def _wait_for_messages(aws: LakeOnMoto, expected: int, names: list[str]) -> None:
    """Wait until these attributes of the queue add up to so many messages."""
    deadline = time.monotonic() + _NOTIFIED_SECONDS
    while True:
        aws.check_permissions(after=2)  # of the administrator, who has none
        attributes = aws.client("sqs").get_queue_attributes(QueueUrl=aws.queue_url, AttributeNames=names)["Attributes"]
        aws.check_permissions()
        found = sum(int(attributes[name]) for name in names)
        if found == expected:
            return
        assert time.monotonic() < deadline, f"{found} messages in the queue, not {expected}"
        time.sleep(0.1)


def _run_the_hour(folder: Path) -> None:
    """All hourly tables, in a process of its own: the engine takes its credentials from the environment it starts in."""
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", home)
    ran = subprocess.run(
        [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "music_platform.definitions",
         "--select", "tag:cadence=hourly and not group:landing", "--partition", HOUR],
        env={**os.environ, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
