"""The lake on AWS: its bucket, the queue of its notifications, and who may do what. Needs no network; fits any EKS cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from aws_cdk import Aws, CfnCondition, CfnOutput, CfnParameter, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.accepted import accept

LAKE = "lake"
LOGS = "logs"
"""Prefixes of the bucket: the lake itself, and the logs of Dagster's runs."""
LANDED = (f"{LAKE}/landing/", f"{LAKE}/errors/")
SERVED = (f"{LAKE}/gold/*", f"{LAKE}/recommendations/*")
"""The layers that Druid ingests."""
_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")


@dataclass(frozen=True)
class _Parameters:
    cluster: CfnParameter
    namespace: CfnParameter
    retention_days: CfnParameter


class LakeStack(Stack):
    """Buckets, queue, roles. Outputs: what the chart's values need of them (values.py reads them)."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name, description="Music platform: lake, notifications, roles")
        parameters = self._parameters()
        self.lake, self.deep_storage = self._buckets(parameters.retention_days)
        self.queue, self.dead_queue = self._notifications()
        self._roles(parameters)
        CfnOutput(self, "Region", value=Aws.REGION)
        CfnOutput(self, "LakeBucket", value=self.lake.bucket_name)
        CfnOutput(self, "Lake", value=f"s3://{self.lake.bucket_name}/{LAKE}")
        CfnOutput(self, "DeepStorageBucket", value=self.deep_storage.bucket_name)
        CfnOutput(self, "LandingQueueUrl", value=self.queue.queue_url)
        CfnOutput(self, "RetentionDays", value=parameters.retention_days.value_as_string)

    def _parameters(self) -> _Parameters:
        return _Parameters(
            cluster=CfnParameter(
                self, "ClusterName", description="EKS cluster, with Auto Mode or the Pod Identity agent."
            ),
            namespace=CfnParameter(
                self, "Namespace", default="music-platform", description="Kubernetes namespace of the chart."
            ),
            retention_days=CfnParameter(
                self,
                "LandingRetentionDays",
                type="Number",
                default="0",
                # docs/operations.md says when a retention is safe; a month is the least that leaves room.
                allowed_values=["0", "30", "60", "90", "180", "365", "730"],
                description="Age in days at which landed objects and error records expire; 0 keeps them. The platform must know "
                "it: MUSIC_PLATFORM_LANDING_RETENTION_DAYS, which values.py sets.",
            ),
        )

    def _buckets(self, retention_days: CfnParameter) -> tuple[s3.Bucket, s3.Bucket]:
        incomplete = s3.LifecycleRule(id="incomplete-uploads", abort_incomplete_multipart_upload_after=Duration.days(1))
        access_logs = self._bucket(
            "AccessLogs", lifecycle_rules=[incomplete, s3.LifecycleRule(id="old", expiration=Duration.days(90))]
        )
        rules = [
            incomplete,
            # What a mistake deleted or replaced can be brought back for a week.
            s3.LifecycleRule(
                id="noncurrent-versions",
                noncurrent_version_expiration=Duration.days(7),
                expired_object_delete_marker=True,
            ),
            s3.LifecycleRule(id="logs-of-runs", prefix=f"{LOGS}/", expiration=Duration.days(90)),
        ]
        lake = self._bucket(
            "Bucket",
            versioned=True,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="lake/",
            lifecycle_rules=rules,
        )
        self._expire_landed_objects(lake, len(rules), retention_days)
        deep_storage = self._bucket(
            "DeepStorage",
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="deep-storage/",
            lifecycle_rules=[incomplete],
        )
        return lake, deep_storage

    def _bucket(self, name: str, **options: Any) -> s3.Bucket:
        return s3.Bucket(
            self,
            name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            removal_policy=RemovalPolicy.RETAIN,
            **options,
        )

    def _expire_landed_objects(self, lake: s3.Bucket, rules: int, retention_days: CfnParameter) -> None:
        """Add rules that exist only with a retention, behind the given number: the construct's own rules take no condition."""
        expires = CfnCondition(
            self,
            "LandedObjectsExpire",
            expression=Fn.condition_not(Fn.condition_equals(retention_days.value_as_string, "0")),
        )
        accept(lake, "CloudFormation-Validate::W9003", "parameters are texts, which CloudFormation reads as numbers")
        bucket = cast(s3.CfnBucket, lake.node.default_child)
        for place, prefix in enumerate(LANDED, start=rules):
            rule = {
                "Id": f"expired-{prefix.split('/')[1]}",
                "Status": "Enabled",
                "Prefix": prefix,
                "ExpirationInDays": retention_days.value_as_string,
            }
            bucket.add_property_override(
                f"LifecycleConfiguration.Rules.{place}", Fn.condition_if(expires.logical_id, rule, Aws.NO_VALUE)
            )

    def _notifications(self) -> tuple[sqs.Queue, sqs.Queue]:
        """The queue, and that of what was delivered too often."""
        dead = self._queue("DeadNotifications")
        queue = self._queue(
            "Notifications",
            # The sensor hides a message for five minutes and deletes it a tick later: a hundred deliveries are eight hours.
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=100, queue=dead),
        )
        # By the account, since with the bucket's ARN the policy and the bucket would each need the other first.
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="BucketNotifies",
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        # add_event_notification of the construct would bring a Lambda function that sets what CloudFormation can set itself.
        bucket = cast(s3.CfnBucket, self.lake.node.default_child)
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(
                    event=event,
                    queue=queue.queue_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(
                            rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=prefix)]
                        )
                    ),
                )
                for prefix in LANDED
                for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
            ]
        )
        self.lake.node.add_dependency(
            queue.node.find_child("Policy")
        )  # S3 sends the queue a test when it is configured
        return queue, dead

    def _queue(self, name: str, **options: Any) -> sqs.Queue:
        return sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            **options,
        )

    def _roles(self, parameters: _Parameters) -> None:
        """A role for each of the chart's service accounts. Superset has none: it asks Druid alone."""
        lake, deep_storage = self.lake.bucket_arn, self.deep_storage.bucket_arn
        self._role(
            "Collector",
            "music-platform-collector",
            parameters,
            # Without a listing, so that what collects from outside can see nothing of the lake.
            _allow("Land", ("s3:PutObject", "s3:AbortMultipartUpload"), *(f"{lake}/{prefix}*" for prefix in LANDED)),
        )
        self._role(
            "Platform",
            "music-platform",
            parameters,
            # Of the whole bucket: with a condition on the prefix S3 would answer 403 instead of 404 for what is missing.
            _allow("ListLake", ("s3:ListBucket",), lake),
            # Not s3:DeleteObjectVersion: what a defect deletes can be brought back.
            _allow("UseLake", _OBJECT_ACTIONS, f"{lake}/{LAKE}/*", f"{lake}/{LOGS}/*"),
            _allow("ReadNotifications", ("sqs:ReceiveMessage", "sqs:DeleteMessage"), self.queue.queue_arn),
            # How many wait, and how many were given up: `music-platform doctor` says it.
            _allow("CountNotifications", ("sqs:GetQueueAttributes",), self.queue.queue_arn, self.dead_queue.queue_arn),
        )
        self._role(
            "Spark",
            "music-platform-spark",
            parameters,
            # The Connect server plans what is read. Executors read and write, with the platform's role.
            _allow("ListLake", ("s3:ListBucket",), lake),
            _allow("ReadLake", ("s3:GetObject",), f"{lake}/{LAKE}/*"),
        )
        self._role(
            "Druid",
            "music-platform-druid",
            parameters,
            _allow("ReadServedTables", ("s3:GetObject",), *(f"{lake}/{objects}" for objects in SERVED)),
            _allow("ListDeepStorage", ("s3:ListBucket",), deep_storage),
            _allow("UseDeepStorage", _OBJECT_ACTIONS, f"{deep_storage}/*"),
        )
        objects = {
            self.lake: (*(f"{prefix}*" for prefix in LANDED), f"{LAKE}/*", f"{LOGS}/*", *SERVED),
            self.deep_storage: ("*",),
        }
        accept(
            self,
            "AwsSolutions::AwsSolutions-IAM5",
            "all objects below a prefix, by actions that are named",
            [
                f"Resource::<{self.get_logical_id(cast(s3.CfnBucket, bucket.node.default_child))}.Arn>/{pattern}"
                for bucket, patterns in objects.items()
                for pattern in patterns
            ],
        )

    def _role(self, name: str, service_account: str, parameters: _Parameters, *statements: iam.PolicyStatement) -> None:
        """A role that one service account of one namespace of one cluster gets by EKS Pod Identity, and nobody else."""
        cluster, namespace = parameters.cluster.value_as_string, parameters.namespace.value_as_string
        pods = iam.ServicePrincipal("pods.eks.amazonaws.com").with_conditions(
            {
                "StringEquals": {
                    "aws:RequestTag/eks-cluster-name": cluster,
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": service_account,
                }
            }
        )
        role = iam.Role(self, f"{name}Role", assumed_by=pods.with_session_tags())
        for statement in statements:
            role.add_to_policy(statement)
        eks.CfnPodIdentityAssociation(
            self,
            f"{name}Identity",
            cluster_name=cluster,
            namespace=namespace,
            service_account=service_account,
            role_arn=role.role_arn,
        )
        CfnOutput(self, f"{name}RoleArn", value=role.role_arn)


def _allow(sid: str, actions: tuple[str, ...], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))
