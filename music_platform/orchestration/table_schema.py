"""A table's columns as Dagster shows them: schema and lineage."""

import dagster as dg

from music_platform.tables.column_lineage import column_lineage
from music_platform.tables.contract import TableContract
from music_platform.tables.schemas import describe_column, other_constraints


def table_schema(contract: TableContract) -> dg.TableSchema:
    """Dagster's column schema of a table, with constraints and descriptions."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=describe_column(column),
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable,
                    unique=(column.name,) == contract.unique_columns,
                    other=other_constraints(column),
                ),
            )
            for column in contract.columns
        ]
    )


def table_lineage(contract: TableContract) -> dg.TableColumnLineage | None:
    """The source columns of each of the table's columns; None for a table that uses no other table's columns.

    Source columns of the table itself are those of the previous day, from which a day is made.
    """
    lineage = column_lineage().get(contract.path)
    if lineage is None:
        return None
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(dg.AssetKey(table.split("/")), source) for table, source in sources]
            for column, sources in lineage.items()
        }
    )
