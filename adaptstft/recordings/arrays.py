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
from adaptstft.recordings.source import largest_expansion, readable, size_of
from adaptstft.recordings.variables import Variable, choose_variable

_MOST_MEMBERS = 10_000
_ENDING = ".npy"


def read_npy(stream: BinaryIO) -> AnyArray:
    """Return the array of an NPY file with time on its last axis."""
    size = size_of(stream)
    if stream.read(6) != b"\x93NUMPY":
        raise ValueError("not an NPY file")
    stream.seek(0)
    with readable("NPY file"):
        count = check_header(stream, size)
        stream.seek(0)
        check_memory(count, "the array")
        return time_last(np.load(stream, allow_pickle=False))


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type of an array, and leave the stream at its first byte."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if any(extent < 0 for extent in shape):
        raise ValueError(f"the shape {shape} is negative")
    return shape, dtype


def check_header(stream: Any, size: int) -> int:
    """Require that the header of an array agrees with the bytes of its file, and return those of its samples."""
    count, there = _bytes_of(*_header(stream)), size - stream.tell()
    if count > there:
        raise ValueError(f"its header says {count} bytes of samples, there are {there}")
    return count


def _bytes_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return prod(map(int, shape)) * dtype.itemsize


def read_npz(stream: BinaryIO, key: str | None) -> tuple[AnyArray, Clock, tuple[str, ...]]:
    """Return an array of an NPZ file with time on its last axis, the clock among the others, and notes."""
    with readable("NPZ file"):
        archive = zipfile.ZipFile(stream)
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ValueError(f"{len(members)} members, at most {_MOST_MEMBERS} are read")
        variables = [one for member in members if (one := _variable(archive, member)) is not None]
    with archive:
        return choose_variable(variables, key)


def _variable(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Variable | None:
    if not member.filename.endswith(_ENDING):
        return None
    try:
        with archive.open(member) as stream:
            shape, dtype = _header(stream)
            start = stream.tell()
    except ValueError as error:
        raise ValueError(f"member {member.filename!r}: {error}") from error
    if dtype.kind not in "biufcmM":
        return None
    count = _bytes_of(shape, dtype)
    if count > member.file_size - start or member.file_size > largest_expansion(member.compress_size):
        raise ValueError(
            f"member {member.filename!r} says {count} bytes of samples, the file has {member.compress_size}"
        )
    return Variable(member.filename.removesuffix(_ENDING), tuple(map(int, shape)), partial(_load, archive, member))


def _load(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> AnyArray:
    with readable("NPZ file"), archive.open(member) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
