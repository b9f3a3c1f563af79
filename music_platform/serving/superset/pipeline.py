"""The dashboard Pipeline: whether the data is whole, good and fresh."""

from music_platform.serving.superset.axes import HOUR
from music_platform.serving.superset.chart_queries import Where
from music_platform.serving.superset.charts import big_number, time_series
from music_platform.serving.superset.datasets import PIPELINE as ROWS
from music_platform.serving.superset.model import Dashboard, ValueFilter, even_row
from music_platform.serving.superset.tables import ranking, table
from music_platform.tables.gold.pipeline import COLLECTOR

_QUARANTINE = Where().is_in("layer", ["quarantine", COLLECTOR]).is_known("rule")

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
    filters=(
        ValueFilter(
            name="Layer",
            column="layer",
            dataset=ROWS,
            description="Layer of the lake; acts on rows, lag, freshness and bytes.",
        ),
    ),
    rows=(
        even_row(
            18,
            big_number(
                "landed_rows",
                "Landed lines",
                "How many lines were landed?",
                ROWS,
                "landed_rows",
                regardless_of=["layer"],
            ),
            big_number(
                "quarantine_rate",
                "Quarantine rate",
                "What share of the landed lines broke a rule?",
                ROWS,
                "quarantine_rate",
                regardless_of=["layer"],
            ),
            big_number(
                "usual_lag",
                "Usual lag",
                "How long after the landing of an hour's last object is a table of it published, by the median?",
                ROWS,
                "usual_lag",
            ),
            big_number(
                "late_hours",
                "Hours landed late",
                "Of how many hours did an object land more than a day after their end, in a backfill or with late events?",
                ROWS,
                "late_hours",
            ),
        ),
        even_row(
            40,
            time_series(
                "rows_by_layer",
                "Rows by layer and hour",
                "How many rows does each layer hold of each hour? The lines of a sound hour lie close together.",
                ROWS,
                ["total_rows"],
                grain=HOUR,
                split_by="layer",
                axis_title="Rows an hour",
            ),
            time_series(
                "lag_by_hour",
                "Lag by hour and layer",
                "How many hours after the landing of an hour's last object was each layer last published? On a logarithmic "
                "axis, so that minutes are seen beside the days of an hour made again.",
                ROWS,
                ["longest_lag"],
                grain=HOUR,
                split_by="layer",
                axis_title="Hours, logarithmic",
                is_logarithmic=True,
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
                regardless_of=["layer"],
            ),
            ranking(
                "quarantine_reasons",
                "Why rows are quarantined",
                "Which rules are broken the most, by events and by what the collector could not read?",
                ROWS,
                "rule",
                "total_rows",
                most=10,
                where=_QUARANTINE,
                may_be_empty=True,
                filters_others=False,
                regardless_of=["layer"],
            ),
        ),
        even_row(
            71,  # a table of all that are watched
            table(
                "freshness",
                "Freshness of the tables",
                "Up to which hour does each table reach? The stalest come first.",
                ROWS,
                ["layer", "table_name"],
                ["newest_hour", "total_rows"],
                most=20,
                smallest_first=True,
            ),
            time_series(
                "bytes_by_layer",
                "Bytes by layer and hour",
                "How much room does each layer take for each hour?",
                ROWS,
                ["total_bytes"],
                grain=HOUR,
                split_by="layer",
                kind="bar",
                axis_title="Bytes an hour",
            ),
        ),
    ),
)
