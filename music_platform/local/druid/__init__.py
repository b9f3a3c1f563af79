"""A real Druid on one machine: its jars, Java, configuration and processes. serving/druid/ is its client."""
