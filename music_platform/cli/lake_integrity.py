"""Whether every partition of a window is whole, for `music-platform status`: its manifest reads, its files are there."""

from __future__ import annotations

from collections.abc import Sequence

from music_platform.cli.layer_status import LakeLook
from music_platform.errors import ManifestCorruptError
from music_platform.lake.manifest import lacking, manifest_key, materialize_again, partition_folder, read_manifest
from music_platform.partitions import day_of_key, describe_partitions
from music_platform.tables.contract import Cadence, TableContract

_MOST_NAMED = 3


def damage_in_window(look: LakeLook, hours: Sequence[str]) -> list[str]:
    """What is wrong with the partitions of these hours and of their days, in every table: the first few, then their number.

    Costs a listing for each day and table, and the manifests of the window.
    """
    days = list(dict.fromkeys(map(day_of_key, hours)))
    asked = [
        (contract, day)
        for contract, made in zip(look.tables, look.lake.map_parallel(look.days_of, look.tables), strict=True)
        for day in sorted(set(days) & set(made))
    ]
    found = look.lake.map_parallel(lambda pair: _damage_of_day(look, *pair, hours), asked)
    damage: list[str] = []
    for table in dict.fromkeys(contract.path for contract, _ in asked):
        of_table = [
            pair for (contract, _), pairs in zip(asked, found, strict=True) for pair in pairs if contract.path == table
        ]
        damage += [message for _, message in of_table[:_MOST_NAMED]]
        if more := [key for key, _ in of_table[_MOST_NAMED:]]:
            damage.append(f"{table}: so are {len(more)} more partitions: {describe_partitions(more)}")
    return damage


def _damage_of_day(look: LakeLook, contract: TableContract, day: str, hours: Sequence[str]) -> list[tuple[str, str]]:
    """The damaged partitions of a table's day, each with a message."""
    keys = [day] if contract.cadence is Cadence.DAILY else [key for key in hours if day_of_key(key) == day]
    stored = {found.key: found for found in look.lake.store.list(f"{contract.path}/date={day}")}
    damaged: list[tuple[str, str]] = []
    for key in keys:
        if manifest_key(contract.path, key) not in stored:  # never published
            continue
        manifest = look.manifest(contract, key)
        if manifest is None or lacking(manifest, stored):
            message = _damage_of(look, contract, key)
            damaged += [(key, message)] if message else []
    return damaged


def _damage_of(look: LakeLook, contract: TableContract, key: str) -> str:
    """What is wrong now; empty if a run has replaced the partition since it was listed."""
    store = look.lake.store
    try:
        found = read_manifest(store, contract, key)
    except ManifestCorruptError as error:
        return str(error)
    if found is None:
        return ""
    gone = lacking(found[0], {stored.key: stored for stored in store.list(partition_folder(contract.path, key))})
    if not gone:
        return ""
    return (
        f"{contract.path} partition {key} lacks '{gone[0]}' ({len(gone)} of its {len(found[0].files)} files are gone or cut "
        f"short). {materialize_again(contract.path, key)}"
    )
