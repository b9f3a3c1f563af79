"""gold/pipeline: what the manifests of an hour's tables say, for whoever watches the pipeline itself.

It tells of runs, not of listeners, and a rebuild changes it: so it is none of the tables that can be recomputed, and is made
only where it is served. Contract only; the asset stands in assets/pipeline.py.
"""

from music_platform.tables.bronze import BRONZE
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.columns import count_column, text_column, time_column
from music_platform.tables.contract import Column, ColumnType, Layer, Personal, TableContract
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

WATCHED: tuple[TableContract, ...] = (
    *BRONZE.values(), *SILVER.values(), *QUARANTINE.values(), COLLECTOR_ERRORS, FACT_STREAMS, FACT_PAGE_VIEWS,
)  # fmt: skip
"""The hourly tables that it tells of."""

COLLECTOR = "collector"
"""What stands for the layer of the collector's errors: they are not among the lines that were landed."""

PIPELINE = TableContract(
    layer=Layer.GOLD,
    name="pipeline",
    description="One row an hour and hourly table, in quarantine one for each rule: rows, bytes, and when they were published.",
    columns=(
        time_column(
            "hour_time", "The hour that the table's partition holds: the row's partition.", personal=Personal.NONE
        ),
        Column(
            name="layer",
            type=ColumnType.STRING,
            description=f"Layer of the table; `{COLLECTOR}` for the collector's errors.",
            allowed=(str(Layer.BRONZE), str(Layer.SILVER), str(Layer.QUARANTINE), COLLECTOR, str(Layer.GOLD)),
            personal=Personal.NONE,
        ),
        text_column("table_name", "Name of the table within its layer.", personal=Personal.NONE),
        text_column(
            "rule",
            "First rule that the rows broke, of rows in quarantine; else null.",
            nullable=True,
            personal=Personal.NONE,
        ),
        count_column("row_count", "Rows."),
        count_column("byte_count", "Bytes of the table's files, on the row of the rule with the most rows."),
        Column(
            name="lag_seconds",
            type=ColumnType.DOUBLE,
            description="From the hour's end to when the partition was last published; zero where that was before the end.",
            unit="seconds",
            minimum=0,
            personal=Personal.NONE,
        ),
    ),
    partition_column="hour_time",
    sort_columns=("hour_time", "layer", "table_name", "rule"),
)
