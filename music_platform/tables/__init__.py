"""What each table promises: columns, types, units, meaning and rules. No engine, no input or output."""
