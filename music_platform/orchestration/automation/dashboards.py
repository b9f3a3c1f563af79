"""When the dashboards are imported: one automation condition and its sensor."""

import dagster as dg

SENSOR = "dashboards_follow_the_bundle"
CONDITION = "follows_the_bundle"
_TICK_SECONDS = 60


def follows_the_bundle() -> dg.AutomationCondition[dg.AssetKey]:
    """Imports the dashboards when the bundle changed or was never imported, once some datasource holds rows.

    It does not wait for all: one that cannot come, such as recommendations on a machine that trains none, would keep the
    others' dashboards away. New rows and datasources that come later need no import: a chart queries Druid whenever somebody
    opens it. The bundle holds the datasources' columns, so changed columns change the bundle. A failed import is not repeated:
    it is a failed run and waits for a person.
    """
    condition = dg.AutomationCondition
    has_datasources = condition.any_deps_match(~condition.missing()).with_label("a_datasource_holds_something")
    changed = condition.code_version_changed().since(condition.newly_requested()).with_label("bundle_changed")
    first = (condition.missing() & has_datasources).newly_true().since(condition.newly_requested())
    return (((changed & has_datasources) | first.with_label("has_a_datasource")) & ~condition.in_progress()).with_label(
        CONDITION
    )


def dashboards_sensor(dashboards: dg.AssetKey) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates the condition."""
    return dg.AutomationConditionSensorDefinition(
        SENSOR,
        target=dg.AssetSelection.assets(dashboards),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_TICK_SECONDS,
        description="Imports the dashboards where their bundle changed.",
    )
