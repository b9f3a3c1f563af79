"""Jobs, sensors, schedules and automation conditions: when which partitions are made, and who hears of a failure."""
