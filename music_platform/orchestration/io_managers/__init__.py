"""Dagster's IO managers: what an asset gets as its inputs, and how what it made is published."""
