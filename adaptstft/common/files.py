"""Files that replace others: written to the end before they take the name of the old one."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def new_file(path: Path) -> Iterator[io.BufferedWriter]:
    """Open a file that must not exist, and write it through to the disk; after an error it is removed.

    Raises
    ------
    FileExistsError
        If there is a file or a link of this name.
    """
    stream = path.open("xb")
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
