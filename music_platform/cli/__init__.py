"""The music-platform command, one module a subcommand; the work itself stands in the other packages."""
