"""How Superset reaches Druid: the SQLAlchemy url of the bundle's database."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from music_platform.settings import Settings


def database_uri(settings: Settings) -> str:
    """The url of the settings, else the one that the settings of Druid make: its router, with their login."""
    if given := settings.superset_database_uri.get_secret_value():
        return given
    # Not above: it downloads jars, and importing what downloads binds a socket, which loading definitions must not.
    from music_platform.local.druid.configuration import local_router_url

    router = urlsplit(settings.druid_url or local_router_url(settings))
    scheme = "druid+https" if router.scheme == "https" else "druid"
    login = ""
    if settings.druid_user:
        login = f"{quote(settings.druid_user, safe='')}:{quote(settings.druid_password.get_secret_value(), safe='')}@"
    port = router.port or (443 if router.scheme == "https" else 80)
    return f"{scheme}://{login}{router.hostname}:{port}{router.path}/druid/v2/sql/"
