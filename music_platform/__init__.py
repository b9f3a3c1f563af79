"""A Dagster data platform for a music streaming service. Start reading at definitions.py."""
