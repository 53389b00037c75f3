"""Files that replace others: written to the end before they take the name of the old one."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path, suffix: str = ".new") -> Iterator[io.BufferedWriter]:
    """Open a new file that takes the name `path` once it is on the disk; after an error the old file stays.

    Parameters
    ----------
    path : Path
        The file that is replaced, or made.
    suffix : str, optional
        End of the name of the new file until then.

    Raises
    ------
    FileExistsError
        If there is a file or a link of the new file's name.
    """
    new = path.with_name(path.name + suffix)
    stream = new.open("xb")
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
