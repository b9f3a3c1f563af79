"""The aggregate tables of gold, one partition a day, and the constants that define their measures.

Two of them, user_activity and user_song_interactions, are carried forward: a day's partition is made of the day before's
and the day's own facts. The transforms stand in transforms/aggregates.py.
"""

from dataclasses import replace

from music_platform.tables.columns import (
    ARTIST_KEY,
    DAY,
    DAY_IS_WHOLE,
    SONG_KEY,
    USER_KEY,
    count_column,
    text_column,
    time_column,
)
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.facts import FACT_PAGE_VIEWS, FACT_PLAYS

TOP_RANKS = 1000

# The stages of the level funnel, in their order.
STAGES: dict[str, str] = {
    "active_free": "page views at level free",
    "upgrade_page": "views of the page Upgrade",
    "submit_upgrade": "views of the page Submit Upgrade",
    "became_paid": "status changes from free to paid",
    "active_paid": "page views at level paid",
    "downgrade_page": "views of the page Downgrade",
    "submit_downgrade": "views of the page Submit Downgrade",
    "became_free": "status changes from paid to free",
    "cancel": "views of the page Cancel",
    "cancelled": "views of the page Cancellation Confirmation",
}

# The implicit score sums a user's plays of a song, as the observations r_ui of Hu, Koren and Volinsky, "Collaborative
# Filtering for Implicit Feedback Datasets" (ICDM 2008), each weighed by its age, as in Ding and Li, "Time Weight Collaborative
# Filtering" (CIKM 2005). The four values are this project's.
PLAY_WEIGHT = 1.0  # also where it is not known whether the song was skipped
SKIPPED_PLAY_WEIGHT = 0.2
SCORE_HALF_LIFE_DAYS = 30
LEAST_SCORE = 0.01  # a single play falls below it after 200 days

_USER_KEY = replace(USER_KEY, description="Listener in dim_users.")
_PLAYED_SECONDS = Column(
    name="played_seconds",
    type=ColumnType.DOUBLE,
    description="Listened, where it is known.",
    unit="seconds",
    minimum=0,
    personal=Personal.NONE,
)
_PLAYS = count_column("plays", "Songs started.")
_LISTENERS = count_column("listeners", "Distinct listeners.")
_SKIPS = count_column("skips", "Plays that were skipped.")

_SKIPS_AMONG_PLAYS = Rule(
    name="skips_among_plays", condition="skips <= plays", description="No more plays were skipped than there were."
)
_LISTENERS_AMONG_PLAYS = Rule(
    name="listeners_among_plays",
    condition="listeners >= 1 AND listeners <= plays",
    description="There are listeners, and each has played.",
)
_RANKED = Rule(
    name="within_top_ranks",
    condition=f"plays_rank <= {TOP_RANKS} OR listeners_rank <= {TOP_RANKS}",
    description=f"The row is among the first {TOP_RANKS} by plays or by listeners.",
)


def _rank(name: str, description: str) -> Column:
    return Column(name=name, type=ColumnType.LONG, description=description, minimum=1, personal=Personal.NONE)


def _share(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(
        name=name,
        type=ColumnType.DOUBLE,
        description=description,
        nullable=nullable,
        minimum=0,
        maximum=1,
        personal=Personal.NONE,
    )


USER_ACTIVITY = TableContract(
    layer=Layer.GOLD,
    name="user_activity",
    description="One row a known listener and day: what they did on the day, and up to its end. Carried forward, so that every "
    "listener since the beginning of history has a row.",
    columns=(
        _USER_KEY,
        replace(
            FACT_PAGE_VIEWS.column("user_id"),
            nullable=True,
            description="Number of the listener; null as long as none of their page views is known.",
        ),
        replace(
            FACT_PAGE_VIEWS.column("registered_at"),
            nullable=True,
            description="When the listener registered, the earliest moment that their page views tell; can lie after the day. "
            "Null where user_id is.",
        ),
        time_column("first_active_at", "First page view or play.", personal=Personal.NONE),
        time_column("last_active_at", "Last page view or play up to the day's end.", personal=Personal.NONE),
        replace(FACT_PLAYS.column("level"), description="Subscription level at the last event."),
        count_column("day_page_views", "Page views on the day."),
        count_column("day_plays", "Songs started on the day."),
        replace(_PLAYED_SECONDS, name="day_played_seconds", description="Listened on the day, where it is known."),
        count_column("plays", "Songs started since the beginning of history."),
        replace(_PLAYED_SECONDS, description="Listened since the beginning of history, where it is known."),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="first_before_last",
            condition="first_active_at <= last_active_at",
            description="The last event is not before the first.",
        ),
        Rule(
            name="last_before_day_end",
            condition="last_active_at < day + INTERVAL 1 DAY",
            description="The last event lies before the day's end.",
        ),
        Rule(
            name="active_on_the_day",
            condition="(last_active_at >= day) = (day_page_views + day_plays > 0)",
            description="The last event lies on the day exactly where the day has events.",
        ),
        Rule(
            name="day_within_total",
            condition="day_plays <= plays AND day_played_seconds <= played_seconds",
            description="The totals include the day.",
        ),
        Rule(
            name="user_known_whole",
            condition="(user_id IS NULL) = (registered_at IS NULL)",
            description="`user_id` and `registered_at` are known together.",
        ),
    ),
    sort_columns=("user_key",),
    unique_columns=("day", "user_key"),
)

