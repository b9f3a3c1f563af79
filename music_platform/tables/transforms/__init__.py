"""Pure functions from DataFrames to DataFrames, by layer. No Dagster, no input or output; they run on Spark and Sail."""
