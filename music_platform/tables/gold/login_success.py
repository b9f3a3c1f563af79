"""Attempts to log in, without the stale repetitions that Eventsim counts as attempts."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, count_column, share_column
from music_platform.tables.contract import Cadence, Layer, Rule, TableContract
from music_platform.tables.frames import columns_of, rows_of_days
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold_table import GoldTable, silver
from music_platform.tables.reconciliations import Input, Reconciliation, by_day, rows_by_day
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.keys import session_key_of_event

LOGIN_SUCCESS = TableContract(
    layer=Layer.GOLD,
    name="login_success",
    description="One row a day: attempts to log in, without the stale repetitions that Eventsim counts as attempts.",
    columns=(
        DAY,
        count_column("attempts", "Attempts to log in."),
        count_column("successes", "Attempts that succeeded."),
        count_column("failures", "Attempts that failed."),
        count_column(
            "overcounted",
            "Authentication events that are no attempts: they repeat a Login or Logout page that was answered with status 307.",
        ),
        share_column("success_rate", "successes / attempts; null on a day without attempts.", nullable=True),
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="attempts_add_up",
            condition="attempts = successes + failures",
            description="An attempt succeeds or fails.",
        ),
        Rule(
            name="rate_known_with_attempts",
            condition="(success_rate IS NULL) = (attempts = 0)",
            description="`success_rate` is known exactly where there are attempts.",
        ),
    ),
    sort_columns=("day",),
    unique_columns=("day",),
)


def login_success(auths: DataFrame, page_views: DataFrame, days: Sequence[str]) -> DataFrame:
    """One row per day: silver's auth events, without those that fact_page_views of the same days shows to be stale.

    An auth event belongs to the page that follows an attempt. Where that page is itself a Login or Logout with status 307,
    Eventsim looked at a stale previous page and repeated an earlier attempt. An auth event without its page view counts.
    """
    event = ("session_key", "item_in_session", "event_time")
    redirections = page_views.where(F.col("page").isin("Login", "Logout") & (F.col("status") == 307))
    stale = redirections.select(*event).distinct().withColumn("is_stale", F.lit(True))
    judged = (
        auths.withColumn("session_key", session_key_of_event())
        .select(*event, "success")
        .join(stale, list(event), "left")
    )
    judged = judged.select(
        F.date_trunc("DAY", "event_time").alias("day"),
        F.when(F.col("is_stale"), "overcounted")
        .when(F.col("success"), "success")
        .otherwise("failure")
        .alias("outcome"),
    )
    judged = judged.unionByName(rows_of_days(days, auths).withColumn("outcome", F.lit("none")))
    counts = judged.groupBy("day").agg(
        F.count_if(F.col("outcome") == "success").alias("successes"),
        F.count_if(F.col("outcome") == "failure").alias("failures"),
        F.count_if(F.col("outcome") == "overcounted").alias("overcounted"),
    )
    counts = counts.withColumn("attempts", F.col("successes") + F.col("failures"))
    rate = F.when(F.col("attempts") > 0, F.col("successes") / F.col("attempts"))
    return columns_of(counts.withColumn("success_rate", rate), LOGIN_SUCCESS)


TABLE = GoldTable(
    LOGIN_SUCCESS,
    lambda frames: login_success(frames["auth_events"], frames["page_views"], frames.partitions),
    {"page_views": Input(FACT_PAGE_VIEWS)} | silver("auth_events"),
    reconciliations=[
        Reconciliation(
            name="reconciles_with_silver",
            description="Attempts and over-counted events against silver's auth events:",
            others={"silver": Input(SILVER["auth_events"])},
            expected=lambda stored: rows_by_day(stored["silver"]),
            found=lambda stored: by_day(stored.own.read(), "day", F.sum(F.col("attempts") + F.col("overcounted"))),
        )
    ],
)
