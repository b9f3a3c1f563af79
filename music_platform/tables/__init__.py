"""Every table: its contract (columns, types, units, rules) and the transform that makes it. No I/O."""
