"""How Superset reaches Druid: the SQLAlchemy url of the bundle's database."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from music_platform.settings import Settings


def database_uri(settings: Settings) -> str:
    """The url of the settings, else the one that the settings of Druid make: its router, with their login."""
    if given := settings.superset_database_uri.get_secret_value():
        return given
    router = urlsplit(settings.druid_router)
    scheme = "druid+https" if router.scheme == "https" else "druid"
    login = ""
    if settings.druid_user:
        login = f"{quote(settings.druid_user, safe='')}:{quote(settings.druid_password.get_secret_value(), safe='')}@"
    port = router.port or (443 if router.scheme == "https" else 80)
    return f"{scheme}://{login}{router.hostname}:{port}{router.path}/druid/v2/sql/"
