"""Settings of automation: runs for landed objects, and for daily tables whose inputs changed."""

from pydantic import Field, SecretStr

from music_platform.settings.group import SettingsGroup


class LandingSettings(SettingsGroup):
    forward_shared_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key that the collector's forward port asks of producers; empty where it asks for none.",
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


class DailyTableSettings(SettingsGroup):
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
