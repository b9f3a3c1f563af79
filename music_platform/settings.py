"""Every setting of the platform, read once from MUSIC_PLATFORM_* environment variables.

Nothing else in the project reads the process environment. What is not a setting (a command's own options, a table's
rules) does not belong here.
"""

import os
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of one process; immutable once read.

    Raises ``pydantic.ValidationError``, which names the variable and what is wrong with it.
    """

    model_config = SettingsConfigDict(env_prefix="MUSIC_PLATFORM_", frozen=True)

    lake: str = Field(
        default_factory=lambda: str(Path.cwd() / ".music-platform" / "lake"),
        description="The lake: `s3://bucket/prefix` or a local folder.",
    )
    start: datetime = Field(
        default=datetime(2026, 1, 1, tzinfo=UTC),
        description="First hour (UTC) that has a partition; a whole hour.",
    )
    spark_remote: str = Field(
        default="",
        description="Spark Connect url (`sc://host:15002`); empty starts Sail inside the process.",
    )
    s3_endpoint: str = Field(default="", description="Endpoint of an S3-compatible server; empty means AWS.")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    s3_access_key_id: str = Field(default="", description="Access key; empty uses AWS's default credential chain.")
    s3_secret_access_key: SecretStr = Field(default=SecretStr(""), description="Secret of the access key.")
    s3_retry_seconds: float = Field(
        default=120.0, gt=0, description="How long requests to S3 are retried with backoff before the run fails."
    )
    leftover_grace_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="Age at which a file that no manifest names is swept from a partition being published. "
        "Must exceed the longest run, so that no run in progress loses files it has yet to publish.",
    )
    batch_rows: int = Field(
        default=1_000_000,
        gt=0,
        description="Rows a range run holds in the engine at once: what bounds its memory.",
    )
    target_file_bytes: int = Field(
        default=128 * 1024 * 1024, gt=0, description="Size at which a partition's data goes on in another file."
    )
    quarantine_rate_warning: float = Field(
        default=0.01, ge=0, le=1, description="Share of quarantined rows above which the check warns."
    )

    @field_validator("start")
    @classmethod
    def _start_is_a_whole_utc_hour(cls, value: datetime) -> datetime:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if value != value.replace(minute=0, second=0, microsecond=0):
            raise ValueError("must be a whole hour, such as 2026-01-01T00:00")
        return value

    @field_validator("lake")
    @classmethod
    def _lake_is_a_bucket_or_a_folder(cls, value: str) -> str:
        if value.startswith("s3://"):
            if not value.removeprefix("s3://").strip("/"):
                raise ValueError("names no bucket; write s3://bucket/prefix")
            return value.rstrip("/")
        if "://" in value:
            raise ValueError("is neither s3://bucket/prefix nor a local folder")
        return str(Path(value).expanduser().absolute())

    def object_store_environment(self) -> dict[str, str]:
        """The AWS_* variables with which an engine inside this process reaches the lake; empty for a local lake."""
        if not self.lake.startswith("s3://"):
            return {}
        environment = {"AWS_REGION": self.s3_region, "AWS_DEFAULT_REGION": self.s3_region}
        if self.s3_endpoint:
            environment |= {"AWS_ENDPOINT_URL": self.s3_endpoint, "AWS_ENDPOINT": self.s3_endpoint}
            environment["AWS_ALLOW_HTTP"] = str(self.s3_endpoint.startswith("http://")).lower()
        if self.s3_access_key_id:
            environment["AWS_ACCESS_KEY_ID"] = self.s3_access_key_id
            environment["AWS_SECRET_ACCESS_KEY"] = self.s3_secret_access_key.get_secret_value()
        return environment

    def export_engine_environment(self) -> None:
        """Set those variables in this process: Sail takes its S3 settings, and how much it logs, from nowhere else."""
        os.environ.update(self.object_store_environment())
        os.environ.setdefault("RUST_LOG", "error")  # it tells of every start and end of its server otherwise

    def object_store_options(self) -> dict[str, Any]:
        """Keyword arguments of obstore's S3Store for this lake; empty for a local lake."""
        if not self.lake.startswith("s3://"):
            return {}
        options: dict[str, Any] = {"region": self.s3_region}
        if self.s3_endpoint:
            options["endpoint"] = self.s3_endpoint
            options["virtual_hosted_style_request"] = False
            options["client_options"] = {"allow_http": self.s3_endpoint.startswith("http://")}
        if self.s3_access_key_id:
            options["access_key_id"] = self.s3_access_key_id
            options["secret_access_key"] = self.s3_secret_access_key.get_secret_value()
        return options


@lru_cache(maxsize=1)
def current_settings() -> Settings:
    """The settings of this process, read at the first call."""
    return Settings()
