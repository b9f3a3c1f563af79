"""Checks that guard each layer: contract, reconciliation, quarantine rate."""
