"""Druid's part of `music-platform demo`: started while the tables are built, filled by the Dagster assets, asked three queries.

local/druid starts Druid; serving/druid brings gold into it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.table import Table
from rich.text import Text

from music_platform.cli.beside import Beside
from music_platform.cli.console import console, warn
from music_platform.cli.progress import DruidStages, working
from music_platform.errors import LocalDruidError
from music_platform.local.druid.local_druid import LocalDruid
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.serving.druid.ingestion_spec import interval_of
from music_platform.serving.druid.queries import QUERIES, DashboardQuery
from music_platform.serving.druid.replacement import columns_in_druid, has_no_row
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES, made_tables
from music_platform.tables.contract import Cadence

_QUERIES = ("plays_by_state", "top_songs", "session_length")
_ROWS_SHOWN = 5
_REPETITIONS = 5


class DruidOfDemo:
    """The Druid that the demo serves its gold from: the settings' own, or a local one that starts beside the demo."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.model_copy(update={"druid_enabled": True})
        self._local = Beside("Druid starts", lambda show: LocalDruid(settings).up(DruidStages(show)))

    def begin(self) -> None:
        """Start the local Druid in the background; nothing where the settings name another Druid."""
        if not self.settings.druid_url:
            self._local.begin()

    def give_up(self) -> None:
        """Stop a start that has not ended; a Druid that is up stays."""
        self._local.give_up()

    def is_up(self) -> bool:
        """Whether Druid can be filled without waiting for it."""
        return bool(self.settings.druid_url) or self._local.is_done()

    def wait(self) -> bool:
        """Wait until Druid is up; False, and the reason on standard error, when it cannot be started here."""
        if not self.settings.druid_url:
            try:
                self._local.wait()
            except LocalDruidError as error:
                warn(f"without Druid: {error}")
                return False
        return True

    @staticmethod
    def assets(cadence: Cadence) -> list[str]:
        """The datasources of a cadence, and the tables that Druid alone reads."""
        of_cadence = [path for path, table in TABLES.items() if table.cadence is cadence]
        only_served = [path for path in of_cadence if path not in made_tables(is_served=False)]
        return only_served + [each.path for each in DATASOURCES.values() if each.contract.cadence is cadence]

    def show(self, days: Sequence[str]) -> None:
        """Print the answers to some of the dashboards' queries over the days, how long they took, and how to stop Druid."""
        druid = DruidResource(self.settings)
        interval = interval_of(days[0], days[-1])
        for name in _QUERIES:
            if has_no_row(columns_in_druid(DATASOURCES[QUERIES[name].datasource], druid)):
                console.print(Text(f"{QUERIES[name].question} No row is in {QUERIES[name].datasource}"))
                continue
            _show_answer(druid, QUERIES[name], interval)
        console.print(Text(f"Druid answers SQL at {druid.router_url}/druid/v2/sql"), soft_wrap=True)
        if not self.settings.druid_url:
            stops = Text.assemble(
                "It goes on running, and ./run dev serves from it: ",
                ("./run music-platform druid down", "bold"),
                " stops it.",
            )
            console.print(stops, soft_wrap=True)


@contextmanager
def druid_of_demo(settings: Settings, *, is_wanted: bool) -> Generator[DruidOfDemo | None]:
    """A Druid that starts in the background, None if none is wanted; the start is stopped if the demo fails."""
    if not is_wanted:
        yield None
        return
    druid = DruidOfDemo(settings)
    druid.begin()
    try:
        yield druid
    finally:
        druid.give_up()


def _show_answer(druid: DruidResource, query: DashboardQuery, interval: str) -> None:
    sql = query.sql(interval)
    seconds = []
    rows = []
    with working(query.question):
        for _ in range(_REPETITIONS):
            started = time.monotonic()
            rows = druid.sql(sql, context={"useCache": False})
            seconds.append(time.monotonic() - started)
    title = f"{query.question} {len(rows):,} rows in {statistics.median(seconds) * 1000:.0f} ms"
    console.print(Text(title, style="table.title"))  # a table's own title would wrap at the table's width
    table = Table()
    for name, value in (rows[0] if rows else {}).items():
        table.add_column(Text(name.replace("_", " ")), justify="right" if isinstance(value, int | float) else "left")
    for row in rows[:_ROWS_SHOWN]:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value).removesuffix("T00:00:00.000Z")
