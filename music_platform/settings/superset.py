"""Settings of Superset, which shows Druid's datasources."""

from pathlib import Path

from pydantic import Field, SecretStr

from music_platform.settings.group import Folder, SettingsGroup, Url


class SupersetSettings(SettingsGroup):
    superset_enabled: bool = Field(
        default=False,
        description="Whether Superset shows Druid's datasources: adds the dashboards to the assets. Needs "
        "`MUSIC_PLATFORM_DRUID_ENABLED`.",
    )
    superset_home: Folder = Field(
        default_factory=lambda: str(Path.cwd() / ".music-platform" / "superset"),
        validate_default=True,
        description="State of the local Superset: its own database, secret key, generated passwords, log.",
    )
    superset_url: Url = Field(
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

    @property
    def superset_admin_password_file(self) -> Path:
        """The file with the local Superset's administrator password, used if the settings hold none."""
        return Path(self.superset_home) / "admin_password"
