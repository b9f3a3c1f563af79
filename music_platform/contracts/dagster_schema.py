"""Dagster's column schema of a table, from its contract. Apart from schemas.py, so that Spark workers never import Dagster."""

import dagster as dg

from music_platform.contracts.schemas import describe_column, other_constraints
from music_platform.contracts.table import TableContract


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
