"""The checks of gold: every table keeps its contract, facts hold every row of silver, keys resolve, aggregates add up.

A reconciliation compares two numbers of each partition, which were come by in different ways.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.contract import CONTRACT_CHECK, check_contract
from music_platform.orchestration.checks.outcome import CheckOutcome, tell
from music_platform.orchestration.checks.step import CheckStep, check_spec
from music_platform.orchestration.checks.whole_days import WHOLE_DAYS_CHECK, check_made_of_all_hours
from music_platform.partitions import day_of_key, days_around, hours_of_day
from music_platform.tables.aggregates import (
    ACTIVE_USERS,
    HOURLY_PLAYS,
    LEVEL_FUNNEL,
    LOGIN_SUCCESS,
    RETENTION_COHORTS,
    TOP_ARTISTS,
    TOP_RANKS,
    TOP_SONGS,
    USER_ACTIVITY,
    USER_SONG_INTERACTIONS,
)
from music_platform.tables.catalogue import GOLD, SILVER
from music_platform.tables.contract import TableContract
from music_platform.tables.dimensions import DIM_ARTISTS, DIM_DATETIME, DIM_LOCATIONS, DIM_SONGS, DIM_USERS
from music_platform.tables.facts import FACT_PAGE_VIEWS, FACT_PLAYS, FACT_SESSIONS, FACT_STREAMS, SESSION_DAYS

MADE_OF_HOURS = (
    FACT_PLAYS, SESSION_DAYS, DIM_USERS, DIM_SONGS, DIM_ARTISTS, DIM_LOCATIONS, USER_ACTIVITY, LEVEL_FUNNEL, LOGIN_SUCCESS,
)  # fmt: skip
"""The daily tables that read hourly ones; the others are made of these."""
Numbers = dict[str, int]
"""A number for each partition; a partition that is lacking has zero."""


@dataclass(frozen=True)
class Reconciliation:
    """``expected`` and ``found`` must agree in each partition; both are given the table and the ``others``."""

    name: str
    description: str
    others: Mapping[str, TableContract]
    expected: Callable[["Stored"], Numbers]
    found: Callable[["Stored"], Numbers]


@dataclass(frozen=True)
class Stored:
    """A table's partitions and, by name, those of the others that it is compared with."""

    own: StoredPartitions
    others: Mapping[str, StoredPartitions]

    def __getitem__(self, name: str) -> StoredPartitions:
        return self.others[name]


def check_gold(table: TableContract, partitions: Sequence[str], lake: Lake, spark: SparkEngine) -> list[CheckOutcome]:
    """The contract check and the reconciliations of one gold table."""
    own = StoredPartitions.open(table, partitions, lake, spark)
    outcomes = [check_contract(own)]
    for reconciliation in RECONCILIATIONS.get(table.path, ()):
        others = {name: _open(other, table, partitions, lake, spark) for name, other in reconciliation.others.items()}
        outcomes.append(_reconcile(reconciliation, Stored(own, others)))
    if table in MADE_OF_HOURS:
        outcomes.append(check_made_of_all_hours(own, datetime.now(UTC)))
    return outcomes


def _step(contract: TableContract) -> CheckStep:
    reconciliations = RECONCILIATIONS.get(contract.path, ())
    return CheckStep(
        name=f"check_gold_{contract.name}",
        tables=(contract,),
        specs=[
            check_spec(contract, CONTRACT_CHECK, "Types, nullability, allowed values, identities."),
            *(
                check_spec(contract, found.name, found.description, compared_with=list(found.others.values()))
                for found in reconciliations
            ),
            *(
                [check_spec(contract, WHOLE_DAYS_CHECK, "A day that is over has all its hours.", is_blocking=False)]
                if contract in MADE_OF_HOURS
                else []
            ),
        ],
        check=partial(check_gold, contract),
    )


def _open(
    other: TableContract, table: TableContract, partitions: Sequence[str], lake: Lake, spark: SparkEngine
) -> StoredPartitions:
    """The other table's partitions of the same time: an hourly table's hours of the days, as far as there are any."""
    if other.cadence is table.cadence:
        return StoredPartitions.open(other, partitions, lake, spark)
    return StoredPartitions.open_published(
        other, [hour for day in partitions for hour in hours_of_day(day)], lake, spark
    )


def _reconcile(reconciliation: Reconciliation, stored: Stored) -> CheckOutcome:
    expected, found = reconciliation.expected(stored), reconciliation.found(stored)
    problems = [
        f"partition {partition}: {found.get(partition, 0):,} found, {expected.get(partition, 0):,} expected"
        for partition in stored.own.manifests
        if found.get(partition, 0) != expected.get(partition, 0)
    ]
    total = sum(expected.get(partition, 0) for partition in stored.own.manifests)
    return CheckOutcome(
        table=stored.own.contract.path,
        check=reconciliation.name,
        passed=not problems,
        description=f"{reconciliation.description} {tell(problems) or f'{total:,} found as expected'}",
        numbers={"expected": total, "found": sum(found.get(partition, 0) for partition in stored.own.manifests)},
    )


