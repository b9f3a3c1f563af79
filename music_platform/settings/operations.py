"""Settings of monitoring and housekeeping, and of who may open Dagster's UI."""

from pydantic import Field, SecretStr, field_validator

from music_platform.host_names import host_and_port
from music_platform.settings.group import SettingsGroup, Url


class HealthSettings(SettingsGroup):
    quarantine_rate_warning: float = Field(
        default=0.01, ge=0, le=1, description="Share of quarantined rows above which the check warns."
    )
    lag_limit_hours: float = Field(
        default=3.0,
        gt=0,
        description="Hours that the next hour or day of a layer, or a landed object, may wait once it could be processed, "
        "before `music-platform status` calls it a problem.",
    )
    collector_health_url: Url = Field(
        default="",
        description="The collector's health, such as `http://127.0.0.1:24220`: `music-platform status` and `doctor` ask there.",
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
    webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="URL to which failed runs and failed checks are posted as JSON; empty posts nothing.",
    )


class UiSettings(SettingsGroup):
    ui_allowed_hosts: str = Field(
        default="",
        description="Host names by which Dagster's UI is reached, separated by commas, beside localhost and the address that it "
        "listens on. Requests under other names are refused.",
    )
    ui_source_url: Url = Field(
        default="",
        description="Where the files of this version are browsed, such as `https://github.com/OWNER/NAME/blob/v0.1.0`; assets "
        "link to their code and documentation there. Empty links to the files of this machine.",
    )

    @field_validator("ui_allowed_hosts")
    @classmethod
    def _ui_hosts_are_names(cls, value: str) -> str:
        for host in _listed(value):
            if host_and_port(host) is None:
                raise ValueError(f"'{host}' is no host name: write exact names, without scheme, path or *")
        return value

    @property
    def ui_hosts(self) -> list[str]:
        """The names of ``ui_allowed_hosts``, without ports and brackets."""
        return [found[0] for host in _listed(self.ui_allowed_hosts) if (found := host_and_port(host)) is not None]


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
