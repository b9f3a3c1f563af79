"""The registry of the platform's images. One stack for all lakes of an account: staging and production run the same images."""

from __future__ import annotations

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from constructs import Construct

IMAGES = (
    "music-platform",
    "music-platform-spark",
    "music-platform-collector",
    "music-platform-superset",
    "music-platform-druid",
)


class ImagesStack(Stack):
    """A repository for each image, under the image's name. Output: the registry's host."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name, description="Music platform: image repositories")
        for image in IMAGES:
            ecr.Repository(
                self,
                "".join(part.title() for part in image.split("-")),
                repository_name=image,
                image_scan_on_push=True,
                image_tag_mutability=ecr.TagMutability.IMMUTABLE,
                encryption=ecr.RepositoryEncryption.AES_256,
                # A tag may be what production runs or rolls back to, so no tagged image expires.
                lifecycle_rules=[
                    ecr.LifecycleRule(tag_status=ecr.TagStatus.UNTAGGED, max_image_age=Duration.days(14)),
                ],
                removal_policy=RemovalPolicy.RETAIN,
            )
        CfnOutput(self, "Registry", value=f"{Aws.ACCOUNT_ID}.dkr.ecr.{Aws.REGION}.{Aws.URL_SUFFIX}")
