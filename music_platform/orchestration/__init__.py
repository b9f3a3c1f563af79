"""What Dagster runs: assets, checks, automation, IO managers. The only room that imports dagster, beside definitions.py."""
