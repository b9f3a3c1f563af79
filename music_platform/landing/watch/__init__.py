"""The pure part of the landing sensor: which hours the landed objects belong to, and which of these need a run."""
