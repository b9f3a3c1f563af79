"""The small tier's definitions as a code location, for the daemon that a test starts; settings come from its environment."""

from small_tier import small_definitions

from music_platform.settings import Settings

defs = small_definitions(Settings())
