"""The event types as their producers write them, one module each: keys, types, allowed values and rules across fields.

A module of this package that has an ``EventContract`` of the module's name in capitals is an event type. bronze.py, silver.py
and quarantine.py beside this package derive the layers' tables from it.

Source: the records of Eventsim (https://github.com/viirya/eventsim), newline-delimited JSON; a missing value is an absent
key.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from music_platform.tables.events.event import EventContract, EventField

__all__ = ["EVENT_CONTRACTS", "EVENT_KEYS", "EVENT_TYPES", "EventContract", "EventField"]


def _collected() -> dict[str, EventContract]:
    found = {}
    for module in pkgutil.iter_modules(__path__):
        contract = getattr(import_module(f"{__name__}.{module.name}"), module.name.upper(), None)
        if isinstance(contract, EventContract):
            found[contract.name] = contract
    return dict(sorted(found.items()))


EVENT_CONTRACTS: dict[str, EventContract] = _collected()
EVENT_TYPES: tuple[str, ...] = tuple(EVENT_CONTRACTS)
EVENT_KEYS = frozenset(key for contract in EVENT_CONTRACTS.values() for key in contract.keys)
