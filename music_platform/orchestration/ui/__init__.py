"""Dagster's UI as the platform serves it: Dagster's own application behind a guard against other sites' requests."""
