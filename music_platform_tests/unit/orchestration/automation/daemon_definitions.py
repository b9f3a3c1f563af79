"""The small tier's definitions as a code location, for the daemon that a test starts; settings come from its environment."""

from music_platform.settings import Settings
from music_platform_tests.unit.orchestration.automation.small_tier import small_definitions

defs = small_definitions(Settings())
