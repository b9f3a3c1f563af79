"""What assets connect to: the object store and the Spark session."""
