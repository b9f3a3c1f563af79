"""Problems and warnings in the platform's state, in words; lake_status.py and instance_status.py read the state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from music_platform.cli.lake_status import LakeStatus, UnprocessedHour
from music_platform.cli.layer_status import LayerStatus, period_end
from music_platform.orchestration.instance_status import InstanceStatus
from music_platform.partitions import day_of_key, describe_partitions
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence, Layer

_MOST_NAMED = 3


def problems_of_lake(lake: LakeStatus, settings: Settings, now: datetime) -> Iterator[str]:
    """Everything that is damaged, gone, or waits longer than MUSIC_PLATFORM_LAG_LIMIT_HOURS."""
    limit = timedelta(hours=settings.lag_limit_hours)
    landing = lake.layers[0]
    yield from lake.damaged
    if landing.last_complete is None:
        yield "nothing has landed of any hour that is over"
    elif timedelta(seconds=landing.lag_seconds or 0.0) > limit:
        yield (
            f"landing: nothing has landed of any hour after {landing.last_complete}: does the producer run? After a demo "
            "nothing is to be expected"
        )
    for layer in lake.layers[1:]:
        due = _first_due(layer, landing.last_complete, now)
        if due is not None and now - due > limit:
            last = layer.last_complete or "none"
            yield f"{layer_name(layer)}: {layer.held_back_by} lags, its last complete partition is {last}"
    late = [hour for hour in lake.unprocessed if now - hour.waiting_since > limit]
    if late:
        yield f"landed and not in bronze for more than {settings.lag_limit_hours:g} h: {describe_waiting_hours(late)}"
    for gone in lake.gone:
        yield (
            f"{gone.event_type} {gone.hour}: {len(gone.objects)} landed objects are gone that bronze was made from, such as "
            f"'{gone.objects[0]}'. Restore them, or declare them expired: ./run music-platform landing expire --partition "
            f"'{gone.hour}'"
        )


def _first_due(layer: LayerStatus, landed: str | None, now: datetime) -> datetime | None:
    """When the layer's next partition could first be made; None if it has every complete partition that landed."""
    if landed is None:
        return None
    is_hourly = layer.cadence is Cadence.HOURLY
    last_landed = landed if is_hourly else day_of_key(landed)
    last_landed_end = period_end(last_landed, layer.cadence)
    if layer.last_complete is None:
        return last_landed_end if last_landed_end <= now else None
    length = timedelta(hours=1) if is_hourly else timedelta(days=1)
    made_until = period_end(layer.last_complete, layer.cadence)
    due = made_until + length
    return due if made_until < last_landed_end and due <= now else None


def warnings_of_lake(lake: LakeStatus, settings: Settings) -> Iterator[str]:
    """High rates of quarantine, and objects held for hours that have not begun."""
    for layer in lake.layers:
        for table in layer.tables:
            if (table.quarantine_rate or 0.0) > settings.quarantine_rate_warning:
                yield (
                    f"{table.table}: {table.quarantine_rate:.1%} of the rows of {table.last_complete} are in quarantine; "
                    "music-platform quarantine show has them"
                )
    if lake.held or lake.later_held_days:
        more = f", and on {lake.later_held_days} later days" if lake.later_held_days else ""
        yield (
            f"held until their hour comes: {sum(hour.objects for hour in lake.held)} landed objects of "
            f"{describe_partitions(list(dict.fromkeys(hour.hour for hour in lake.held)))}{more}. See to the producer's clock"
        )


def problems_of_instance(instance: InstanceStatus) -> Iterator[str]:
    """Failed partitions, ticks and daemons, and work that waits for a daemon that does not run."""
    for table, keys in instance.failed_partitions.items():
        yield f"{table}: failed, and not made since: {describe_partitions(keys)}"
    for automation in instance.automation:
        if automation.is_on and automation.last_tick is not None and automation.last_tick.state == "failure":
            yield f"{automation.kind} {automation.name}: its last tick failed: {first_line(automation.last_tick.message)}"
    daemon = instance.daemon
    for daemon_type, error in daemon.errors.items():
        yield f"Dagster's daemon, {daemon_type}: {first_line(error)}"
    on = [automation.name for automation in instance.automation if automation.is_on]
    if not daemon.is_running and (on or instance.queued):
        waits = [f"{', '.join(on)} on"] * bool(on) + [f"{instance.queued} runs queued"] * bool(instance.queued)
        yield f"Dagster's daemon is not running, with {' and '.join(waits)}"


def layer_name(layer: LayerStatus) -> str:
    """A layer's name in messages and rows; gold's with its cadence."""
    return f"{layer.layer}, {layer.cadence}" if layer.layer is Layer.GOLD else str(layer.layer)


def describe_waiting_hours(hours: Sequence[UnprocessedHour]) -> str:
    """The number of waiting objects and their hours, the first few by name."""
    keys = list(dict.fromkeys(hour.hour for hour in hours))
    more = f" and {len(keys) - _MOST_NAMED} more hours" if len(keys) > _MOST_NAMED else ""
    return f"{sum(hour.objects for hour in hours):,} objects of {', '.join(keys[:_MOST_NAMED])}{more}"


def first_line(text: str) -> str:
    return text.partition("\n")[0]
