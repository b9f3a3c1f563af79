"""Virtual listeners of a music service, simulated as Eventsim does: ``generate_files`` writes a period's four files.

Nothing here knows Dagster or the lake.
"""

from music_platform.eventsim.errors import CatalogueError, GeneratorConfigError, GeneratorError, SinkError
from music_platform.eventsim.generator import GenerationSummary, Progress, generate_files
from music_platform.eventsim.options import GeneratorOptions
from music_platform.eventsim.rendering import EVENT_TYPES

__all__ = [
    "EVENT_TYPES",
    "CatalogueError",
    "GenerationSummary",
    "GeneratorConfigError",
    "GeneratorError",
    "GeneratorOptions",
    "Progress",
    "SinkError",
    "generate_files",
]
