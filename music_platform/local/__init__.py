"""What a command starts on this machine: Druid, Superset and Dagster, a producer of live events, a watch on freshness."""