ACTIVE_USERS = TableContract(
    layer=Layer.GOLD,
    name="active_users",
    description="One row a day: how many listeners were active on it and in the weeks before, exactly.",
    columns=(
        DAY,
        count_column("active_1_day", "Listeners with an event on the day."),
        count_column("active_7_days", "Listeners with an event in the 7 days that end with the day."),
        count_column("active_30_days", "Listeners with an event in the 30 days that end with the day."),
        count_column("users", "Listeners known since the beginning of history."),
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="longer_windows_hold_more",
            condition="active_1_day <= active_7_days AND active_7_days <= active_30_days AND active_30_days <= users",
            description="A longer window holds the users of a shorter one.",
        ),
    ),
    sort_columns=("day",),
    unique_columns=("day",),
)

RETENTION_COHORTS = TableContract(
    layer=Layer.GOLD,
    name="retention_cohorts",
    description="Listeners by the week in which they registered, and how many of them are still active.",
    columns=(
        DAY,
        time_column("registration_week", "Monday on which the week of registration begins; null for listeners whose "
                    "registration is not known.", nullable=True, personal=Personal.NONE),
        Column(
            name="weeks_since_registration",
            type=ColumnType.LONG,
            nullable=True,
            description="Calendar weeks from registration_week to the day's own; null where it is. Negative where the "
            "producer dates a registration after the listener's events: those listeners are kept, so that cohorts add up.",
            unit="weeks",
            personal=Personal.NONE,
        ),
        count_column("users", "Listeners of the cohort known by the day's end."),
        count_column("active_users", "Those with an event in the 7 days that end with the day."),
        _share("retention", "active_users / users."),
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="active_among_users",
            condition="users >= 1 AND active_users <= users",
            description="A cohort has users, and no more of them are active.",
        ),
        Rule(
            name="week_begins_on_monday",
            condition="registration_week IS NULL OR date_trunc('WEEK', registration_week) = registration_week",
            description="`registration_week` is a Monday's first moment.",
        ),
        Rule(
            name="weeks_known_with_registration",
            condition="(registration_week IS NULL) = (weeks_since_registration IS NULL)",
            description="`weeks_since_registration` is known exactly where `registration_week` is.",
        ),
    ),
    sort_columns=("registration_week",),
    unique_columns=("day", "registration_week"),
)  # fmt: skip


def _top_table(members: str, key: Column, *names: Column) -> TableContract:
    return TableContract(
        layer=Layer.GOLD,
        name=f"top_{members}",
        description=f"The {TOP_RANKS} {members} of the day with the most plays and the {TOP_RANKS} with the most listeners.",
        columns=(
            DAY,
            _rank("plays_rank", "Place by plays; of equal ones the lesser key comes first."),
            _rank("listeners_rank", "Place by listeners, likewise."),
            key,
            *names,
            _PLAYS,
            _LISTENERS,
            _PLAYED_SECONDS,
            _SKIPS,
        ),
        partition_column="day",
        cadence=Cadence.DAILY,
        rules=(DAY_IS_WHOLE, _RANKED, _LISTENERS_AMONG_PLAYS, _SKIPS_AMONG_PLAYS),
        sort_columns=("plays_rank",),
        unique_columns=("day", key.name),
    )


