"""Measurements behind docs/performance.md: each module is a command that prints its table. Nothing imports them."""
