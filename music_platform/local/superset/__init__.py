"""Superset on this machine, for `music-platform superset`: its environment, its secrets, its server."""
