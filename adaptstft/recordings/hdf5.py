"""MAT files of version 7.3, which are HDF5, through h5py (the extra ``files``)."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any, BinaryIO

import numpy as np

from adaptstft.common.optional import require
from adaptstft.common.typing import AnyArray
from adaptstft.recordings.source import largest_expansion, readable
from adaptstft.recordings.variables import Variable, matlab_object

_MOST_MEMBERS = 10_000
_KIND = "MATLAB 7.3 (HDF5) file"


def hdf5_variables(stream: BinaryIO) -> list[Variable]:
    """List the numeric arrays of a file, and those one level deep in its groups (structs)."""
    try:
        h5py = require("h5py", extra="files")
    except ImportError as error:
        raise ValueError(f"a MATLAB 7.3 (HDF5) file: {error}; or save it with -v7") from None
    with readable(_KIND):
        return list(_variables(h5py, h5py.File(stream, "r"), "", deep=True))


def _variables(h5py: Any, group: Any, prefix: str, *, deep: bool) -> list[Variable]:
    if len(group) > _MOST_MEMBERS:
        raise ValueError(f"{len(group)} members, at most {_MOST_MEMBERS} are read")
    found: list[Variable] = []
    for name in group:
        # links to other files would read what the user did not name
        if name.startswith("#") or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        member = group[name]
        if isinstance(member, h5py.Group):
            found += _variables(h5py, member, f"{prefix}{name}.", deep=False) if deep else []
        elif "MATLAB_object_decode" in member.attrs:  # numbers of other parts of the file, no samples
            found.append(matlab_object(prefix + name, _text(member.attrs.get("MATLAB_class", b"object"))))
        elif isinstance(member, h5py.Dataset) and _is_numeric(member):
            found.append(Variable(prefix + name, tuple(member.shape[::-1]), partial(_load, member)))
    return found


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _is_numeric(dataset: Any) -> bool:
    """Return True for numbers, complex ones included, that are in the file itself and in whole."""
    dtype = dataset.dtype
    names = dtype.names is not None and tuple(dtype.names) == ("real", "imag")
    text = dataset.attrs.get("MATLAB_class", b"") in (b"char", b"cell", b"function_handle")
    if not (dtype.kind in "biuf" or names) or text or "MATLAB_empty" in dataset.attrs or dataset.shape is None:
        return False
    return not (dataset.external or dataset.is_virtual)


def _load(dataset: Any) -> AnyArray:
    with readable(_KIND):
        needed = prod(dataset.shape) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if needed > largest_expansion(stored):
            raise ValueError(f"{dataset.name!r} claims {needed} bytes, it has {stored}")
        values = np.asarray(dataset[()])
    if values.dtype.names is not None:
        values = values["real"] + 1j * values["imag"]
    return values.T  # MATLAB counts the first index fastest
