"""The dashboard Conversion: from free to paid and back, and whether listeners get in at all."""

from music_platform.serving.superset.axes import DAY
from music_platform.serving.superset.chart_queries import Where
from music_platform.serving.superset.charts import big_number, time_series
from music_platform.serving.superset.datasets import FUNNEL, LOGINS, PAGE_VIEWS
from music_platform.serving.superset.model import Dashboard, ValueFilter, even_row
from music_platform.serving.superset.tables import stages

_CHANGES = ["upgrades", "downgrades", "cancellations"]
_PAGES = ["Upgrade", "Submit Upgrade", "Downgrade", "Submit Downgrade", "Cancel", "Cancellation Confirmation"]
# A step that is confirmed has the darker shade of its way's colour.
_UPWARDS, _DOWNWARDS, _OUT = "#2ca02c", "#f2a93b", "#d62728"

CONVERSION = Dashboard(
    slug="conversion",
    title="Conversion",
    description="From free to paid and back, and whether listeners get in.",
    label_colors={
        "upgrades": _UPWARDS,
        "downgrades": _DOWNWARDS,
        "cancellations": _OUT,
        "Upgrade": _UPWARDS,
        "Submit Upgrade": "#1b6b1b",
        "Downgrade": _DOWNWARDS,
        "Submit Downgrade": "#b36f00",
        "Cancel": _OUT,
        "Cancellation Confirmation": "#8c1a1b",
        "successes": _UPWARDS,
        "failures": _OUT,
    },
    filters=(
        ValueFilter(
            name="State", column="state", dataset=PAGE_VIEWS, description="US state; acts on the views of the pages."
        ),
    ),
    rows=(
        even_row(
            18,
            big_number("upgrades", "Upgrades", "How often did free become paid?", FUNNEL, "upgrades"),
            big_number("downgrades", "Downgrades", "How often did paid become free?", FUNNEL, "downgrades"),
            big_number(
                "cancellations", "Cancellations", "How often was an account cancelled?", FUNNEL, "cancellations"
            ),
            big_number(
                "login_success",
                "Login success",
                "What share of the attempts to log in succeeded?",
                LOGINS,
                "success_rate",
            ),
        ),
        even_row(
            26,
            stages(
                "upgrade_funnel",
                "From free to paid",
                "Of the listeners active at level free each day, how many went how far towards paid?",
                FUNNEL,
                "stage_label",
                ["user_days"],
                order="stage_place",
                where=Where().is_in("stage", ["active_free", "upgrade_page", "submit_upgrade", "became_paid"]),
            ),
            stages(
                "downgrade_funnel",
                "From paid to free",
                "Of the listeners active at level paid each day, how many went how far towards free?",
                FUNNEL,
                "stage_label",
                ["user_days"],
                order="stage_place",
                where=Where().is_in("stage", ["active_paid", "downgrade_page", "submit_downgrade", "became_free"]),
            ),
        ),
        even_row(
            40,
            time_series(
                "changes_by_day",
                "Upgrades, downgrades and cancellations by day",
                "How many listeners changed their level or left, day by day?",
                FUNNEL,
                _CHANGES,
                grain=DAY,
                kind="bar",
                axis_title="Events a day",
            ),
            time_series(
                "logins_by_day",
                "Attempts to log in by day",
                "How many attempts succeeded and failed, day by day?",
                LOGINS,
                ["successes", "failures"],
                grain=DAY,
                kind="bar",
                axis_title="Attempts a day",
            ),
        ),
        even_row(
            40,
            time_series(
                "pages_by_day",
                "Views of the pages where levels change",
                "How often were the pages opened on which listeners upgrade, downgrade and cancel?",
                PAGE_VIEWS,
                ["views"],
                grain=DAY,
                split_by="page",
                kind="bar",
                axis_title="Views a day",
                where=Where().is_in("page", _PAGES),
            ),
            time_series(
                "login_success_by_day",
                "Login success by day",
                "What share of each day's attempts to log in succeeded?",
                LOGINS,
                ["success_rate"],
                grain=DAY,
                axis_title="Share of attempts",
                largest=1.0,
            ),
        ),
    ),
)
