"""Files opened once: regular files as they are, pipes read into memory within a time limit, devices refused."""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

#: Seconds without data after which a pipe is given up.
PIPE_WAIT = 10.0
#: Largest number of bytes that are read from a pipe.
LARGEST_PIPE = 1 << 28
_PIECE = 1 << 20


@contextmanager
def open_source(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, as a stream that can be moved; a pipe is read once, to its end.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is a device, an empty file, or a pipe without data.
    """
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        yield io.BytesIO(_read_pipe(path))
        return
    if not stat.S_ISREG(mode):
        raise ValueError("a device or a socket, not a file")
    with path.open("rb") as stream:
        if not stream.read(1):
            raise ValueError("the file is empty")
        stream.seek(0)
        yield stream


def _read_pipe(path: Path) -> bytes:
    """Read a pipe to its end. Opening does not wait for the other program, so that the time limit counts from there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        pieces, total = [], 0
        while piece := _next_piece(descriptor):
            pieces.append(piece)
            total += len(piece)
            if total > LARGEST_PIPE:
                raise ValueError(f"a pipe with more than {LARGEST_PIPE >> 20} MiB: write it to a file first")
    finally:
        os.close(descriptor)
    if not pieces:
        raise ValueError("the pipe is empty")
    return b"".join(pieces)


def _next_piece(descriptor: int) -> bytes:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(PIPE_WAIT * 1000):
        raise ValueError(f"a pipe into which no program has written for {PIPE_WAIT:g} s")
    return os.read(descriptor, _PIECE)


def largest_expansion(stored: int) -> int:
    """Return the most bytes that can be expanded from `stored` ones; DEFLATE reaches 1032 times, and headers count."""
    return 1032 * stored + 1024


@contextmanager
def readable(kind: str, errors: tuple[type[Exception], ...] = (Exception,)) -> Iterator[None]:
    """Turn the errors of a library, which are of many kinds for damaged files, into one that names the kind of file."""
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except errors as error:
        raise ValueError(f"not a readable {kind} ({error})") from error


def size_of(stream: BinaryIO) -> int:
    """Return the size of an open file in bytes; it is at its beginning afterwards."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size
