"""Settings of the lake: its location, its first hour, the size of its files."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, field_validator

from music_platform.lake_location import LakeLocation
from music_platform.settings.group import SettingsGroup


class LakeSettings(SettingsGroup):
    lake: str = Field(
        default_factory=lambda: str(Path.cwd() / ".music-platform" / "lake"),
        validate_default=True,
        description="The lake: `s3://bucket/prefix` or a local folder.",
    )
    start: datetime = Field(
        default=datetime(2026, 1, 1, tzinfo=UTC),
        description="First hour (UTC) that has a partition; a whole hour.",
    )
    song_catalogue: str = Field(
        default="",
        description="CSV file of songs (plain, .gz or .xz) in the Million Song Dataset's columns, for dim_songs and "
        "dim_artists; empty takes songs from the plays alone.",
    )
    leftover_grace_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="Age at which a file that no manifest names is swept from a partition being published. "
        "Must exceed the longest run, so that no run in progress loses files it has yet to publish.",
    )
    target_file_bytes: int = Field(
        default=128 * 1024 * 1024, gt=0, description="Size at which a partition's data continues in another file."
    )
    cache: str = Field(
        default="",
        description="Folder of downloads, such as Druid's jars; empty means the user's own folder of caches.",
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

    @property
    def lake_location(self) -> LakeLocation:
        return LakeLocation.parse(self.lake)
