"""Byte order marks before records, which are ignored. A line that holds only blanks besides them is ignored as a whole.

Some programs begin their output with a mark. Where files or gzip members are joined, it can stand at the beginning of any line.
"""

import re

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MARKS_OF_LINES = re.compile(rb"^(?:[ \t\r\v\f]*\xef\xbb\xbf)+", re.MULTILINE)


def without_marks(lines: bytes) -> bytes:
    """Lines without the byte order marks at their beginnings; a mark within a line is part of its text and stays."""
    if BYTE_ORDER_MARK[0] not in lines:  # one byte is found ten times as fast as three
        return lines
    return _MARKS_OF_LINES.sub(b"", lines) if BYTE_ORDER_MARK in lines else lines
