"""The platform's own errors: each names the object, partition, column or rule, and what to do next.

Only errors that callers distinguish belong here.
"""

import re


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


class LandedObjectGoneError(MusicPlatformError):
    """A landed object was listed and was gone when the engine read it."""


class RowsWouldBeRemovedError(MusicPlatformError):
    """A run would remove rows of a partition only because their source is gone."""


class MissingFileError(MusicPlatformError):
    """A file that a manifest names was gone when the engine read it."""


class LocalDruidError(MusicPlatformError):
    """The local Druid cannot be downloaded, started or stopped."""


class DruidUnreachableError(MusicPlatformError):
    """Druid did not answer although it was tried again for as long as the settings allow."""


class DruidRequestRefusedError(MusicPlatformError):
    """Druid refused a request: a spec or a query that it does not take, or credentials that it does not know."""


class DruidTaskFailedError(MusicPlatformError):
    """A task of Druid failed, or did not end in time; the text holds what the task itself says."""


class DruidIngestionError(MusicPlatformError):
    """A datasource does not hold what its gold table does although its task succeeded."""


def platform_error_of(error: Exception) -> Exception:
    """The platform's own error behind an engine's: a worker's errors reach the caller only as a traceback's text.

    Any other error is returned as it is.
    """
    text = str(error)
    for error_type in MusicPlatformError.__subclasses__():
        found = re.search(rf"music_platform\.errors\.{error_type.__name__}: (.+)", text)
        if found:
            return error_type(found[1].strip())
    if lacking := re.search(r"ModuleNotFoundError: (.+)", text):
        return MusicPlatformError(
            f"the engine's workers lack a package: {lacking[1].strip()}. Install this project there, in the version that "
            "runs here."
        )
    if missing := re.search(r"^.*\.parquet.*(?:No such file|not found|NotFound|does not exist).*$"
                            r"|^.*(?:No such file|not found|NotFound|does not exist).*\.parquet.*$", text, re.M):  # fmt: skip
        return MissingFileError(
            f"a file that a partition's manifest names is gone: {missing[0].strip()[:500]}. If another run published the "
            "partition in the meantime, run again; if not, materialize that partition again to replace the lost file."
        )
    return error
