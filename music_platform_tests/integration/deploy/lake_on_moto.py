"""The lake's stack, created on a server that stands in for AWS (moto) and checks the permissions of each request.

moto's CloudFormation makes the buckets, the queues with their dead letters, and the roles with their policies. It says that it
made the rest and leaves it out: of a bucket its versioning, lifecycle, notifications, ownership, block of public access and
policy; of a queue its policy; associations of pods. ``LakeOnMoto`` sets versioning and notifications by S3's own interface, with
the template's values. So these are not tested here: conditions of bucket and queue policies (TLS alone), trust of the roles,
lifecycle, the association of a role with a pod. A pod's credentials come from a stand-in of the agent of EKS Pod Identity.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import boto3
from botocore.config import Config

from music_platform_tests.conftest import S3Server
from music_platform_tests.places import REPOSITORY

TEMPLATE = REPOSITORY / "deploy" / "aws" / "templates" / "lake.json"
REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's
ROLES = ("Collector", "Platform", "Spark", "Druid")
NO_ROLE = "Superset"
"""A pod to which the stack gives no role. moto does not answer all requests without credentials: a user without permissions
stands in for it.
"""
_STACK = "music-platform-lake"
_NEVER = 1_000_000  # requests before moto checks permissions
_AGENT_TOKEN = "token-of-a-pod"


class LakeOnMoto:
    """The stack and its outputs. Clients of an administrator work while nothing is checked, those of roles also after."""

    def __init__(self, server: S3Server) -> None:
        self.endpoint = server.endpoint
        self.template = json.loads(TEMPLATE.read_text())
        self._administrator = {"aws_access_key_id": "administrator", "aws_secret_access_key": "administrator"}
        self.check_permissions(after=_NEVER)
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName=_STACK,
            TemplateBody=json.dumps(self.template),
            Parameters=[{"ParameterKey": "ClusterName", "ParameterValue": "cluster"}],
            Capabilities=["CAPABILITY_IAM"],
        )
        [stack] = formation.describe_stacks(StackName=_STACK)["Stacks"]
        self.outputs: dict[str, str] = {found["OutputKey"]: found["OutputValue"] for found in stack["Outputs"]}
        self._physical = {
            found["LogicalResourceId"]: found["PhysicalResourceId"]
            for found in formation.describe_stack_resources(StackName=_STACK)["StackResources"]
            if "LogicalResourceId" in found
        }
        self.bucket = self.outputs["LakeBucket"]
        self.deep_storage = self.outputs["DeepStorageBucket"]
        self.queue_url = self.outputs["LandingQueueUrl"].replace(f"https://sqs.{REGION}.amazonaws.com", self.endpoint)
        self._set_what_moto_leaves_out()
        self._allow_what_moto_asks_beyond_aws()
        self.credentials = {role: self._credentials(role) for role in ROLES} | {NO_ROLE: self._credentials_of_a_user()}

    def check_permissions(self, *, after: int = 0) -> None:
        """Have moto check permissions from the given number of requests on."""
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/reset-auth", str(after).encode(), {"Content-Type": "text/plain"}, method="POST"
        )
        urllib.request.urlopen(request).close()

    def client(self, service: str, role: str | None = None) -> Any:
        """A client of a role, or by default of the administrator."""
        config = Config(retries={"max_attempts": 1})
        credentials = self._administrator if role is None else self.credentials[role]
        make_client: Any = boto3.client  # its type knows services by their literal names
        return make_client(service, region_name=REGION, endpoint_url=self.endpoint, config=config, **credentials)

    def declared(self, kind: str) -> dict[str, dict[str, Any]]:
        """The template's resources of a kind: their properties by logical name."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind
        }

    def _set_what_moto_leaves_out(self) -> None:
        s3 = self.client("s3")
        for name, properties in self.declared("AWS::S3::Bucket").items():
            bucket = self._physical[name]
            if "VersioningConfiguration" in properties:
                s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=properties["VersioningConfiguration"])
            if "NotificationConfiguration" in properties:
                queues = [
                    {
                        "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self._queue_name(rule['Queue'])}",
                        "Events": [rule["Event"]],
                        "Filter": {"Key": {"FilterRules": rule["Filter"]["S3Key"]["Rules"]}},
                    }
                    for rule in properties["NotificationConfiguration"]["QueueConfigurations"]
                ]
                s3.put_bucket_notification_configuration(
                    Bucket=bucket, NotificationConfiguration={"QueueConfigurations": queues}
                )

    def _queue_name(self, reference: Mapping[str, list[str]]) -> str:
        return self._physical[reference["Fn::GetAtt"][0]].rsplit("/", 1)[-1]

    def _allow_what_moto_asks_beyond_aws(self) -> None:
        """Batch deletion: AWS asks sqs:DeleteMessage for it, and s3:DeleteObject on the objects instead of the bucket."""
        queue = self.queue_url.rsplit("/", 1)[-1]
        policy = [
            ("sqs:DeleteMessageBatch", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"),
            ("s3:DeleteObject", f"arn:aws:s3:::{self.bucket}"),
        ]
        statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in policy]
        self.client("iam").put_role_policy(
            RoleName=self.outputs["PlatformRoleArn"].rsplit("/", 1)[-1],
            PolicyName="moto",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )

    def _credentials(self, role: str) -> dict[str, str]:
        given = self.client("sts").assume_role(RoleArn=self.outputs[f"{role}RoleArn"], RoleSessionName=role)
        return {
            "aws_access_key_id": given["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": given["Credentials"]["SecretAccessKey"],
            "aws_session_token": given["Credentials"]["SessionToken"],
        }

    def _credentials_of_a_user(self) -> dict[str, str]:
        iam = self.client("iam")
        iam.create_user(UserName=NO_ROLE)
        key = iam.create_access_key(UserName=NO_ROLE)["AccessKey"]
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    @contextmanager
    def pod_identity_agent(self, role: str, token_file: Any) -> Generator[dict[str, str]]:
        """Give a pod's processes the credentials of a role as EKS does: yields the variables of its containers."""
        token_file.write_text(_AGENT_TOKEN)
        agent = _Agent(self.credentials[role])
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        try:
            yield {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{agent.server_port}/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file),
            }
        finally:
            agent.shutdown()
            agent.server_close()


class _Agent(ThreadingHTTPServer):
    def __init__(self, credentials: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _AgentHandler)
        self._credentials = credentials

    @cached_property
    def answer(self) -> bytes:
        until = datetime.now(UTC) + timedelta(hours=1)
        return json.dumps(
            {
                "AccessKeyId": self._credentials["aws_access_key_id"],
                "SecretAccessKey": self._credentials["aws_secret_access_key"],
                "Token": self._credentials["aws_session_token"],
                "AccountId": ACCOUNT,
                "Expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            }
        ).encode()


class _AgentHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        agent = cast(_Agent, self.server)
        if self.headers.get("Authorization") != _AGENT_TOKEN:
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(agent.answer)))
        self.end_headers()
        self.wfile.write(agent.answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
