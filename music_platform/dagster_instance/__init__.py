"""What the platform gives a Dagster instance on one machine, named in deploy/local/dagster.yaml. Nothing of the data."""
