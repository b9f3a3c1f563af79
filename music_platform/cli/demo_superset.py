"""The last step of `music-platform demo --superset`: dashboards in a Superset on this machine, and its logins.

It needs the datasources in Druid, which the demo filled before.
"""

from __future__ import annotations

from rich.text import Text

from music_platform.cli.console import console
from music_platform.cli.superset import print_running
from music_platform.local.superset.server import LocalSuperset
from music_platform.serving.superset.bundle import DASHBOARDS
from music_platform.settings import Settings

_ASSET = "superset/dashboards"


def require_superset_can_start(settings: Settings) -> None:
    """Raise ``MusicPlatformError`` where Superset has no port, before minutes of work that end without dashboards."""
    LocalSuperset(settings).require_port()


def show_dashboards(settings: Settings) -> None:
    """Start Superset, import the dashboards by their asset, have every chart answer, and print the address and the logins.

    Raises ``MusicPlatformError`` where Superset cannot be started, or Druid does not answer a chart.
    """
    from music_platform.cli.runs import materialize  # importing it reads the settings
    from music_platform.orchestration.runs import open_instance

    local = LocalSuperset(settings)
    running = local.up(lambda message: console.print(Text(message), soft_wrap=True))
    serving = settings.model_copy(update={"druid_enabled": True, "superset_enabled": True})
    try:
        materialize(open_instance(), serving, [_ASSET], [], "dashboards")
    finally:
        print_running(running, local)  # also when that fails: generated passwords are shown this once
    for dashboard in DASHBOARDS:
        console.print(Text(f"  {dashboard.title}: {running.url}/superset/dashboard/{dashboard.slug}/"), soft_wrap=True)
