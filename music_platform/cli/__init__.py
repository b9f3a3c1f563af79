"""The music-platform command, one module per subcommand; the other packages do the work."""
