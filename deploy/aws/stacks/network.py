"""A network for an account that has none: two availability zones, and a way out that is not a way in."""

from __future__ import annotations

from aws_cdk import RemovalPolicy, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct


class NetworkStack(Stack):
    """Public subnets for load balancers and the NAT gateway, private ones for the cluster, isolated ones for the database."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name, description="Music platform: network")
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=1,
            restrict_default_security_group=False,  # it would take a Lambda function; nothing here is in that group
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(
                    name="private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=18
                ),  # an address for each pod
                ec2.SubnetConfiguration(name="database", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=26),
            ],
        )
        # The lake and the layers of images go this way, which costs nothing, and not by the NAT gateway, which charges each byte.
        self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        # EKS places load balancers by these tags.
        for role, subnets in {"elb": self.vpc.public_subnets, "internal-elb": self.vpc.private_subnets}.items():
            for subnet in subnets:
                Tags.of(subnet).add(f"kubernetes.io/role/{role}", "1")
        rejected = logs.LogGroup(
            self, "Rejected", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        self.vpc.add_flow_log(
            "RejectedConnections",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(rejected),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
