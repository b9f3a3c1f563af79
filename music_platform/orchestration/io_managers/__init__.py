"""Dagster's IO managers: they open an asset's inputs and publish what it made."""
