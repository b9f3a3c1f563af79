"""Every stack of the platform on AWS, in the order in which they are deployed.

`./run aws templates` writes them to templates/, as plain CloudFormation: no bootstrap, no asset, no Lambda of the CDK's.
"""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk

from stacks.cluster import ClusterStack
from stacks.database import DatabaseStack
from stacks.images import ImagesStack
from stacks.lake import LakeStack
from stacks.network import NetworkStack
from stacks.secrets import SecretsStack

HERE = Path(__file__).parent
PREFIX = "music-platform"


def build(outdir: str | None = None) -> tuple[cdk.App, dict[str, cdk.Stack]]:
    """The app and its stacks by their short names: network, cluster, database, secrets, images, lake."""
    app = cdk.App(
        outdir=outdir,
        analytics_reporting=False,
        context=json.loads((HERE / "cdk.json").read_text())["context"],  # only the CDK's command reads it by itself
        default_stack_synthesizer=cdk.BootstraplessSynthesizer(),
    )
    network = NetworkStack(app, f"{PREFIX}-network")
    cluster = ClusterStack(app, f"{PREFIX}-cluster", vpc=network.vpc)
    database = DatabaseStack(app, f"{PREFIX}-database", vpc=network.vpc, clients=cluster.cluster.cluster_security_group)
    stacks = {
        "network": network,
        "cluster": cluster,
        "database": database,
        "secrets": SecretsStack(app, f"{PREFIX}-secrets"),
        "images": ImagesStack(app, f"{PREFIX}-images"),
        "lake": LakeStack(app, f"{PREFIX}-lake"),
    }
    return app, stacks


if __name__ == "__main__":
    build()[0].synth()
