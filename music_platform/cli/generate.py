"""`music-platform generate`: the command line of the generator of virtual listeners.

Options, progress, signals and exit codes belong here; what is generated, and how, does not.
"""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import VisibleConsole, fail, settings_of_command
from music_platform.cli.options import options_from
from music_platform.eventsim.errors import GeneratorError
from music_platform.eventsim.generator import GenerationSummary, ProgressCallback, generate_files
from music_platform.eventsim.generator import Progress as RunProgress
from music_platform.eventsim.options import GeneratorOptions, make_plan
from music_platform.eventsim.sinks import open_sink
from music_platform.eventsim.streaming import Pace, stream

_INTERRUPTED_EXIT_CODE = 130
_Path = Path | None


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no ISO time such as 2026-11-01T00:00 (UTC).") from error


@dataclass(frozen=True)
class GenerateOptions:
    """The options of the command, in the order of its help."""

    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the four files.")] = Path("events")
    config: Annotated[_Path, typer.Option("--config", "-c", help="Eventsim configuration (.json, .gz, .xz).")] = None
    users: Annotated[int | None, typer.Option("--users", "-n", min=1, help="Listeners at the start.")] = None
    growth_rate: Annotated[
        float | None, typer.Option("--growth-rate", min=0, help="New listeners a year per listener (0.01 is 1 %).")
    ] = None
    attrition_rate: Annotated[
        float | None, typer.Option("--attrition-rate", min=0, help="Listeners lost a year per listener.")
    ] = None
    from_: Annotated[str | None, typer.Option("--from", help="First moment, ISO time, UTC.")] = None
    to: Annotated[str | None, typer.Option("--to", help="Moment at which to end, ISO time, UTC.")] = None
    days: Annotated[float | None, typer.Option("--days", help="Length in days, instead of --to.")] = None
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same bytes.")] = None
    songs: Annotated[
        _Path, typer.Option("--songs", help="Catalogue in the Million Song Dataset's columns (.csv, .gz, .xz).")
    ] = None
    keep_song_text: Annotated[
        bool, typer.Option("--keep-song-text", help="Do not garble the catalogue's texts the way Eventsim does.")
    ] = False
    tag: Annotated[str | None, typer.Option("--tag", help="Value of the key `tag` in each line with a user.")] = None
    first_user_id: Annotated[int | None, typer.Option("--first-user-id", min=0, help="Id of the first user.")] = None
    taste: Annotated[float, typer.Option("--taste", min=0, help="How strong tastes are; 0: songs by popularity.")] = 0.0
    truth: Annotated[_Path, typer.Option("--truth", help="Folder for the tastes planted, in Parquet.")] = None
    faults: Annotated[
        float, typer.Option("--faults", min=0, max=1, help="Share of lines that come twice, late or broken.")
    ] = 0.0
    continuous: Annotated[bool, typer.Option("--continuous", help="Stream in real time until stopped.")] = False
    speed: Annotated[float, typer.Option("--speed", help="Simulated seconds a second with --continuous.")] = 1.0
    duration: Annotated[
        float | None, typer.Option("--duration", min=0, help="Seconds after which --continuous stops.")
    ] = None
    sink: Annotated[str, typer.Option("--sink", help="files, forward://host:port (Fluentd) or http://host:port.")] = (
        "files"
    )
    acknowledge: Annotated[
        bool, typer.Option("--ack/--no-ack", help="Await the forward receiver's acknowledgement of each message.")
    ] = True
    retry_seconds: Annotated[
        float, typer.Option("--retry-seconds", min=0, help="How long a receiver that is away is tried again.")
    ] = 300.0
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        if self.to is not None and self.days is not None:
            raise typer.BadParameter("Give --to or --days, not both.")
        if not self.speed > 0:
            raise typer.BadParameter("--speed must be above 0.")
        if (self.duration is not None or self.speed != 1.0) and not self.continuous:
            raise typer.BadParameter("--speed and --duration need --continuous.")
        if self.truth is not None and not self.taste:
            raise typer.BadParameter("--truth needs --taste above 0: without it there is no taste to write.")

    @property
    def generator(self) -> GeneratorOptions:
        """What to generate; the other options say where it goes, how fast, and what is printed."""
        return GeneratorOptions(
            config=self.config,
            users=self.users,
            growth_rate=self.growth_rate,
            attrition_rate=self.attrition_rate,
            start=_time(self.from_),
            end=_time(self.to),
            days=self.days,
            seed=self.seed,
            songs=self.songs,
            keep_song_text=self.keep_song_text,
            continuous=self.continuous,
            tag=self.tag,
            first_user_id=self.first_user_id,
            taste=self.taste,
            truth=self.truth,
            faults=self.faults,
        )

    @property
    def pace(self) -> Pace:
        """How fast events are streamed: in real time or a multiple of it, or a past period as fast as possible."""
        return Pace(self.speed if self.continuous else None, self.duration)


