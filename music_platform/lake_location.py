"""The lake's location: a bucket of an object store, or a folder of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

LOCAL = "file"
_BUCKET_SCHEMES = ("s3",)
"""Object stores that the platform knows. Another one is a scheme here, a store in lake/ and notifications in landing/watch/."""


@dataclass(frozen=True)
class LakeLocation:
    """A place as its parts. ``scheme`` is ``s3`` or ``file``; a folder has an empty bucket, and its path as the prefix."""

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> LakeLocation:
        """``s3://bucket/prefix``, or a path. Raises ``ValueError`` for a bucket without a name, and for another scheme."""
        return _parsed(text)

    @property
    def is_local(self) -> bool:
        return self.scheme == LOCAL

    @property
    def key_prefix(self) -> str:
        """What stands before the lake's keys in the bucket: empty, or the prefix with a slash behind it."""
        return f"{self.prefix}/" if self.prefix else ""


@lru_cache(maxsize=64)  # asked for with each object
def _parsed(text: str) -> LakeLocation:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return LakeLocation(LOCAL, "", text)
    if scheme not in _BUCKET_SCHEMES:
        known = " or ".join(f"{name}://bucket/prefix" for name in _BUCKET_SCHEMES)
        raise ValueError(f"is neither {known} nor a local folder")
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise ValueError(f"names no bucket; write {scheme}://bucket/prefix")
    return LakeLocation(scheme, bucket, prefix.strip("/"))
