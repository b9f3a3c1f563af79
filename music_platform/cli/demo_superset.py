"""What `music-platform demo --superset` adds: dashboards in a Superset on this machine, and its logins.

Superset starts while the tables are built. Its dashboards need the datasources in Druid, which the demo fills before.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.text import Text

from music_platform.cli.beside import Beside
from music_platform.cli.console import console
from music_platform.cli.finding import without_patience
from music_platform.cli.superset import print_running
from music_platform.local.superset.server import LocalSuperset
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.superset.bundle import DASHBOARDS
from music_platform.settings import Settings

_ASSET = "superset/dashboards"


def require_superset_can_start(settings: Settings) -> None:
    """Raise ``MusicPlatformError`` where Superset has no port, before minutes of work that end without dashboards."""
    LocalSuperset(settings).require_port()


class SupersetOfDemo:
    """A Superset on this machine that starts beside the demo."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._server = LocalSuperset(settings)
        self._starting = Beside("Superset starts", self._server.up)

    def publish(self, druid: Settings) -> None:
        """Import the dashboards by their asset, and have every chart answer from the Druid of these settings.

        Raises ``MusicPlatformError`` where Superset cannot be started, or Druid does not answer a chart.
        """
        from music_platform.cli.runs import materialize  # importing it reads the settings
        from music_platform.orchestration.runs import open_instance

        self._starting.wait()
        DruidResource(
            without_patience(druid)
        ).version()  # Superset would show its absence chart by chart, in other words
        serving = druid.model_copy(update={"superset_enabled": True})
        materialize(open_instance(), serving, [_ASSET], [], "dashboards")

    def show(self) -> None:
        """Print the address and the logins: generated passwords are shown this once."""
        if not self._starting.is_done():
            return
        running = self._starting.wait()
        print_running(running, self._server)
        for dashboard in DASHBOARDS:
            address = f"{running.url}/superset/dashboard/{dashboard.slug}/"
            console.print(Text(f"  {dashboard.title}: {address}"), soft_wrap=True)

    def begin(self) -> None:
        self._starting.begin()

    def give_up(self) -> None:
        self._starting.give_up()


@contextmanager
def superset_of_demo(settings: Settings, *, is_wanted: bool) -> Generator[SupersetOfDemo | None]:
    """A Superset that starts in the background, None if none is wanted; its logins are printed even if the demo fails."""
    if not is_wanted:
        yield None
        return
    superset = SupersetOfDemo(settings)
    superset.begin()
    try:
        yield superset
    except BaseException:
        superset.give_up()
        superset.show()
        raise
