"""Text files in UTF-8, UTF-16, UTF-32 or Latin-1, line by line."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

#: Bytes that decide the encoding.
_HEAD = 1 << 16
#: Largest number of characters of a line.
_LONGEST_LINE = 1 << 26
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMENTS = ("#", "%", "//")


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that are not UTF-8 as Latin-1: older instruments write µ and ° in it."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("adaptstft-latin-1", _as_latin_1)


def text_lines(stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the number of each line, from 1, and the line."""
    stream.seek(0)
    head = stream.read(_HEAD)
    encoding = _encoding(head)
    if encoding == "utf-8" and b"\0" in head:
        raise ValueError(_not_text(head[: head.index(b"\0")].count(b"\n") + 1))
    stream.seek(0)
    errors = "adaptstft-latin-1" if encoding.startswith("utf-8") else "replace"
    reader = io.TextIOWrapper(stream, encoding=encoding, errors=errors)
    try:
        number = 0
        while line := reader.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise ValueError(f"line {number} has more than {_LONGEST_LINE:,} characters")
            if "\0" in line:
                raise ValueError(_not_text(number))
            yield number, line.rstrip("\r\n")
    finally:
        reader.detach()


def _not_text(line: int) -> str:
    return f"not a table of numbers: line {line} holds bytes that are no text"


def _encoding(head: bytes) -> str:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if b"\0" in head:  # in ASCII as UTF-16 every second byte is zero
        for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if head[first::2].count(0) > 0.9 * len(head[first::2]) and head[1 - first :: 2].count(0) == 0:
                return name
    return "utf-8"


def is_comment(line: str) -> bool:
    """Return True for lines that begin with ``#``, ``%`` or ``//``."""
    return line.lstrip().startswith(_COMMENTS)


def without_comment_mark(line: str) -> str:
    """Return the text of a comment, or the line itself."""
    line = line.strip()
    for mark in _COMMENTS:
        if line.startswith(mark):
            return line.lstrip(mark[0]).strip()
    return line
