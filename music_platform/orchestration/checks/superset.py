"""The check of the dashboards: requests every chart's data as Superset saved the chart."""

import dagster as dg

from music_platform.orchestration.assets.superset import DASHBOARDS_KEY
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.serving.superset.client import SupersetResource
from music_platform.serving.superset.publishing import ask_charts

CHARTS_CHECK = "every_chart_has_data"


def check_charts(superset: SupersetResource) -> CheckOutcome:
    """Whether every chart answers without an error, and with rows if it must have some.

    A datasource without any row, as the recommendations of a first day, is a warning that names it, and no fault of a chart.
    """
    answers = list(ask_charts(superset))
    problems = [answer.problem for answer in answers if answer.problem]
    rows = sum(answer.rows for answer in answers)
    unfilled = sorted({answer.chart.dataset.datasource for answer in answers if answer.is_unfilled})
    said = f"{len(answers)} charts answer, with {rows:,} rows"
    if unfilled:
        said = (
            f"these datasources have no rows yet, and their charts are empty: {', '.join(unfilled)}; "
            "materialize druid/ and the name of each once its table has rows"
        )
    return CheckOutcome(
        table=DASHBOARDS_KEY.to_user_string(),
        check=CHARTS_CHECK,
        passed=not problems and not unfilled,
        is_blocking=bool(problems) or not unfilled,
        description="; ".join(filter(None, [first_problems(problems), said if unfilled or not problems else ""])),
        numbers={
            "charts": len(answers),
            "rows": rows,
            "empty": sum(1 for answer in answers if not answer.rows and not answer.error),
            "failed": sum(1 for answer in answers if answer.error),
            "unfilled_datasources": len(unfilled),
        },
    )


def charts_check() -> dg.AssetChecksDefinition:
    """The check as Dagster runs it."""

    @dg.asset_check(
        asset=DASHBOARDS_KEY,
        name=CHARTS_CHECK,
        description="Every chart answers without an error, and with rows unless it shows what is rare. A datasource without rows "
        "is a warning.",
        blocking=True,
    )
    def check(superset: dg.ResourceParam[SupersetResource]) -> dg.AssetCheckResult:
        return check_charts(superset).to_dagster()

    return check
