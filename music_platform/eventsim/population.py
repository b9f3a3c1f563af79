"""The listeners themselves: when they join, how keen they are, their names, places and devices.

What they do from then on does not belong here.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from music_platform.eventsim.calendar import SECONDS_PER_YEAR
from music_platform.eventsim.config import ListenerConfig
from music_platform.eventsim.errors import GeneratorError
from music_platform.eventsim.json_text import integer_texts, joined, json_string, repeated, string_array, taken
from music_platform.eventsim.randomness import (
    AliasTable,
    FloatArray,
    IntegerArray,
    UnsignedArray,
    high_half,
    random_bits,
    standard_exponential,
    standard_normal,
    stream_key,
)

# All listeners' JSON fragments together must stay below the 2 GiB that one Arrow array of strings can hold.
MOST_LISTENERS = 4_000_000
_LONGEST_MEMBERSHIP_SECONDS = int(5 * SECONDS_PER_YEAR)
_NEVER = np.iinfo(np.int64).max
# A listener whose mean time between sessions exceeds this is never seen; without a limit dates would overflow.
_LONGEST_BETA_SECONDS = 10 * SECONDS_PER_YEAR


@dataclass(frozen=True)
class Pools:
    """Everything that listeners are given by chance, as ready JSON fragments with tables to draw from them."""

    last_names: pa.StringArray
    last_name_table: AliasTable
    first_names: pa.StringArray
    first_name_table: AliasTable
    places: pa.StringArray
    coordinates: pa.StringArray
    place_table: AliasTable
    user_agents: pa.StringArray
    user_agent_table: AliasTable


def _data(name: str) -> Any:
    return json.loads(resources.files("music_platform.eventsim").joinpath("data", name).read_bytes())


def _weighted_names(names: Any) -> dict[str, float]:
    return dict(names) if isinstance(names, dict) else dict.fromkeys(names, 1.0)


@lru_cache(maxsize=1)
def pools() -> Pools:
    """The pools, built once in a process: names from Faker by frequency, places from the zipcodes package.

    Places are weighted by their state's population (2020 census), evenly over its ordinary zip codes, so that big
    cities, which have many, get many listeners.
    """
    # Imported here because both take long, which commands that generate nothing should not pay for.
    import zipcodes
    from faker.providers.person.en_US import Provider

    male, female = _weighted_names(Provider.first_names_male), _weighted_names(Provider.first_names_female)
    last = _weighted_names(Provider.last_names)
    first_names = [f'"firstName":{json_string(n)},"gender":"{g}"' for g, ns in (("M", male), ("F", female)) for n in ns]
    first_weights = [w / sum(ns.values()) for ns in (male, female) for w in ns.values()]

    population: dict[str, int] = _data("state_populations.json")
    ordinary = [z for z in zipcodes.list_all() if z["zip_code_type"] == "STANDARD" and z["state"] in population]
    ordinary = [z for z in ordinary if z["active"] and z["lat"] and z["long"]]
    ordinary.sort(key=lambda z: z["zip_code"])
    zips_of_state: dict[str, int] = {}
    for place in ordinary:
        zips_of_state[place["state"]] = zips_of_state.get(place["state"], 0) + 1

    agents = _data("user_agents.json")
    return Pools(
        last_names=string_array(f'"lastName":{json_string(name)}' for name in last),
        last_name_table=AliasTable.from_weights(list(last.values())),
        first_names=string_array(first_names),
        first_name_table=AliasTable.from_weights(first_weights),
        places=string_array(
            f'"city":{json_string(z["city"])},"zip":{json_string(z["zip_code"])},"state":{json_string(z["state"])}'
            for z in ordinary
        ),
        coordinates=string_array(f'"lon":{float(z["long"])!r},"lat":{float(z["lat"])!r}' for z in ordinary),
        place_table=AliasTable.from_weights([population[z["state"]] / zips_of_state[z["state"]] for z in ordinary]),
        user_agents=string_array(f'"userAgent":{json_string(agent["userAgent"])}' for agent in agents),
        user_agent_table=AliasTable.from_weights([agent["weight"] for agent in agents]),
    )


@dataclass(frozen=True)
class Population:
    """Listeners by position; those there from the start come first, then those who join, in order of joining.

    ``alpha`` and ``beta``: seconds, as in the configuration but each listener's own. ``joined``, ``registered`` and
    ``leaves``: seconds since 1970-01-01 UTC. ``anonymous`` and ``identified``: JSON fragments of the device, and of
    the device, the user and the tag.
    """

    alpha: FloatArray
    beta: FloatArray
    joined: IntegerArray
    leaves: IntegerArray
    auths: npt.NDArray[np.object_]
    levels: npt.NDArray[np.object_]
    anonymous: pa.StringArray
    identified: pa.StringArray

    def __len__(self) -> int:
        return self.alpha.size


@dataclass(frozen=True)
class PopulationRequest:
    """What a population is made of: sizes and annual rates (0.01 means 1 %), seconds since 1970-01-01 UTC, seed."""

    users: int
    growth_rate: float
    attrition_rate: float
    start: int
    end: int
    seed: int
    first_user_id: int
    tag: str | None


def create_population(config: ListenerConfig, request: PopulationRequest) -> Population:
    """The listeners of one run; the same request gives the same listeners."""
    arrivals = _arrivals(request)
    count = request.users + arrivals.size
    positions = np.arange(count, dtype=np.uint64)
    is_new = np.arange(count) >= request.users

    def bits(purpose: str) -> UnsignedArray:
        return random_bits(stream_key(request.seed, purpose), positions)

    joined_at = np.concatenate([np.full(request.users, request.start, dtype=np.int64), arrivals])
    # The original ties the age of memberships to the growth rate: a service that doubles yearly has young members.
    membership = standard_exponential(high_half(bits("registration"))) * (request.growth_rate * SECONDS_PER_YEAR)
    membership = np.minimum(membership, _LONGEST_MEMBERSHIP_SECONDS).astype(np.int64)
    registered = np.where(is_new, joined_at, joined_at - membership)
    leaves = np.full(count, _NEVER, dtype=np.int64)
    if request.attrition_rate > 0:
        lifetime = standard_exponential(high_half(bits("attrition"))) * (SECONDS_PER_YEAR / request.attrition_rate)
        leaves = joined_at + np.minimum(lifetime, 2.0**60).astype(np.int64)

    auths = np.array(list(config.auths), dtype=object)
    levels = np.array(list(config.levels), dtype=object)
    auth = auths[AliasTable.from_weights(list(config.auths.values())).draw(high_half(bits("auth")))]
    level = levels[AliasTable.from_weights(list(config.levels.values())).draw(high_half(bits("level")))]

    anonymous, identified = _fragments(request, bits, registered)
    return Population(
        alpha=config.alpha * _keenness(bits("alpha")),
        beta=np.minimum(config.beta * _keenness(bits("beta")), _LONGEST_BETA_SECONDS),
        joined=joined_at,
        leaves=leaves,
        auths=np.where(is_new, config.new_user_auth, auth),
        levels=np.where(is_new, config.new_user_level, level),
        anonymous=anonymous,
        identified=identified,
    )


def _keenness(bits: UnsignedArray) -> FloatArray:
    """Log-normal factors of mean 1."""
    return np.exp(standard_normal(bits) - 0.5)


def _arrivals(request: PopulationRequest) -> IntegerArray:
    """When new listeners join: a Poisson process whose rate grows with the number of listeners."""
    if request.growth_rate <= 0 or request.end <= request.start:
        return np.empty(0, dtype=np.int64)
    key = stream_key(request.seed, "growth")
    found: list[IntegerArray] = []
    now, known = request.start, 0
    block = 4_096
    while now < request.end:
        counters = np.arange(known, known + block, dtype=np.uint64)
        mean_gap = SECONDS_PER_YEAR / ((request.users + counters.astype(np.float64)) * request.growth_rate)
        gaps = (standard_exponential(high_half(random_bits(key, counters))) * mean_gap).astype(np.int64)
        times = now + np.cumsum(gaps)
        found.append(times)
        now, known = int(times[-1]), known + block
        if request.users + known > MOST_LISTENERS + block:
            raise GeneratorError(
                f"With a growth rate of {request.growth_rate:g} listeners exceed {MOST_LISTENERS:,} before the period "
                "ends. Lower --growth-rate or shorten the period."
            )
    arrivals = np.concatenate(found)
    return arrivals[arrivals < request.end]


def _fragments(
    request: PopulationRequest, bits: Callable[[str], UnsignedArray], registered: IntegerArray
) -> tuple[pa.StringArray, pa.StringArray]:
    pool = pools()
    count = registered.size
    place = pool.place_table.draw(high_half(bits("place")))
    agent = pool.user_agent_table.draw(high_half(bits("user agent")))
    first = pool.first_name_table.draw(high_half(bits("first name")))
    last = pool.last_name_table.draw(high_half(bits("last name")))
    user_ids = integer_texts(np.arange(count, dtype=np.int64) + request.first_user_id)
    comma = repeated(",", count)
    anonymous = joined(
        taken(pool.places, place), comma, taken(pool.user_agents, agent), comma, taken(pool.coordinates, place)
    )
    identified = joined(
        anonymous, repeated(',"userId":', count), user_ids,
        comma, taken(pool.last_names, last), comma, taken(pool.first_names, first),
        repeated(',"registration":', count), integer_texts(registered * 1_000),
        repeated("" if request.tag is None else f',"tag":{json_string(request.tag)}', count),
    )  # fmt: skip
    return anonymous, identified
