"""Reads an unresolved Spark Connect plan: finds the source columns from which each of its columns is computed.

Only columns whose values are used count as sources; columns that merely filter, join or group do not. Nothing is run or
analysed, so the tables need not exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import DataFrame

from music_platform.errors import MusicPlatformError
from music_platform.tables.column_lineage import ColumnSource
from music_platform.tables.contract import TableContract

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_TEXT_LITERAL = re.compile(r"'[^']*'")
_AGGREGATES_OF_ROWS = {"count", "sum"}
_ROWS_WITHOUT_THE_OTHER_SIDE = {"JOIN_TYPE_LEFT_SEMI", "JOIN_TYPE_LEFT_ANTI"}


class LineageError(MusicPlatformError):
    """A plan contains something that this module cannot follow."""


@dataclass(frozen=True)
class _Origin:
    """The sources of a value. ``counted`` are the tables whose rows a constant marks, so that summing it counts them."""

    sources: frozenset[ColumnSource] = frozenset()
    counted: frozenset[str] = frozenset()

    def __or__(self, other: _Origin) -> _Origin:
        return _Origin(self.sources | other.sources, self.counted | other.counted)


_Columns = dict[str, _Origin]
_NOTHING = _Origin()


def column_sources(frame: DataFrame, tables: Mapping[str, TableContract]) -> dict[str, frozenset[ColumnSource]]:
    """The sources of each column of a frame, by the column's name, in the frame's order.

    ``tables`` are the contracts of the tables that the frame reads, by path. Raises ``LineageError`` at a relation or an
    expression that it does not know.
    """
    # PySpark has no public way to a frame's plan; its release is pinned for Sail's sake anyway.
    plan: Any = cast("Any", frame)._plan
    columns = _PlanReader(tables).columns_of(plan.to_proto(cast("Any", frame.sparkSession).client).root)
    return {name: origin.sources for name, origin in columns.items()}


class _PlanReader:
    """Visits a plan's relations, starting at its leaves."""

    def __init__(self, tables: Mapping[str, TableContract]) -> None:
        self._tables = tables

    def columns_of(self, relation: Any) -> _Columns:
        """The columns of a relation (spark.connect.Relation) with their origins."""
        kind = relation.WhichOneof("rel_type")
        node = getattr(relation, kind)
        if kind == "read":
            return self._read(node)
        if kind == "local_relation":
            return dict.fromkeys(_names_of_local(node), _NOTHING)
        if kind == "range":
            return {"id": _NOTHING}
        if kind == "set_op":
            return self._set_operation(node)
        if kind == "join":
            return self._join(node)
        columns = self.columns_of(node.input)
        if kind in ("filter", "sort", "limit", "deduplicate", "fill_na", "repartition", "repartition_by_expression"):
            return columns
        if kind == "project":
            return self._named(node.expressions, columns, node.input)
        if kind == "with_columns":
            added = {alias.name[0]: self._origin(alias.expr, columns, node.input) for alias in node.aliases}
            return columns | added
        if kind == "drop":
            dropped = {*node.column_names, *(_attribute_name(column) for column in node.columns)}
            return {name: origin for name, origin in columns.items() if name not in dropped}
        if kind == "aggregate":
            return self._named([*node.grouping_expressions, *node.aggregate_expressions], columns, node.input)
        raise LineageError(f"no lineage through '{kind}' of a plan; teach it to music_platform/tables/lineage/plans.py")

    def _read(self, node: Any) -> _Columns:
        [path] = node.data_source.paths
        contract = self._tables[path]
        return {column.name: _Origin(frozenset({(contract.path, column.name)})) for column in contract.columns}

    def _set_operation(self, node: Any) -> _Columns:
        left, right = self.columns_of(node.left_input), self.columns_of(node.right_input)
        if node.by_name:
            return {name: origin | right.get(name, _NOTHING) for name, origin in left.items()}
        return {name: origin | other for (name, origin), other in zip(left.items(), right.values(), strict=True)}

    def _join(self, node: Any) -> _Columns:
        left, right = self.columns_of(node.left), self.columns_of(node.right)
        if type(node).JoinType.Name(node.join_type) in _ROWS_WITHOUT_THE_OTHER_SIDE:
            return left
        return left | {name: origin for name, origin in right.items() if name not in node.using_columns}

    def _named(self, expressions: Iterable[Any], columns: _Columns, relation: Any) -> _Columns:
        named: _Columns = {}
        for expression in expressions:
            if expression.WhichOneof("expr_type") == "unresolved_star":
                named |= columns
                continue
            named[_name_of(expression)] = self._origin(expression, columns, relation)
        return named

    def _origin(self, expression: Any, columns: _Columns, relation: Any) -> _Origin:
        """The sources of an expression's value (spark.connect.Expression) over a relation's columns."""
        kind = expression.WhichOneof("expr_type")
        node = getattr(expression, kind)
        if kind == "unresolved_attribute":
            return columns[_attribute_name(expression)]
        if kind == "literal":
            return self._constant(node, relation)
        if kind == "unresolved_star":
            return _Origin(counted=frozenset(self._tables_of(relation)))
        if kind == "expression_string":
            names = _IDENTIFIER.findall(_TEXT_LITERAL.sub("", node.expression))
            return _union(columns[name] for name in names if name in columns)
        if kind == "window":
            return self._window(node, columns, relation)
        parts = _parts_of(kind, node)
        origin = _union(self._origin(part, columns, relation) for part in parts)
        if kind == "unresolved_function" and node.function_name in _AGGREGATES_OF_ROWS:
            return _Origin(origin.sources | self._identities(origin.counted))
        return origin

    def _constant(self, literal: Any, relation: Any) -> _Origin:
        kind = literal.WhichOneof("literal_type")
        if kind in ("integer", "long") and getattr(literal, kind) == 1:
            return _Origin(counted=frozenset(self._tables_of(relation)))
        return _NOTHING

    def _window(self, node: Any, columns: _Columns, relation: Any) -> _Origin:
        """A rank's sources are its ordering columns; those of any other window function are its arguments."""
        function = self._origin(node.window_function, columns, relation)
        if function.sources:
            return replace(function, counted=frozenset())
        return _union(self._origin(order.child, columns, relation) for order in node.order_spec)

    def _identities(self, tables: Iterable[str]) -> frozenset[ColumnSource]:
        """The columns that identify the rows of tables: the sources of a count of the rows."""
        contracts = {contract.path: contract for contract in self._tables.values()}
        return frozenset((table, name) for table in tables for name in contracts[table].unique_columns)

    def _tables_of(self, relation: Any) -> set[str]:
        return {table for origin in self.columns_of(relation).values() for table, _ in origin.sources}


