"""The options of one run of the generator, checked and completed from the configuration.

Reading the configuration and the catalogue is called from here; the simulation is not.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from music_platform.eventsim.catalogue import Catalogue, generated_catalogue, read_catalogue
from music_platform.eventsim.config import ListenerConfig, load_config
from music_platform.eventsim.errors import GeneratorError
from music_platform.eventsim.population import MOST_LISTENERS, PopulationRequest
from music_platform.eventsim.tastes import STRONGEST, TasteStrength

DEFAULT_USERS = 1_000
DEFAULT_DAYS = 14.0
CONTINUOUS_DAYS = 730.0


@dataclass(frozen=True)
class GeneratorOptions:
    """What to generate. ``None`` takes the configuration's value, and where it has none, the default.

    ``start`` and ``end``: a time without a zone is UTC; fractions of a second are cut off. ``days`` stands in for a
    missing ``end``. Rates are annual (0.01 means 1 %). ``songs``: a catalogue file; without it one is generated.
    ``keep_song_text``: do not garble the catalogue's texts the way Eventsim does. ``continuous``: begin now and go on
    for two years, unless the options say otherwise. ``taste``: from 0, songs by popularity alone, to ``STRONGEST``; what
    lies between, ``TasteStrength`` says. ``truth``: a folder for the tastes planted, in Parquet. ``faults``: the share of
    lines, from 0 to 1, that come twice, late or broken, as ``faults.py`` has it.
    """

    config: Path | None = None
    users: int | None = None
    growth_rate: float | None = None
    attrition_rate: float | None = None
    start: datetime | None = None
    end: datetime | None = None
    days: float | None = None
    seed: int | None = None
    songs: Path | None = None
    keep_song_text: bool = False
    continuous: bool = False
    tag: str | None = None
    first_user_id: int | None = None
    taste: float = 0.0
    truth: Path | None = None
    faults: float = 0.0


@dataclass(frozen=True)
class Plan:
    """One run, complete: configuration, catalogue, the request for listeners with its times, their taste, and faults."""

    config: ListenerConfig
    catalogue: Catalogue
    request: PopulationRequest
    taste: TasteStrength
    truth: Path | None
    faults: float


def make_plan(options: GeneratorOptions) -> Plan:
    """Read the configuration and the catalogue and settle every value; raises ``GeneratorError``."""
    config = load_config(options.config)
    start, end = _period(options, config)
    users = _first(options.users, config.users, DEFAULT_USERS)
    growth_rate = _first(options.growth_rate, config.growth_rate, 0.0)
    attrition_rate = _first(options.attrition_rate, config.attrition_rate, 0.0)
    first_user_id = _first(options.first_user_id, config.first_user_id, 1)
    if not 1 <= users <= MOST_LISTENERS:
        raise GeneratorError(f"The number of listeners must be from 1 to {MOST_LISTENERS}, not {users}. Check --users.")
    for name, rate in (("growth", growth_rate), ("attrition", attrition_rate)):
        if not 0 <= rate < 1e3:
            raise GeneratorError(f"The {name} rate must be a number from 0 to 1000, not {rate}. Check --{name}-rate.")
    if not 0 <= first_user_id < 2**53:
        raise GeneratorError(f"The first user id must be from 0 to 2**53, not {first_user_id}. Check --first-user-id.")
    if not 0 <= options.taste <= STRONGEST:
        raise GeneratorError(f"The taste must be a number from 0 to {STRONGEST:g}, not {options.taste}. Check --taste.")
    if not 0 <= options.faults <= 1:
        raise GeneratorError(f"The share of faults must be a number from 0 to 1, not {options.faults}. Check --faults.")
    if options.truth is not None and not options.taste:
        raise GeneratorError("There is no taste to write to --truth: give --taste, a number above 0.")
    catalogue = (
        generated_catalogue() if options.songs is None else read_catalogue(options.songs, options.keep_song_text)
    )
    request = PopulationRequest(
        users=users,
        growth_rate=growth_rate,
        attrition_rate=attrition_rate,
        start=start,
        end=end,
        seed=_first(options.seed, config.seed, 0),
        first_user_id=first_user_id,
        tag=_first(options.tag, config.tag, None),
    )
    strength = TasteStrength(options.taste)
    return Plan(
        config=config,
        catalogue=catalogue,
        request=request,
        taste=strength,
        truth=options.truth,
        faults=options.faults,
    )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _period(options: GeneratorOptions, config: ListenerConfig) -> tuple[int, int]:
    start = options.start or _config_time(config, "start-date", config.start_date)
    end = options.end
    if end is None and options.days is None:
        end = _config_time(config, "end-date", config.end_date)
    days = options.days
    if days is None:
        days = CONTINUOUS_DAYS if options.continuous else DEFAULT_DAYS
    if not 0 < days <= 36_525:
        raise GeneratorError(f"The number of days must be above 0 and at most 36525, not {days}. Check --days.")
    if start is None and options.continuous:
        start = datetime.now(UTC)
    if start is None:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start = (end or today) - timedelta(days=days)
    first = whole_seconds(start)
    last = first + round(days * 86_400) if end is None else whole_seconds(end)
    if last <= first:
        raise GeneratorError(f"The period ends ({end}) before it begins ({start}). Check --from and --to.")
    return first, last


def _config_time(config: ListenerConfig, key: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise GeneratorError(f'{config.source}: "{key}" is no ISO time such as 2026-11-01T00:00: {text!r}.') from error


def whole_seconds(time: datetime) -> int:
    """Seconds since 1970-01-01 UTC; a time without a zone is UTC."""
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() // 1)