def _rows_by_day(stored: StoredPartitions) -> Numbers:
    """An hourly table's rows, by its manifests, added up by day."""
    rows: Numbers = {}
    for partition, number in stored.rows.items():
        day = day_of_key(partition)
        rows[day] = rows.get(day, 0) + number
    return rows


def _by_day(frame: DataFrame, moment: str, number: Column) -> Numbers:
    """An aggregate of a frame's rows by the day of a moment."""
    made = (
        frame.groupBy(F.date_format(moment, "yyyy-MM-dd").alias("day"))
        .agg(number.cast("bigint").alias("number"))
        .toArrow()
    )
    return {row["day"]: row["number"] or 0 for row in made.to_pylist()}


def _nothing(stored: Stored) -> Numbers:  # noqa: ARG001 (every expectation is given what is stored)
    return {}


def _unresolved(facts: str, key: str) -> Callable[[Stored], Numbers]:
    """The facts' keys, each once a day, that the dimension's partition of the day lacks."""

    def count(stored: Stored) -> Numbers:
        wanted = stored[facts].read().select(F.date_trunc("DAY", "event_time").alias("day"), key).distinct()
        lacking = wanted.join(stored.own.read().select("day", key).distinct(), ["day", key], "left_anti")
        return _by_day(lacking, "day", F.count(F.lit(1)))

    return count


def _resolves(facts: str, contract: TableContract, key: str) -> Reconciliation:
    return Reconciliation(
        name=f"resolves_{key}_of_{contract.name}",
        description=f"Keys of {contract.name} without a member:",
        others={facts: contract},
        expected=_nothing,
        found=_unresolved(facts, key),
    )


def _breaks_between_versions(stored: Stored) -> Numbers:
    """Versions that do not begin when the user's version before them ends."""
    in_order = Window.partitionBy("day", "user_key").orderBy("valid_from")
    versions = stored.own.read().select(
        "day", "valid_from", "is_current",
        F.lag("valid_to").over(in_order).alias("ended"),
        F.lag("valid_from").over(in_order).alias("before"),
        F.lead("valid_from").over(in_order).alias("after"),
    )  # fmt: skip
    does_not_join = F.col("before").isNotNull() & ~F.coalesce(F.col("ended") == F.col("valid_from"), F.lit(False))
    last_is_not_current = F.col("after").isNull() & ~F.col("is_current")
    return _by_day(versions.where(does_not_join | last_is_not_current), "day", F.count(F.lit(1)))


def _sessions_of_events(stored: Stored) -> Numbers:
    events = [stored[name].read().select("event_time", "session_key") for name in ("page_views", "plays")]
    return _by_day(events[0].unionByName(events[1]), "event_time", F.count_distinct(F.col("session_key")))


def _sessions_that_began(stored: Stored) -> Numbers:
    """Sessions of a day that did nothing on the day before, by session_days of both."""
    own = list(stored.own.manifests)
    wanted = sorted({day for partition in own for day in days_around(partition, before=1, after=0)})
    parts = StoredPartitions.open_published(SESSION_DAYS, wanted, stored.own.lake, stored.own.spark).read()
    days = parts.select(F.to_date("started_at").alias("on"), "session_key")
    before = days.select(F.date_add("on", 1).alias("on"), "session_key")
    return _by_day(days.join(before, ["on", "session_key"], "left_anti"), "on", F.count(F.lit(1)))


def _known(frame: DataFrame) -> DataFrame:
    return frame.where(F.col("user_id").isNotNull())


def _ranks_are_whole() -> Reconciliation:
    def ranked(stored: Stored, number: Column) -> Numbers:
        return _by_day(stored.own.read().where(f"plays_rank <= {TOP_RANKS}"), "day", number)

    return Reconciliation(
        name="ranks_are_whole",
        description="Highest rank by plays against the number of ranks:",
        others={},
        expected=lambda stored: ranked(stored, F.count(F.lit(1))),
        found=lambda stored: ranked(stored, F.max("plays_rank")),
    )


_PLAYS = {"plays": FACT_PLAYS}
_PAGE_VIEWS = {"page_views": FACT_PAGE_VIEWS}


def _adds_up_to_plays(column: str) -> Reconciliation:
    return Reconciliation(
        name="adds_up_to_fact_plays",
        description=f"Sum of {column} against the plays of the day:",
        others=_PLAYS,
        expected=lambda stored: stored["plays"].rows,
        found=lambda stored: _by_day(stored.own.read(), stored.own.contract.partition_column, F.sum(column)),
    )


def _holds_every_row(of: str, contract: TableContract) -> Reconciliation:
    return Reconciliation(
        name=f"reconciles_with_{of}",
        description=f"Rows against those of {contract.path}:",
        others={of: contract},
        expected=lambda stored: (
            stored[of].rows if stored.own.contract.cadence is contract.cadence else _rows_by_day(stored[of])
        ),
        found=lambda stored: stored.own.rows,
    )


