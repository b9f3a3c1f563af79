"""The platform's own errors: each names the object, partition, column or rule, and what to do next.

Only errors that callers tell apart belong here.
"""


class MusicPlatformError(Exception):
    """Anything that the platform itself reports as failed; its text is written for the person who reads the log."""


class LakeUnreachableError(MusicPlatformError):
    """The object store refused or did not answer although it was tried again for as long as the settings allow."""


class PartitionMissingError(MusicPlatformError):
    """A partition was read that has never been published."""


class ManifestCorruptError(MusicPlatformError):
    """A partition's manifest cannot be read or contradicts the files that it names."""


class PublishConflictError(MusicPlatformError):
    """Other runs replaced the same partition again and again while this one tried to publish it."""


class ContractError(MusicPlatformError):
    """Data or code contradicts a table's contract."""
