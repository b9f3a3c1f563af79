"""A Kubernetes cluster for an account that has none: EKS Auto Mode, which brings nodes, disks and load balancers as pods ask."""

from __future__ import annotations

from aws_cdk import CfnOutput, CfnParameter, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks_v2 as eks
from constructs import Construct

from stacks.accepted import accept

_POLICIES_OF_AUTO_MODE = (
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryReadOnly",
)


class ClusterStack(Stack):
    """The cluster, whose API answers the given addresses and the network. Charts are installed by helm. Output: its name."""

    def __init__(self, scope: Construct, name: str, *, vpc: ec2.IVpc) -> None:
        super().__init__(scope, name, description="Music platform: EKS cluster")
        callers = CfnParameter(
            self,
            "ApiCallers",
            type="CommaDelimitedList",
            description="Networks (CIDR) from which kubectl and helm may reach the cluster's API, such as 203.0.113.0/24.",
        )
        self.cluster = eks.Cluster(
            self,
            "Cluster",
            version=eks.KubernetesVersion.V1_34,
            vpc=vpc,
            vpc_subnets=[ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)],
            default_capacity_type=eks.DefaultCapacityType.AUTOMODE,
            endpoint_access=eks.EndpointAccess.PUBLIC_AND_PRIVATE,
            cluster_logging=list(eks.ClusterLoggingTypes),
        )
        # The construct wants to read the addresses, which only the deployment knows.
        [resource] = [child for child in self.cluster.node.children if isinstance(child, eks.CfnCluster)]
        resource.add_property_override("ResourcesVpcConfig.PublicAccessCidrs", callers.value_as_list)
        self.cluster.node.try_remove_child("KubectlReadyBarrier")  # of charts that the CDK would install
        accept(
            self.cluster,
            "AwsSolutions::AwsSolutions-IAM4",
            "EKS Auto Mode works by these policies, which AWS keeps current",
            [f"Policy::arn:<AWS::Partition>:iam::aws:policy/{policy}" for policy in _POLICIES_OF_AUTO_MODE],
        )
        CfnOutput(self, "ClusterName", value=self.cluster.cluster_name)
