"""The transforms of bronze and silver, and expressions that several tables share. Pure; they run on Spark and on Sail."""