@options_from(GenerateOptions)
def generate(options: GenerateOptions) -> None:
    """Generate the events of virtual listeners, as Eventsim does: a past period into files, or a stream."""
    wanted = options.generator
    if wanted.truth is not None:
        _require_outside_of_lake(wanted.truth)
    errors = VisibleConsole(stderr=True)
    try:
        with _shown_progress(errors, options.quiet) as progress:
            if options.continuous or options.sink != "files":
                summary = _stream(wanted, options, progress)
            else:
                with _on_signals(_interrupt, signal.SIGTERM):
                    summary = generate_files(wanted, options.output, progress)
    except GeneratorError as error:
        errors.print(Text.assemble(("Error:", "red"), f" {error}"), soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        errors.print("Interrupted; no file was written.", highlight=False)
        raise typer.Exit(_INTERRUPTED_EXIT_CODE) from error
    if not options.quiet:
        VisibleConsole().print(_summary_table(summary))


def _require_outside_of_lake(truth: Path) -> None:
    """End the command where the truth would lie in the lake: no table may know what recommendations have to find out."""
    if truth.parts and truth.parts[0].endswith(":"):  # s3://bucket, whose second slash a path does not keep
        fail(f"--truth {truth} is not a folder of this machine: choose one, such as ./truth", 2)
    lake = settings_of_command().lake_location
    if lake.is_local and truth.resolve().is_relative_to(Path(lake.prefix).resolve()):
        fail(f"--truth {truth} lies in the lake, {lake.prefix}: choose a folder outside of it, such as ./truth", 2)


def _stream(wanted: GeneratorOptions, options: GenerateOptions, progress: ProgressCallback | None) -> GenerationSummary:
    stop = threading.Event()
    # A stream ends between two steps.
    with _on_signals(lambda *_: stop.set(), signal.SIGINT, signal.SIGTERM):
        sink = open_sink(
            options.sink,
            options.output,
            acknowledge=options.acknowledge,
            retry_seconds=options.retry_seconds,
            stop=stop,
            shared_key=settings_of_command().forward_shared_key.get_secret_value(),
        )
        try:
            return stream(make_plan(wanted), sink, options.pace, stop, progress)
        finally:
            sink.close()


@contextmanager
def _on_signals(handler: Callable[..., None], *numbers: signal.Signals) -> Generator[None]:
    """Let the handler take these signals for a while; only the main thread can, elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in former.items():
            signal.signal(number, previous)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _shown_progress(console: VisibleConsole, quiet: bool) -> Generator[ProgressCallback | None]:
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counts]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task("starting", total=None, counts="")

        def show(state: RunProgress) -> None:
            rate = state.lines / state.seconds if state.seconds else 0.0
            display.update(
                task,
                description=f"{_utc(state.now):%Y-%m-%d %H:%M:%S}",
                total=state.end - state.start,
                completed=state.now - state.start,
                counts=f"{state.page_views:,} page views, {state.lines:,} lines, {rate:,.0f} lines/s",
            )

        yield show


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _summary_table(summary: GenerationSummary) -> Table:
    rate = summary.total_rows / summary.seconds if summary.seconds else 0.0
    table = Table(
        title=f"{summary.listeners:,} listeners, {_utc(summary.start):%F %R} to {_utc(summary.end):%F %R} UTC",
        caption=f"{summary.total_rows:,} lines in {summary.seconds:.1f} s ({rate:,.0f} a second)",
    )
    table.add_column("events")
    table.add_column("lines", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("file")
    for event_type, rows in summary.rows.items():
        size = summary.bytes[event_type] / 1e6
        table.add_row(event_type, f"{rows:,}", f"{size:,.1f}", Text(str(summary.files.get(event_type, ""))))
    return table
