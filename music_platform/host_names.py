"""How HTTP writes a host: ``name``, ``name:port``, ``[address]:port``."""

import re

_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")


def host_and_port(authority: str) -> tuple[str, int | None] | None:
    """The host in lower case and without brackets, and its port where it has one; None for what is no host."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    return (found["v6"] or found["name"]).lower(), int(found["port"]) if found["port"] else None
