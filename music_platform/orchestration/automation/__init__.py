"""Jobs (and, as they come, sensors, schedules and automation conditions)."""
