"""Shared by the subjects' classes: reading settings, and the types of folders and urls."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsGroup(BaseSettings):
    """The settings of one subject; ``Settings`` has all of them."""

    model_config = SettingsConfigDict(
        env_prefix="MUSIC_PLATFORM_",
        frozen=True,
        populate_by_name=True,
        defer_build=True,  # no subject is ever read alone, and each would cost every command a millisecond
    )


def _absolute(value: str) -> str:
    return str(Path(value).expanduser().absolute())


def _without_slash_at_end(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("is no url that begins with http:// or https://")
    return value.rstrip("/")


Folder = Annotated[str, AfterValidator(_absolute)]
"""A folder as its absolute path, whatever folder a process was started in."""
Url = Annotated[str, AfterValidator(_without_slash_at_end)]
"""A url of HTTP without a slash at its end; may be empty."""
