"""Services that commands start on this machine: Druid, Superset and Dagster, a live producer of events, a freshness watch."""
