"""The Parquet lake: writing, manifests, crash-safe publishing, reading."""
