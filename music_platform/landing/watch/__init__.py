"""Which hours the landed objects belong to, and which of them are to run: the pure part of the landing sensor."""
