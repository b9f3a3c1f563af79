"""Reading one small file, plain or compressed with gzip or xz, wholly into memory.

Only the choice of the decompressor belongs here; what the bytes mean does not.
"""

import gzip
import lzma
import zlib
from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"
_XZ_MAGIC = b"\xfd7zXZ\x00"


def read_bytes(path: Path) -> bytes:
    """The file's content, decompressed by what its first bytes say, so a wrong suffix does no harm.

    Raises ``OSError`` where the file cannot be read and ``ValueError`` where its compression is broken.
    """
    content = path.read_bytes()
    try:
        if content.startswith(_GZIP_MAGIC):
            return gzip.decompress(content)
        if content.startswith(_XZ_MAGIC):
            return lzma.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise ValueError(f"its compression is broken ({error})") from error
    return content