RECONCILIATIONS: dict[str, Sequence[Reconciliation]] = {
    FACT_STREAMS.path: [_holds_every_row("silver", SILVER["listen_events"])],
    FACT_PAGE_VIEWS.path: [_holds_every_row("silver", SILVER["page_view_events"])],
    FACT_PLAYS.path: [_holds_every_row("fact_streams", FACT_STREAMS)],
    SESSION_DAYS.path: [
        Reconciliation(
            name="holds_every_session",
            description="Sessions against the distinct ones of fact_page_views and fact_plays:",
            others=_PAGE_VIEWS | _PLAYS,
            expected=_sessions_of_events,
            found=lambda stored: stored.own.rows,
        ),
        Reconciliation(
            name="adds_up_to_fact_page_views",
            description="Sum of page_views against the page views of the day:",
            others=_PAGE_VIEWS,
            expected=lambda stored: _rows_by_day(stored["page_views"]),
            found=lambda stored: _by_day(stored.own.read(), "started_at", F.sum("page_views")),
        ),
        _adds_up_to_plays("songs"),
    ],
    FACT_SESSIONS.path: [
        Reconciliation(
            name="holds_every_session",
            description="Sessions against those that did something on the day and nothing the day before:",
            others={},
            expected=_sessions_that_began,
            found=lambda stored: stored.own.rows,
        )
    ],
    DIM_USERS.path: [
        Reconciliation(
            name="versions_tile",
            description="Gaps and overlaps between a user's versions:",
            others={},
            expected=_nothing,
            found=_breaks_between_versions,
        ),
        _resolves("page_views", FACT_PAGE_VIEWS, "user_key"),
        _resolves("plays", FACT_PLAYS, "user_key"),
    ],
    DIM_SONGS.path: [_resolves("plays", FACT_PLAYS, "song_key")],
    DIM_ARTISTS.path: [_resolves("plays", FACT_PLAYS, "artist_key")],
    DIM_LOCATIONS.path: [
        _resolves("page_views", FACT_PAGE_VIEWS, "location_key"),
        _resolves("plays", FACT_PLAYS, "location_key"),
    ],
    DIM_DATETIME.path: [
        Reconciliation(
            name="holds_every_hour",
            description="Hours of the day:",
            others={},
            expected=lambda stored: dict.fromkeys(stored.own.manifests, 24),
            found=lambda stored: stored.own.rows,
        )
    ],
    USER_ACTIVITY.path: [_adds_up_to_plays("day_plays")],
    ACTIVE_USERS.path: [
        Reconciliation(
            name="reconciles_with_user_activity",
            description="Known users against the rows of user_activity:",
            others={"user_activity": USER_ACTIVITY},
            expected=lambda stored: stored["user_activity"].rows,
            found=lambda stored: _by_day(stored.own.read(), "day", F.sum("users")),
        )
    ],
    RETENTION_COHORTS.path: [
        Reconciliation(
            name="adds_up_to_active_users",
            description="Users of all cohorts against all users:",
            others={"active_users": ACTIVE_USERS},
            expected=lambda stored: _by_day(stored["active_users"].read(), "day", F.sum("users")),
            found=lambda stored: _by_day(stored.own.read(), "day", F.sum("users")),
        )
    ],
    HOURLY_PLAYS.path: [_adds_up_to_plays("plays")],
    LEVEL_FUNNEL.path: [
        Reconciliation(
            name="adds_up_to_fact_page_views",
            description="Events at level free and paid against the page views of known listeners:",
            others=_PAGE_VIEWS,
            expected=lambda stored: _by_day(_known(stored["page_views"].read()), "event_time", F.count(F.lit(1))),
            found=lambda stored: _by_day(
                stored.own.read().where("stage IN ('active_free', 'active_paid')"), "day", F.sum("events")
            ),
        )
    ],
    LOGIN_SUCCESS.path: [
        Reconciliation(
            name="reconciles_with_silver",
            description="Attempts and over-counted events against silver's auth events:",
            others={"silver": SILVER["auth_events"]},
            expected=lambda stored: _rows_by_day(stored["silver"]),
            found=lambda stored: _by_day(stored.own.read(), "day", F.sum(F.col("attempts") + F.col("overcounted"))),
        )
    ],
    TOP_SONGS.path: [_ranks_are_whole()],
    TOP_ARTISTS.path: [_ranks_are_whole()],
    USER_SONG_INTERACTIONS.path: [
        Reconciliation(
            name="holds_every_pair_played",
            description="Pairs played on the day against those of fact_plays:",
            others=_PLAYS,
            expected=lambda stored: _by_day(
                stored["plays"].read(), "event_time", F.count_distinct(F.concat("user_key", "song_key"))
            ),
            found=lambda stored: _by_day(stored.own.read().where("last_played_at >= day"), "day", F.count(F.lit(1))),
        )
    ],
}

GOLD_STEPS: tuple[CheckStep, ...] = tuple(_step(contract) for contract in GOLD.values())
