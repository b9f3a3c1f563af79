"""The assets of the tables around the model: each day is computed in this process, from its inputs' rows, in order.

music_platform/recommendation computes them. This module opens days, makes them one after the other and hands them to the IO
manager. The tables of the recommendations that a transform makes are assets as gold's are (assets/gold.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
from pyspark.sql import DataFrame

from music_platform.errors import ManifestCorruptError
from music_platform.inert_text import inert
from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import GoneInputs
from music_platform.lake.manifest import Source
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.gold import asset_in, day_before_of, gold_assets, inputs_of
from music_platform.orchestration.assets.tables import (
    LAKE_IO_MANAGER,
    SINGLE_RUN,
    GoneInputsConfig,
    data_version_of,
    gone_inputs_of,
    pool_of,
    spec_arguments,
    with_progress,
)
from music_platform.orchestration.io_managers.partition_metadata import add_partition_metadata
from music_platform.orchestration.spark_resource import SparkResource
from music_platform.partitions import partition_before
from music_platform.recommendation.days import MAKERS, Made
from music_platform.recommendation.parameters import Parameters
from music_platform.recommendation.spark_training import RecommendationEngineError
from music_platform.settings import Settings
from music_platform.tables.catalogue import DerivedTable
from music_platform.tables.model_table import ModelTable

_LONGEST_CELL = 300


def recommendation_assets(
    tables: Iterable[DerivedTable], hours: dg.PartitionsDefinition, days: dg.PartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """One asset for each of these tables of the recommendations."""
    return [
        asset
        for table in tables
        for asset in ([_asset(table, days)] if isinstance(table, ModelTable) else gold_assets([table], hours, days))
    ]


def _asset(table: ModelTable, days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    contract = table.contract

    @dg.asset(
        **spec_arguments(contract, transform_versions=[table.version], kinds={"python", "parquet"}),
        ins={name: asset_in(table, name) for name in table.inputs},
        deps=[day_before_of(contract.asset_key)] if table.carries_forward else [],
        partitions_def=days,
        backfill_policy=SINGLE_RUN,
        pool=pool_of(contract),
        io_manager_key=LAKE_IO_MANAGER,
    )
    def model_table(
        context: dg.AssetExecutionContext,
        config: GoneInputsConfig,
        lake: dg.ResourceParam[Lake],
        spark: SparkResource,
        **inputs: StoredPartitions,
    ) -> dg.Output[StagedPartitions]:
        keys = list(context.partition_keys)
        staged = StagedPartitions.begin(contract, context.run_id, {})
        shown: dict[str, dict[str, Any]] = {}
        for [day] in with_progress(context, contract.path, [[key] for key in keys]):
            made = stage_day(table, day, inputs, staged, lake, spark.engine)
            context.log.info(f"{contract.path} {day}: {_in_words(made.figures)}")
            shown[day] = _metadata_of(made)
        add_partition_metadata(context.op_execution_context.get_step_execution_context(), context.asset_key, shown)
        staged.may_remove_rows = gone_inputs_of(context, config) is GoneInputs.REMOVE
        return dg.Output(staged, data_version=data_version_of(staged, keys))

    return model_table


def parameters_of(settings: Settings) -> Parameters:
    """What the settings say of the model and its lists."""
    return Parameters(
        engine=settings.recommendation_engine,
        factors=settings.recommendation_factors,
        regularization=settings.recommendation_regularization,
        confidence=settings.recommendation_confidence,
        least_listeners=settings.recommendation_least_listeners,
    )


def stage_day(
    table: ModelTable,
    day: str,
    inputs: Mapping[str, StoredPartitions],
    staged: StagedPartitions,
    lake: Lake,
    spark: SparkEngine,
) -> Made:
    """Compute and write one day, for the IO manager to publish; ``inputs`` are opened for it and the days around.

    Raises ``PartitionMissingError`` that names the input and the partition when there is nothing to make the day from.
    """
    opened = _OpenedDay(table, day, inputs, staged, lake, spark)
    made = MAKERS[table.contract.path](opened, parameters_of(lake.settings))
    staged.write_rows(made.tables, day, lake)
    staged.sources[day] = opened.sources
    return made


class _OpenedDay:
    """A day's inputs as ``recommendation.days.DayOfInputs`` wants them; ``sources`` are what the day was made from."""

    def __init__(
        self,
        table: ModelTable,
        day: str,
        inputs: Mapping[str, StoredPartitions],
        staged: StagedPartitions,
        lake: Lake,
        spark: SparkEngine,
    ) -> None:
        self.day = day
        self.day_before = partition_before(day)
        self._contract = table.contract
        self._inputs, self._staged, self._lake, self._spark = inputs, staged, lake, spark
        self._chosen = inputs_of(table, day, inputs)
        self.sources: list[Source] = [
            source for name, keys in self._chosen.items() for key in keys for source in inputs[name].sources()[key]
        ]

    def rows_of(self, name: str, day: str) -> int:
        return self._inputs[name].rows[day]

    def is_published(self, name: str, day: str) -> bool:
        return day in self._chosen[name]

    def batches(self, name: str, day: str, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        return self._inputs[name].batches_of_rows(day, columns)

    def frame(self, name: str, day: str) -> DataFrame:
        if self._spark.is_embedded:
            raise RecommendationEngineError("Sail, the embedded engine, has no machine learning")
        return self._inputs[name].read([day])

    def previous(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch] | None:
        before = self.day_before
        if before in self._staged.made:
            self.sources.append(self._staged.source(before))
            return self._staged.batches_of_rows(before, columns, self._lake)
        stored = StoredPartitions.open_published(self._contract, [before], self._lake, self._spark)
        if not stored.manifests:
            return None
        try:
            found = list(stored.batches_of_rows(before, columns))
        except (pa.ArrowInvalid, OSError) as error:  # a damaged footer is the latter
            raise ManifestCorruptError(f"{self._contract.path} partition {before}: {error}") from error
        self.sources += stored.sources()[before]
        return found


def _metadata_of(made: Made) -> dict[str, Any]:
    """Figures, which Dagster plots by partition, and the examples as cells of plain text: titles are never markup."""
    if not made.examples:
        return made.figures
    records = [
        dg.TableRecord({name: inert(text, longest=_LONGEST_CELL) for name, text in row.items()})
        for row in made.examples
    ]
    return {**made.figures, "examples": dg.MetadataValue.table(records)}


def _in_words(figures: Mapping[str, int | float | str]) -> str:
    return ", ".join(
        f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
