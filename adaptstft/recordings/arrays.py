"""NPY and NPZ files; headers are compared with the sizes of the files before an array is made."""

from __future__ import annotations

import zipfile
from functools import partial
from math import prod
from typing import Any, BinaryIO

import numpy as np

from adaptstft.common.memory import check_memory
from adaptstft.common.typing import AnyArray
from adaptstft.recordings.clock import Clock
from adaptstft.recordings.recording import time_last
from adaptstft.recordings.source import size_of
from adaptstft.recordings.variables import Variable, choose_variable

#: Largest compression of DEFLATE.
DEFLATE_RATIO = 1032
_MOST_MEMBERS = 10_000
_ENDING = ".npy"


def read_npy(stream: BinaryIO) -> AnyArray:
    """Return the array of an NPY file with time on its last axis."""
    size = size_of(stream)
    if stream.read(6) != b"\x93NUMPY":
        raise ValueError("not an NPY file")
    stream.seek(0)
    try:
        shape, dtype = _header(stream)
        count = _bytes_of(shape, dtype)
        if count > size - stream.tell():
            raise ValueError(f"its header says {count} bytes of samples, there are {size - stream.tell()}")
        stream.seek(0)
        check_memory(count, "the array")
        samples = np.load(stream, allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds of errors for damaged files
        raise ValueError(f"not a readable NPY file ({error})") from error
    return time_last(samples)


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type of an array, and leave the stream at its first byte."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if any(extent < 0 for extent in shape):
        raise ValueError(f"the shape {shape} is negative")
    return shape, dtype


def check_header(stream: Any, size: int) -> None:
    """Require that the header of an array agrees with the bytes of its file."""
    shape, dtype = _header(stream)
    if _bytes_of(shape, dtype) > size - stream.tell():
        raise ValueError(f"its header says {_bytes_of(shape, dtype)} bytes, there are {size - stream.tell()}")


def _bytes_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return prod(map(int, shape)) * dtype.itemsize


def read_npz(stream: BinaryIO, key: str | None) -> tuple[AnyArray, Clock]:
    """Return an array of an NPZ file with time on its last axis, and the clock among the others."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                raise ValueError(f"{len(members)} members, at most {_MOST_MEMBERS} are read")
            variables = [one for member in members if (one := _variable(archive, member)) is not None]
            return choose_variable(variables, key)
    except _Refused as error:
        raise ValueError(str(error)) from error
    except ValueError:
        raise
    except Exception as error:  # zipfile raises many kinds of errors for damaged files
        raise ValueError(f"not a readable NPZ file ({error})") from error


class _Refused(Exception):
    """A member whose header does not agree with its size."""


def _variable(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Variable | None:
    if not member.filename.endswith(_ENDING):
        return None
    try:
        with archive.open(member) as stream:
            shape, dtype = _header(stream)
            start = stream.tell()
    except ValueError as error:
        raise _Refused(f"not a readable NPZ file (member {member.filename!r}: {error})") from error
    if dtype.kind not in "biufcmM":
        return None
    count = _bytes_of(shape, dtype)
    if count > member.file_size - start or member.file_size > DEFLATE_RATIO * member.compress_size + 1024:
        raise _Refused(
            f"not a readable NPZ file (member {member.filename!r} says {count} bytes of samples, the file has "
            f"{member.compress_size})"
        )
    return Variable(member.filename.removesuffix(_ENDING), tuple(map(int, shape)), partial(_load, archive, member))


def _load(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> AnyArray:
    with archive.open(member) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
