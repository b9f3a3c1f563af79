"""A real Druid on one machine: its jars, Java, configuration and processes. How Druid is asked stands in resources."""
