"""The dashboard Pipeline: whether the data is whole, good and fresh."""

from music_platform.dashboards.chart_queries import Where
from music_platform.dashboards.charts import HOUR, big_number, ranking, table, time_series
from music_platform.dashboards.datasets import PIPELINE as ROWS
from music_platform.dashboards.model import Dashboard, Place, Row, ValueFilter, even_row

_QUARANTINE = Where().is_in("layer", ["quarantine"]).is_known("rule")

PIPELINE = Dashboard(
    slug="pipeline",
    title="Pipeline",
    description="Whether the data is whole, good and fresh.",
    label_colors={
        "bronze": "#b5763a",
        "silver": "#8c9aa8",
        "gold": "#e0b400",
        "quarantine": "#d62728",
        "collector": "#9467bd",
    },
    filters=(ValueFilter(name="Layer", column="layer", dataset=ROWS, description="Layer of the lake."),),
    rows=(
        even_row(
            18,
            big_number("landed_rows", "Landed lines", "How many lines were landed?", ROWS, "landed_rows"),
            big_number("quarantined_rows", "Quarantined rows", "How many rows broke a rule?", ROWS, "quarantined_rows"),
            big_number(
                "quarantine_rate",
                "Quarantine rate",
                "What share of the landed lines is that?",
                ROWS,
                "quarantine_rate",
            ),
            big_number(
                "slowest",
                "Longest lag in minutes",
                "How many minutes after an hour's end was its slowest table published?",
                ROWS,
                "slowest_minutes",
            ),
        ),
        even_row(
            40,
            time_series(
                "rows_by_layer",
                "Rows by layer and hour",
                "How many rows does each layer hold of each hour?",
                ROWS,
                ["total_rows"],
                grain=HOUR,
                split_by="layer",
                axis_title="Rows an hour",
            ),
            time_series(
                "lag_by_hour",
                "Lag by hour and layer",
                "How many minutes after an hour's end was each layer published?",
                ROWS,
                ["slowest_minutes"],
                grain=HOUR,
                split_by="layer",
                axis_title="Minutes",
            ),
        ),
        even_row(
            40,
            time_series(
                "quarantine_by_hour",
                "Quarantine rate by hour",
                "What share of each hour's landed lines is quarantined?",
                ROWS,
                ["quarantine_rate"],
                grain=HOUR,
                axis_title="Share of landed lines",
            ),
            ranking(
                "quarantine_reasons",
                "Why rows are quarantined",
                "Which rules are broken the most?",
                ROWS,
                "rule",
                "total_rows",
                most=10,
                where=_QUARANTINE,
                may_be_empty=True,
            ),
        ),
        Row(
            height=44,
            places=(
                Place(
                    width=6,
                    chart=table(
                        "freshness",
                        "Freshness of the tables",
                        "Up to which hour does each table reach?",
                        ROWS,
                        ["layer", "table_name"],
                        ["newest_hour", "total_rows", "slowest_minutes"],
                        most=20,
                    ),
                ),
            ),
        ),
    ),
)
