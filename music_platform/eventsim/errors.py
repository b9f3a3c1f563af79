"""The generator's own errors: each names the option, file or receiver at fault and what to do next.

Errors of the platform's tables and partitions do not belong here.
"""

from music_platform.errors import MusicPlatformError


class GeneratorError(MusicPlatformError):
    """The generator cannot do what its options ask for."""


class GeneratorConfigError(GeneratorError):
    """A configuration file of virtual listeners cannot be read or contradicts itself."""


class CatalogueError(GeneratorError):
    """A song catalogue cannot be read or holds nothing that can be played."""


class SinkError(GeneratorError):
    """A receiver refused events or did not answer although it was tried again for as long as allowed."""
