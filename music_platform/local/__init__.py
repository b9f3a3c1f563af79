"""The line from listeners to gold while it runs: a producer of landed events, the local Dagster, and a watch on freshness."""
