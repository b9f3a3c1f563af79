"""Derives column lineage: the columns of other tables from which each column of silver, quarantine and gold is computed.

plans.py reads it from a transform's own plan, tables.py does so table by table. The result is committed as
tables/column_lineage.json, from which assets take their metadata without an engine.
"""
