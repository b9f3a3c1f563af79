"""Derives column lineage: from which columns of which tables each column of silver and gold comes.

It is read from the transforms' own plans (plans.py), table by table (tables.py). What was derived is kept with the contracts
(contracts/column_lineage.json), from which assets take their metadata without an engine, and told in docs/lineage.md
(document.py).
"""