_ARTIST = text_column("artist", "Name of the artist.", personal=Personal.NONE)
TOP_SONGS = _top_table("songs", SONG_KEY, text_column("title", "Title of the song.", personal=Personal.NONE), _ARTIST)
TOP_ARTISTS = _top_table("artists", ARTIST_KEY, _ARTIST)

HOURLY_PLAYS = TableContract(
    layer=Layer.GOLD,
    name="hourly_plays",
    description="Plays by hour, state and subscription level; an hour without plays has no row.",
    columns=(
        time_column("hour_time", "The hour, by its first moment.", personal=Personal.NONE),
        FACT_PLAYS.column("state"),
        FACT_PLAYS.column("level"),
        _PLAYS,
        _LISTENERS,
        _PLAYED_SECONDS,
        _SKIPS,
    ),
    partition_column="hour_time",
    cadence=Cadence.DAILY,
    rules=(
        Rule(
            name="hour_is_whole",
            condition="date_trunc('HOUR', hour_time) = hour_time",
            description="`hour_time` is the hour's first moment.",
        ),
        _LISTENERS_AMONG_PLAYS,
        _SKIPS_AMONG_PLAYS,
    ),
    sort_columns=("hour_time", "state", "level"),
    unique_columns=("hour_time", "state", "level"),
)

LEVEL_FUNNEL = TableContract(
    layer=Layer.GOLD,
    name="level_funnel",
    description="What known listeners did on the way from free to paid and back; every stage has a row each day. Stages: "
    + "; ".join(f"`{stage}`, {description}" for stage, description in STAGES.items())
    + ".",
    columns=(
        DAY,
        Column(
            name="stage",
            type=ColumnType.STRING,
            description="Stage of the funnel.",
            allowed=tuple(STAGES),
            personal=Personal.NONE,
        ),
        Column(
            name="stage_order",
            type=ColumnType.LONG,
            description="Place of the stage in the funnel.",
            minimum=1,
            maximum=len(STAGES),
            personal=Personal.NONE,
        ),
        count_column("users", "Distinct listeners."),
        count_column("sessions", "Distinct sessions."),
        count_column("events", "Page views or status changes."),
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="each_has_events",
            condition="users <= events AND sessions <= events AND (users = 0) = (events = 0) AND (sessions = 0) = (events = 0)",
            description="Users and sessions have events, and events have both.",
        ),
    ),
    sort_columns=("stage_order",),
    unique_columns=("day", "stage"),
)

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
        _share("success_rate", "successes / attempts; null on a day without attempts.", nullable=True),
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

USER_SONG_INTERACTIONS = TableContract(
    layer=Layer.GOLD,
    name="user_song_interactions",
    description="Implicit feedback: one row a listener and song that they played, with a score that fades. Carried forward from "
    f"day to day; a pair whose score falls below {LEAST_SCORE} is dropped, which bounds the table, and begins anew when the "
    "song is played again.",
    columns=(
        _USER_KEY,
        SONG_KEY,
        replace(_PLAYS, description="Songs started since the pair entered the table.", minimum=1),
        replace(_PLAYED_SECONDS, description="Listened since the pair entered the table, where it is known."),
        _SKIPS,
        time_column("last_played_at", "Last play.", personal=Personal.NONE),
        Column(
            name="score",
            type=ColumnType.DOUBLE,
            description=f"Sum over the plays of their weight, halved for every {SCORE_HALF_LIFE_DAYS} days from the play to the "
            f"day's end; the weight is {SKIPPED_PLAY_WEIGHT} where the song was skipped, else {PLAY_WEIGHT}.",
            minimum=LEAST_SCORE,
            personal=Personal.NONE,
        ),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        _SKIPS_AMONG_PLAYS,
        Rule(
            name="played_before_day_end",
            condition="last_played_at < day + INTERVAL 1 DAY",
            description="The last play lies before the day's end.",
        ),
        Rule(
            name="score_within_plays",
            condition=f"score <= plays * {PLAY_WEIGHT}",
            description="No play weighs more than a whole one.",
        ),
    ),
    sort_columns=("user_key", "song_key"),
    unique_columns=("day", "user_key", "song_key"),
)

AGGREGATES: tuple[TableContract, ...] = (
    USER_ACTIVITY, ACTIVE_USERS, RETENTION_COHORTS, TOP_SONGS, TOP_ARTISTS, HOURLY_PLAYS, LEVEL_FUNNEL, LOGIN_SUCCESS,
    USER_SONG_INTERACTIONS,
)  # fmt: skip
