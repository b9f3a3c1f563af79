"""PostgreSQL for an account that has none: Dagster's storages, Druid's metadata and Superset's own, a database each."""

from __future__ import annotations

from aws_cdk import CfnOutput, CfnParameter, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from constructs import Construct

from stacks.accepted import accept

_PORT = 5432


class DatabaseStack(Stack):
    """The instance, which one security group alone reaches. Outputs: its host; its administrator's secret, which RDS rotates."""

    def __init__(self, scope: Construct, name: str, *, vpc: ec2.IVpc, clients: ec2.ISecurityGroup) -> None:
        super().__init__(scope, name, description="Music platform: PostgreSQL")
        instance_class = CfnParameter(
            self, "InstanceClass", default="db.t4g.medium", description="Size, such as db.t4g.medium or db.m7g.large."
        )
        has_standby = CfnParameter(
            self,
            "MultiAz",
            default="true",
            allowed_values=["true", "false"],
            description="Whether a standby in another availability zone takes over; doubles the price.",
        )
        subnets = rds.CfnDBSubnetGroup(
            self,
            "Subnets",
            db_subnet_group_description="Without a way out of the network",
            subnet_ids=[subnet.subnet_id for subnet in vpc.isolated_subnets],
        )
        parameters = rds.CfnDBParameterGroup(
            self,
            "Parameters",
            description="Connections over TLS alone",
            family="postgres17",
            parameters={"rds.force_ssl": "1"},
        )
        group = ec2.SecurityGroup(
            self, "Group", vpc=vpc, description="PostgreSQL of the music platform", allow_all_outbound=False
        )
        group.add_ingress_rule(clients, ec2.Port.tcp(_PORT), "Pods of the cluster")
        # Not the CDK's DatabaseInstance: it cannot leave the administrator's password to RDS, nor the rest to parameters.
        instance = rds.CfnDBInstance(
            self,
            "Postgres",
            engine="postgres",
            engine_version="17.6",
            auto_minor_version_upgrade=True,
            db_instance_class=instance_class.value_as_string,
            master_username="administrator",
            manage_master_user_password=True,
            db_subnet_group_name=subnets.ref,
            db_parameter_group_name=parameters.ref,
            vpc_security_groups=[group.security_group_id],
            publicly_accessible=False,
            port=str(_PORT),
            allocated_storage="50",
            max_allocated_storage=500,
            storage_type="gp3",
            storage_encrypted=True,
            backup_retention_period=14,
            copy_tags_to_snapshot=True,
            deletion_protection=True,
        )
        instance.add_property_override("MultiAZ", has_standby.value_as_string)  # CloudFormation reads the text "true"
        instance.apply_removal_policy(RemovalPolicy.RETAIN)
        accept(
            instance, "AwsSolutions::AwsSolutions-RDS3", "the parameter MultiAz decides; by default there is a standby"
        )
        accept(instance, "AwsSolutions::AwsSolutions-RDS11", "another port hides nothing from who is in the network")
        CfnOutput(self, "Host", value=instance.attr_endpoint_address)
        CfnOutput(self, "AdministratorSecret", value=instance.attr_master_user_secret_secret_arn)
