"""Where gold is served: Druid and Superset."""
