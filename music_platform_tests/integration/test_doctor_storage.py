"""What music-platform doctor finds wrong with the lake of a deployment: rights on the bucket, queue, engine.

Buckets, queues and identities are those of a real server (moto) that enforces IAM policies.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr

from music_platform.cli import server_examinations, storage_examinations
from music_platform.cli.finding import State
from music_platform.lake import engine_look
from music_platform.lake.engine_look import Worker
from music_platform.lake.lake import Lake
from music_platform.settings import Settings
from music_platform_tests.conftest import S3Server, running_s3_server
from music_platform_tests.integration.test_doctor_command import only

_LAYERS = ("bronze", "silver", "quarantine", "gold", "recommendations")
_Statement = dict[str, Any]


@dataclass(frozen=True)
class Guarded:
    """A server that asks what each identity may do, with the keys of one that may do everything."""

    server: S3Server
    admin: dict[str, Any]

    def client(self, service: str) -> Any:
        return boto3.client(service, **self.admin)  # pyright: ignore

    def new_bucket(self) -> str:
        name = f"bucket-{len(self.client('s3').list_buckets()['Buckets'])}"
        self.client("s3").create_bucket(Bucket=name)
        return name

    def settings(self, bucket: str, statements: list[_Statement], **others: Any) -> Settings:
        """Settings of a new identity with these statements of a policy."""
        iam, name = self.client("iam"), f"user-{len(self.client('iam').list_users()['Users'])}"
        iam.create_user(UserName=name)
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | statement for statement in statements]}
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Settings(
            lake=f"s3://{bucket}/lake",
            s3_endpoint=self.server.endpoint,
            s3_access_key_id=key["AccessKeyId"],
            s3_secret_access_key=SecretStr(key["SecretAccessKey"]),
            s3_retry_seconds=5.0,
            **others,
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    log = tmp_path_factory.mktemp("guarded") / "log.txt"
    with running_s3_server(log, {"INITIAL_NO_AUTH_ACTION_COUNT": "1000000"}) as server:
        place: dict[str, Any] = {"endpoint_url": server.endpoint, "region_name": server.region}
        iam = boto3.client("iam", aws_access_key_id="none", aws_secret_access_key="none", **place)
        iam.create_user(UserName="admin")
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="admin", PolicyName="everything", PolicyDocument=json.dumps(everything))
        key = iam.create_access_key(UserName="admin")["AccessKey"]
        urllib.request.urlopen(
            urllib.request.Request(
                f"{server.endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}
            )
        ).close()
        keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        yield Guarded(server, {**place, **keys})


def _rights(bucket: str, **without: str) -> list[_Statement]:
    """What the platform needs on a lake; ``without``: an action to the folder in which it is left out."""
    folders = ("landing", "errors", *_LAYERS)
    arn = f"arn:aws:s3:::{bucket}"
    statements: list[_Statement] = []
    for action in ("GetObject", "PutObject"):
        kept = [f"{arn}/lake/{folder}/*" for folder in folders if without.get(action) != folder]
        statements.append({"Action": f"s3:{action}", "Resource": kept})
    if "ListBucket" not in without:
        statements.append({"Action": "s3:ListBucket", "Resource": arn})
    if "DeleteObject" not in without:
        # AWS asks for the objects' right; moto, where several are deleted at once, for the bucket's.
        statements.append({"Action": "s3:DeleteObject", "Resource": [arn, f"{arn}/lake/*"]})
    return statements


def test_an_identity_with_the_rights_of_the_platform(guarded: Guarded) -> None:
    bucket = guarded.new_bucket()
    settings = guarded.settings(bucket, _rights(bucket))
    finding = only(storage_examinations.bucket_rights(settings))
    assert finding.state is State.OK
    assert finding.found == f"lists and reads landing, errors; lists, reads, writes and removes in {', '.join(_LAYERS)}"
    assert list(Lake(settings).store.list("")) == []


@pytest.mark.parametrize(
    ("without", "found"),
    [
        ({"GetObject": "landing"}, ["s3:GetObject on landing/"]),
        ({"PutObject": "gold"}, ["s3:PutObject on gold/"]),
        ({"GetObject": "errors", "PutObject": "silver"}, ["s3:GetObject on errors/", "s3:PutObject on silver/"]),
        ({"ListBucket": "all"}, [f"s3:ListBucket on {folder}/" for folder in ("landing", "errors", *_LAYERS)]),
        ({"DeleteObject": "all"}, [f"s3:DeleteObject on {folder}/" for folder in _LAYERS]),
    ],
)
def test_each_right_that_is_missing_is_named(guarded: Guarded, without: dict[str, str], found: list[str]) -> None:
    bucket = guarded.new_bucket()
    findings = storage_examinations.bucket_rights(guarded.settings(bucket, _rights(bucket, **without)))
    assert {finding.state for finding in findings} == {State.FAILURE}
    assert [finding.found for finding in findings] == [f"the identity has no {right}" for right in found]


def test_rights_on_a_folder_or_on_no_bucket_are_not_examined(
    guarded: Guarded, local_settings: Callable[..., Settings]
) -> None:
    assert storage_examinations.bucket_rights(local_settings()) == []
    everything = [{"Action": "s3:*", "Resource": "*"}]
    finding = only(storage_examinations.bucket_rights(guarded.settings("no-bucket", everything)))
    assert (finding.state, finding.advice) == (State.WARNING, "See the lake.")
    assert "there is no bucket 'no-bucket'" in finding.found


_RECEIVE, _DELETE, _LOOK = "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"


def _with_queue(guarded: Guarded, actions: tuple[str, ...], *, dead: int | None = 0, messages: int = 0) -> Settings:
    """An identity and a queue on which it may do this; ``dead``: messages in its queue of dead letters, None without one."""
    sqs, name = guarded.client("sqs"), f"landed-{guarded.new_bucket()}"
    attributes: dict[str, str] = {}
    if dead is not None:
        dead_url = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
        for _ in range(dead):
            sqs.send_message(QueueUrl=dead_url, MessageBody="{}")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    for _ in range(messages):
        sqs.send_message(QueueUrl=url, MessageBody="{}")
    statements = [{"Action": list(actions), "Resource": "*"}] if actions else [{"Action": "s3:Get*", "Resource": "*"}]
    return guarded.settings("bucket", statements, landing_queue_url=url, landing_queue_endpoint=guarded.server.endpoint)


@pytest.mark.parametrize(
    ("actions", "others", "state", "found"),
    [
        ((_RECEIVE, _DELETE, _LOOK), {}, State.OK, "read; 0 messages wait, 0 are being read; no dead letters"),
        ((_RECEIVE, _DELETE, _LOOK), {"messages": 3}, State.OK, "read; 3 messages wait, 0 are being read"),
        ((_RECEIVE, _DELETE, _LOOK), {"dead": 2}, State.WARNING, "2 dead letters"),
        ((_RECEIVE, _DELETE, _LOOK), {"dead": None}, State.WARNING, "no queue of dead letters"),
        ((_RECEIVE, _DELETE), {}, State.WARNING, "its depth and dead letters are not known"),
        ((_DELETE, _LOOK), {}, State.FAILURE, "cannot read the queue"),
        ((_RECEIVE, _LOOK), {}, State.FAILURE, "cannot delete from the queue"),
        ((), {}, State.FAILURE, "cannot read the queue"),
    ],
)
def test_the_queue_of_notifications(
    guarded: Guarded, actions: tuple[str, ...], others: dict[str, Any], state: State, found: str
) -> None:
    settings = _with_queue(guarded, actions, **others)
    finding = only(storage_examinations.landing_queue(settings))
    assert finding.state is state, finding
    assert found in finding.found
    assert bool(finding.advice) == (state is not State.OK)
    secret = settings.s3_secret_access_key.get_secret_value()
    assert secret not in finding.found + finding.advice


def test_a_queue_that_does_not_exist_and_none(guarded: Guarded, local_settings: Callable[..., Settings]) -> None:
    assert storage_examinations.landing_queue(local_settings()) == []
    settings = _with_queue(guarded, (_RECEIVE, _DELETE, _LOOK))
    gone = settings.model_copy(update={"landing_queue_url": f"{settings.landing_queue_url}-gone"})
    finding = only(storage_examinations.landing_queue(gone))
    assert finding.state is State.FAILURE
    assert "MUSIC_PLATFORM_LANDING_QUEUE_URL" in finding.found


def test_the_embedded_engine_reaches_a_lake(local_settings: Callable[..., Settings]) -> None:
    settings = local_settings()
    lake = Path(settings.lake)
    versions = only(server_examinations.engine(settings))  # there is no lake yet, and none is made
    assert versions.state is State.OK
    assert versions.found.startswith("Sail 0.")
    assert not lake.exists()
    lake.mkdir()
    assert [finding.state for finding in server_examinations.engine(settings)] == [State.OK, State.OK]
    assert [path.name for path in lake.iterdir() if path.name != ".publish.lock"] == []


def test_an_engine_that_does_not_reach_the_lake(s3_settings: Callable[..., Settings]) -> None:
    findings = server_examinations.engine(s3_settings(lake="s3://no-such-bucket/lake", s3_retry_seconds=1.0))
    assert [finding.state for finding in findings] == [State.OK, State.FAILURE]
    assert "the lake cannot be written or read there" in findings[1].found
    assert "no bucket 'no-such-bucket'" in findings[1].found


def test_an_engine_that_is_not_there(local_settings: Callable[..., Settings]) -> None:
    finding = only(server_examinations.engine(local_settings(spark_remote="sc://127.0.0.1:1")))
    assert finding.state is State.FAILURE
    assert "no Spark session at sc://127.0.0.1:1" in finding.found


@pytest.mark.parametrize(
    ("worker", "found"),
    [
        (Worker("executor-1", "3.11.2", ""), "executor-1 has no music-platform, here is "),
        (Worker("executor-1", "3.11.2", "0.0.9"), "executor-1 has music-platform 0.0.9, here is "),
        (Worker("executor-1", "3.4.10", "0.1.0"), "executor-1 has Python 3.4.10, here is "),
    ],
)
def test_a_worker_of_another_release(
    local_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, worker: Worker, found: str
) -> None:
    monkeypatch.setattr(engine_look, "workers_of", lambda _: [worker])
    finding = only(server_examinations.engine(local_settings()))
    assert finding.state is State.FAILURE
    assert found in finding.found
    assert "image of this release" in finding.advice


def test_a_spark_of_another_release(local_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_look, "engine_version", lambda _: "3.5.5")
    finding = only(server_examinations.engine(local_settings()))
    assert finding.state is State.FAILURE
    assert finding.found.startswith("Spark 3.5.5, and PySpark here is 4.")
