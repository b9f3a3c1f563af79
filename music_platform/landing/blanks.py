"""What is nothing around a record on its line: byte order marks before it, and blank lines.

A mark stands at the beginning of what some programs write, and so, where files or gzip members follow one another, at the
beginning of any line.
"""

import re

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MARKS_OF_LINES = re.compile(rb"^(?:[ \t\r\v\f]*\xef\xbb\xbf)+", re.MULTILINE)


def without_marks(lines: bytes) -> bytes:
    """Lines without the byte order marks at their beginnings; a mark within a line is part of its text and stays."""
    return _MARKS_OF_LINES.sub(b"", lines) if BYTE_ORDER_MARK in lines else lines


def is_blank(line: bytes) -> bool:
    """Whether a line holds nothing but blanks, carriage returns and byte order marks."""
    return not without_marks(line).strip()
