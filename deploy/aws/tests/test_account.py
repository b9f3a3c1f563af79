"""The principles of the stacks around the lake: images, passwords, network, cluster, database."""

from __future__ import annotations

import json

from conftest import Templates
from test_lake import resources


def test_an_image_is_scanned_when_it_is_pushed_and_its_tag_never_moves(templates: Templates) -> None:
    repositories = resources(templates["images"], "AWS::ECR::Repository")
    assert {one["RepositoryName"] for one in repositories.values()} == {
        "music-platform",
        "music-platform-spark",
        "music-platform-collector",
        "music-platform-superset",
        "music-platform-druid",
    }
    for repository in repositories.values():
        assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert repository["ImageTagMutability"] == "IMMUTABLE"
        [rule] = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        assert rule["selection"]["tagStatus"] == "untagged"  # production may run any tagged image


def test_passwords_are_generated_and_named_as_the_charts_secrets_are(templates: Templates) -> None:
    secrets = resources(templates["secrets"], "AWS::SecretsManager::Secret")
    names = {json.dumps(secret["Name"]).partition("/")[2].partition('"')[0] for secret in secrets.values()}
    assert names == {
        "postgres/dagster",
        "postgres/druid",
        "postgres/superset",
        "superset/secret-key",
        "superset/admin-password",
        "superset/guest-password",
    }
    assert all("GenerateSecretString" in secret and "SecretString" not in secret for secret in secrets.values())


def test_the_lake_is_reached_without_the_nat_gateway(templates: Templates) -> None:
    [endpoint] = resources(templates["network"], "AWS::EC2::VPCEndpoint").values()
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert ".s3" in json.dumps(endpoint["ServiceName"])
    tables = {json.dumps(table) for table in endpoint["RouteTableIds"]}
    assert any("private" in table for table in tables)
    assert len(resources(templates["network"], "AWS::EC2::NatGateway")) == 1


def test_load_balancers_find_their_subnets(templates: Templates) -> None:
    roles = [
        (tag["Key"].rsplit("/", 1)[-1], subnet["MapPublicIpOnLaunch"])
        for subnet in resources(templates["network"], "AWS::EC2::Subnet").values()
        for tag in subnet["Tags"]
        if tag["Key"].startswith("kubernetes.io/role/")
    ]
    assert sorted(roles) == [("elb", False), ("elb", False), ("internal-elb", False), ("internal-elb", False)]


def test_the_clusters_api_answers_named_networks_alone(templates: Templates) -> None:
    [cluster] = resources(templates["cluster"], "AWS::EKS::Cluster").values()
    network = cluster["ResourcesVpcConfig"]
    assert network["EndpointPrivateAccess"]
    assert network["PublicAccessCidrs"] == {"Ref": "ApiCallers"}
    assert (
        "Default" not in templates["cluster"]["Parameters"]["ApiCallers"]
    )  # so that nobody opens it to all by not asking
    assert cluster["ComputeConfig"]["Enabled"]
    assert cluster["StorageConfig"]["BlockStorage"]["Enabled"]
    assert len(cluster["Logging"]["ClusterLogging"]["EnabledTypes"]) == 5


def test_the_database_is_encrypted_backed_up_and_reached_by_the_cluster_alone(templates: Templates) -> None:
    template = templates["database"]
    [instance] = resources(template, "AWS::RDS::DBInstance").values()
    assert instance["StorageEncrypted"]
    assert instance["BackupRetentionPeriod"] == 14
    assert instance["DeletionProtection"]
    assert not instance["PubliclyAccessible"]
    assert instance["MultiAZ"] == {"Ref": "MultiAz"}
    assert instance["DBInstanceClass"] == {"Ref": "InstanceClass"}
    [parameters] = resources(template, "AWS::RDS::DBParameterGroup").values()
    assert parameters["Parameters"] == {"rds.force_ssl": "1"}
    [ingress] = resources(template, "AWS::EC2::SecurityGroupIngress").values()
    assert "ClusterSecurityGroup" in json.dumps(ingress["SourceSecurityGroupId"])
    [group] = resources(template, "AWS::EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group