def _names_of_local(node: Any) -> list[str]:
    """The columns of literal rows in a plan, which have no source."""
    if node.data:
        return pa.ipc.open_stream(node.data).schema.names
    return [column["name"] for column in json.loads(node.schema)["fields"]]


def _parts_of(kind: str, node: Any) -> list[Any]:
    """The sub-expressions of an expression."""
    if kind == "alias" or (kind == "cast" and node.HasField("expr")):
        return [node.expr]
    if kind in ("unresolved_function", "common_inline_user_defined_function"):
        return list(node.arguments)
    if kind == "sort_order":
        return [node.child]
    raise LineageError(
        f"no lineage through '{kind}' of an expression; teach it to music_platform/tables/lineage/plans.py"
    )


def _name_of(expression: Any) -> str:
    kind = expression.WhichOneof("expr_type")
    if kind == "alias":
        return expression.alias.name[0]
    if kind == "unresolved_attribute":
        return expression.unresolved_attribute.unparsed_identifier.split(".")[-1]
    if kind == "cast":
        return _name_of(expression.cast.expr)
    raise LineageError(f"a column of a plan has no name: {str(expression)[:200]}; give it an alias")


def _attribute_name(expression: Any) -> str:
    """The column that an attribute reads; for a field of a struct, the struct's column."""
    return expression.unresolved_attribute.unparsed_identifier.split(".")[0]


def _union(origins: Iterable[_Origin]) -> _Origin:
    result = _NOTHING
    for origin in origins:
        result |= origin
    return result
