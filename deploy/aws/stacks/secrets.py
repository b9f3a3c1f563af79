"""Passwords that the chart's Secrets are made of, generated once and kept by Secrets Manager."""

from __future__ import annotations

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.accepted import accept

SECRETS = {
    "postgres/dagster": "Password of the owner of the database dagster",
    "postgres/druid": "Password of the owner of the database druid",
    "postgres/superset": "Password of the owner of the database superset",
    "superset/secret-key": "Key with which Superset signs sessions and encrypts connections",
    "superset/admin-password": "Password of Superset's administrator, by whom the platform puts out dashboards",
    "superset/guest-password": "Password of Superset's reader of dashboards",
}
"""A Secret of the chart and its key, by what it is."""


class SecretsStack(Stack):
    """A secret for each password, named after the stack: ``music-platform-secrets/postgres/dagster``."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name, description="Music platform: passwords")
        for secret, description in SECRETS.items():
            secretsmanager.Secret(
                self,
                "".join(part.title() for part in secret.replace("/", "-").split("-")),
                secret_name=f"{Aws.STACK_NAME}/{secret}",
                description=description,
                # Without punctuation: some of them become parts of URLs.
                generate_secret_string=secretsmanager.SecretStringGenerator(
                    password_length=40, exclude_punctuation=True
                ),
                removal_policy=RemovalPolicy.RETAIN,
            )
        accept(
            self,
            "AwsSolutions::AwsSolutions-SMG4",
            "a new password must reach PostgreSQL or Superset and the cluster's Secret at once: README.md has the commands",
        )
