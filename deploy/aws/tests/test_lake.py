"""The principles of the lake's stack; each test fails if one of them is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

Template = Mapping[str, Any]


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of a kind, by logical name."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def of_bucket(template: Template, name: str) -> dict[str, Any]:
    [found] = [properties for logical, properties in resources(template, "AWS::S3::Bucket").items()
               if logical.startswith(name)]  # fmt: skip
    return found


def rules(template: Template) -> dict[str, dict[str, Any]]:
    """The lifecycle rules of the lake by their names, and those with a condition as they are when it holds."""
    found = of_bucket(template, "Bucket")["LifecycleConfiguration"]["Rules"]
    plain = [rule["Fn::If"][1] if "Fn::If" in rule else rule for rule in found]
    return {rule["Id"]: rule for rule in plain}


def statements(template: Template, role: str) -> dict[str, tuple[set[str], list[str]]]:
    """What a role may do: by statement the actions, and the resources as texts."""
    [policy] = [properties for properties in resources(template, "AWS::IAM::Policy").values()
                if properties["Roles"][0]["Ref"].startswith(role)]  # fmt: skip
    return {
        statement["Sid"]: (set(_list(statement["Action"])), [json.dumps(one) for one in _list(statement["Resource"])])
        for statement in policy["PolicyDocument"]["Statement"]
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", ["Bucket", "DeepStorage", "AccessLogs"])
def test_a_bucket_is_encrypted_private_and_owned_by_the_account(lake: Template, name: str) -> None:
    bucket = of_bucket(lake, name)
    [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"])
def test_buckets_and_queues_refuse_whoever_comes_without_tls(lake: Template, kind: str) -> None:
    number = {"AWS::S3::BucketPolicy": 3, "AWS::SQS::QueuePolicy": 2}[kind]
    policies = list(resources(lake, kind).values())
    assert len(policies) == number  # a second policy of a queue or bucket would replace the first in silence
    for policy in policies:
        refusals = [
            statement
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        ]
        assert [statement["Principal"] for statement in refusals] == [{"AWS": "*"}]


def test_what_is_deleted_comes_back_for_a_week(lake: Template) -> None:
    assert of_bucket(lake, "Bucket")["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rules(lake)["noncurrent-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}


def test_landed_objects_expire_only_with_a_retention_that_the_platform_is_told(lake: Template) -> None:
    """The platform keeps rows of landed objects that are gone only where MUSIC_PLATFORM_LANDING_RETENTION_DAYS says so."""
    expiring = {name: rule for name, rule in rules(lake).items() if "ExpirationInDays" in rule}
    assert {name: rule["Prefix"] for name, rule in expiring.items()} == {
        "logs-of-runs": "logs/",
        "expired-landing": "lake/landing/",
        "expired-errors": "lake/errors/",
    }
    conditional = [
        rule["Fn::If"] for rule in of_bucket(lake, "Bucket")["LifecycleConfiguration"]["Rules"] if "Fn::If" in rule
    ]
    assert [(condition, otherwise) for condition, _, otherwise in conditional] == [
        ("LandedObjectsExpire", {"Ref": "AWS::NoValue"})
    ] * 2
    days = {"Ref": "LandingRetentionDays"}
    assert [rule["ExpirationInDays"] for _, rule, _ in conditional] == [days, days]
    assert lake["Conditions"]["LandedObjectsExpire"] == {"Fn::Not": [{"Fn::Equals": [days, "0"]}]}
    assert lake["Parameters"]["LandingRetentionDays"]["Default"] == "0"
    assert lake["Outputs"]["RetentionDays"]["Value"] == days


def test_unfinished_uploads_go_after_a_day(lake: Template) -> None:
    assert rules(lake)["incomplete-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_the_queue_is_told_of_what_lands_and_what_goes(lake: Template) -> None:
    bucket = of_bucket(lake, "Bucket")
    notified = bucket["NotificationConfiguration"]["QueueConfigurations"]
    assert {(one["Event"], one["Filter"]["S3Key"]["Rules"][0]["Value"]) for one in notified} == {
        (event, prefix)
        for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
        for prefix in ("lake/landing/", "lake/errors/")
    }
    # S3 tries the queue when it is configured, so the permission must be there before the bucket.
    [name] = [name for name in resources(lake, "AWS::S3::Bucket") if name.startswith("Bucket")]
    allowing = [name for name, policy in resources(lake, "AWS::SQS::QueuePolicy").items()
                if "s3.amazonaws.com" in json.dumps(policy)]  # fmt: skip
    assert set(allowing) <= set(lake["Resources"][name]["DependsOn"])
    assert len(allowing) == 1


def test_the_bucket_of_another_account_may_not_write_to_the_queue(lake: Template) -> None:
    [sending] = [
        statement
        for policy in resources(lake, "AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert sending["Principal"] == {"Service": "s3.amazonaws.com"}
    assert sending["Action"] == "sqs:SendMessage"
    assert sending["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_message_is_delivered_often_before_it_is_a_dead_letter(lake: Template) -> None:
    """docs/automation.md asks for 100 deliveries at least: a message read and not yet recorded is delivered again."""
    queues = resources(lake, "AWS::SQS::Queue")
    assert [queue["RedrivePolicy"]["maxReceiveCount"] for queue in queues.values() if "RedrivePolicy" in queue] == [100]
    assert {queue["MessageRetentionPeriod"] for queue in queues.values()} == {14 * 24 * 3600}
    assert {queue["SqsManagedSseEnabled"] for queue in queues.values()} == {True}


def test_each_role_has_the_actions_that_it_needs(lake: Template) -> None:
    changes = {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}
    assert {role: {sid: actions for sid, (actions, _) in statements(lake, role).items()}
            for role in ("Collector", "Platform", "Spark", "Druid")} == {
        "Collector": {"Land": {"s3:PutObject", "s3:AbortMultipartUpload"}},
        "Platform": {
            "ListLake": {"s3:ListBucket"},
            "UseLake": changes,
            "ReadNotifications": {"sqs:ReceiveMessage", "sqs:DeleteMessage"},
            "CountNotifications": {"sqs:GetQueueAttributes"},
        },
        "Spark": {"ListLake": {"s3:ListBucket"}, "ReadLake": {"s3:GetObject"}},
        "Druid": {
            "ReadServedTables": {"s3:GetObject"},
            "ListDeepStorage": {"s3:ListBucket"},
            "UseDeepStorage": changes,
        },
    }  # fmt: skip
    assert len(resources(lake, "AWS::IAM::Role")) == 4  # Superset has none


def test_each_role_reaches_its_own_part_of_the_lake(lake: Template) -> None:
    def endings(role: str, sid: str) -> set[str]:
        return {resource.rsplit('"', 2)[-2] for resource in statements(lake, role)[sid][1]}

    assert endings("Collector", "Land") == {"/lake/landing/*", "/lake/errors/*"}
    assert endings("Platform", "UseLake") == {"/lake/*", "/logs/*"}
    assert endings("Spark", "ReadLake") == {"/lake/*"}
    assert endings("Druid", "ReadServedTables") == {"/lake/gold/*", "/lake/recommendations/*"}
    [deep_storage] = statements(lake, "Druid")["UseDeepStorage"][1]
    assert "DeepStorage" in deep_storage


@pytest.mark.parametrize(
    ("name", "service_account"),
    [
        ("Collector", "music-platform-collector"),
        ("Platform", "music-platform"),
        ("Spark", "music-platform-spark"),
        ("Druid", "music-platform-druid"),
    ],
)
def test_only_its_service_account_gets_a_role(lake: Template, name: str, service_account: str) -> None:
    association = resources(lake, "AWS::EKS::PodIdentityAssociation")[f"{name}Identity"]
    cluster, namespace = {"Ref": "ClusterName"}, {"Ref": "Namespace"}
    assert (association["ClusterName"], association["Namespace"]) == (cluster, namespace)
    assert association["ServiceAccount"] == service_account
    [(_, role)] = [
        (logical, role) for logical, role in resources(lake, "AWS::IAM::Role").items() if logical.startswith(name)
    ]
    trusts = role["AssumeRolePolicyDocument"]["Statement"]
    assert {action for trust in trusts for action in _list(trust["Action"])} == {"sts:AssumeRole", "sts:TagSession"}
    for trust in trusts:
        assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert trust["Condition"]["StringEquals"] == {
            "aws:RequestTag/eks-cluster-name": cluster,
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": service_account,
        }
