"""MAT files of version 7.3, which are HDF5, through h5py (the extra ``files``)."""

from __future__ import annotations

import struct
from functools import partial
from math import prod
from typing import Any, BinaryIO

import numpy as np

from adaptstft.common.optional import require
from adaptstft.common.typing import AnyArray
from adaptstft.recordings.matlab_outline import LeftOut, Outline, is_large, is_long
from adaptstft.recordings.matlab_tables import CLASSES, MOST_EMPTY, OBJECT_HEAD, check_object, check_objects, load_table
from adaptstft.recordings.source import largest_expansion, readable, size_of
from adaptstft.recordings.variables import Variable, matlab_object

_MOST_MEMBERS = 10_000
#: Bytes before the HDF5 part of a MAT file.
_HEAD = 512
#: Classes of cells; the second has all objects.
_CELLS = ("cell", "FileWrapper__")
#: Attributes that mat-io needs, beside the names of fields, and the most bytes of one.
_ATTRIBUTES = ("MATLAB_class", "MATLAB_object_decode", "MATLAB_int_decode", "MATLAB_empty")
_LARGEST_ATTRIBUTE = 256
#: Beginning of a global heap of version 1.
_HEAP = b"GCOL\x01\0\0\0"
_PIECE = 1 << 20
#: Deepest nesting and largest number of the parts of the objects of a file.
_DEEPEST, _MOST_PARTS = 16, 20_000
_KIND = "MATLAB 7.3 (HDF5) file"


def hdf5_variables(stream: BinaryIO) -> list[Variable]:
    """List the numeric arrays of a file, and those one level deep in its groups (structs)."""
    try:
        h5py = require("h5py", extra="files")
    except ImportError as error:
        raise ValueError(f"a MATLAB 7.3 (HDF5) file: {error}; or save it with -v7") from None
    with readable(_KIND):
        file = h5py.File(stream, "r")
        found = _variables(h5py, file, "", deep=True)
    return [_with_table(h5py, file, stream, one) for one in found]


def _with_table(h5py: Any, file: Any, stream: BinaryIO, variable: Variable) -> Variable:
    if variable.class_name not in CLASSES or variable.folder:
        return variable
    outline = partial(_write_outline, h5py, file, stream, variable.name)
    load = partial(load_table, variable.name, variable.class_name, outline)
    return matlab_object(variable.name, variable.class_name, load)


def _write_outline(h5py: Any, file: Any, stream: BinaryIO, name: str, target: BinaryIO) -> Outline:
    """Check a table and the contents of all objects, and write the outline of a file that has these only."""
    check_heaps(stream)
    stream.seek(0)
    head = stream.read(_HEAD)
    objects = file["#subsystem#"]
    description = file[objects["MCOS"][()].ravel()[0]]
    if description.dtype != np.uint8:
        raise ValueError("its objects are not described")
    check_objects(description[()].tobytes(), "<")
    with h5py.File(target, "w", userblock_size=_HEAD) as copy:
        parts = _Parts(h5py, file, copy, keep=description)
        parts.copy(file[name], copy, name, 0)
        parts.copy(objects, copy, "#subsystem#", 0)
    target.seek(0)
    target.write(head)
    return parts.outline


def check_heaps(stream: BinaryIO) -> None:
    """Require that the parts of the global heaps, which hold the names of fields, lie in their heaps.

    The HDF5 library does not end if the size of a part is so large that the place after it is before the part.
    """
    size, start, overlap = size_of(stream), 0, b""
    while True:
        stream.seek(start)
        piece = stream.read(_PIECE)
        if not piece:
            return
        joined = overlap + piece
        at = joined.find(_HEAP)
        while at >= 0:
            _check_heap(stream, start - len(overlap) + at, size)
            at = joined.find(_HEAP, at + 1)
        overlap = joined[-(len(_HEAP) - 1) :]
        start += len(piece)


def _check_heap(stream: BinaryIO, place: int, size: int) -> None:
    stream.seek(place + len(_HEAP))
    (whole,) = struct.unpack("<Q", stream.read(8).ljust(8, b"\0"))
    end = place + whole
    if whole < 16 or end > size:
        raise ValueError(f"a heap of {whole} bytes")
    place += 16
    while end - place >= 16:
        stream.seek(place)
        index, length = struct.unpack("<H6xQ", stream.read(16))
        need = 16 + length + -length % 8 if index else length  # the part 0 is the free rest
        if need < 16 or need > end - place:
            raise ValueError(f"a part of {length} bytes of a heap with {end - place} more")
        place += need


class _Parts:
    """Copies an object and what it refers to without long arrays, and compares what they declare with the file."""

    def __init__(self, h5py: Any, file: Any, target: Any, keep: Any) -> None:
        self.h5py, self.file, self.target, self.kept = h5py, file, target, keep
        self.outline = Outline()
        self.count = 0
        self._others = target.create_group("#refs#")

    def copy(self, part: Any, group: Any, name: str, depth: int, cells: int = 0) -> Any:
        """Check a part in so many `cells` and what it refers to, and copy it into a group; return the copy."""
        self.count += 1
        if depth > _DEEPEST or self.count > _MOST_PARTS:
            raise ValueError(f"objects of more than {_MOST_PARTS} parts, or nested more than {_DEEPEST} deep")
        if "MATLAB_sparse" in part.attrs:
            return self._leave_out(part, group, name)
        if isinstance(part, self.h5py.Group):
            return self._copy_group(part, group.create_group(name), depth, cells)
        self._check_sizes(part)
        nested, is_cell = part.dtype.kind == "O", _class_of(part) in _CELLS
        rows = cells if is_cell else 2  # other references are those of the structs of an array
        if is_large(prod(part.shape), cells=rows) if nested else self._is_long(part):
            return self._leave_out(part, group, name)
        values = part[()]
        if nested:
            for k, reference in np.ndenumerate(values):
                if not reference:
                    raise ValueError("an object refers to nothing")
                place = self._others, str(self.count), depth + 1, cells + is_cell
                values[k] = self.copy(self.file[reference], *place).ref
        copied = group.create_dataset(name, data=values, dtype=self.h5py.ref_dtype if nested else part.dtype)
        self._copy_attributes(part, copied)
        return copied

    def _copy_group(self, part: Any, copied: Any, depth: int, cells: int) -> Any:
        if len(part) > _MOST_MEMBERS:
            raise ValueError(f"{len(part)} members in an object")
        for name in part:
            if not isinstance(part.get(name, getlink=True), self.h5py.HardLink):
                raise ValueError("an object with links")
            self.copy(part[name], copied, name, depth + 1, cells)
        self._copy_attributes(part, copied)
        if "MATLAB_fields" in part.attrs:
            names = np.array([np.array(list(name), "S1") for name in part] + [None], dtype=object)[:-1]
            copied.attrs.create("MATLAB_fields", names, dtype=self.h5py.vlen_dtype(np.dtype("S1")))
        return copied

    def _copy_attributes(self, part: Any, copied: Any) -> None:
        for name in _ATTRIBUTES:
            value = _attribute(part, name)
            if value is not None:
                copied.attrs[name] = value

    def _is_long(self, part: Any) -> bool:
        elements = prod(part.shape)
        if _class_of(part) == "char":
            return is_large(0, elements * part.dtype.itemsize)
        return is_long(elements, part.dtype) and part != self.kept and not self._is_reference(part)

    def _leave_out(self, part: Any, group: Any, name: str) -> Any:
        """Put one number in the place of an array."""
        if "MATLAB_sparse" in part.attrs:
            array = LeftOut("sparse")
        elif _is_numeric(part):
            array = LeftOut(part.dtype.name, partial(_load, part), prod(part.shape) * part.dtype.itemsize)
        else:
            array = LeftOut(_class_of(part) or "unknown")
        bits = self.outline.add(array)
        copied = group.create_dataset(name, data=np.array([[bits]], np.uint64).view(np.float64))
        copied.attrs["MATLAB_class"] = np.bytes_("double")
        return copied

    def _is_reference(self, part: Any) -> bool:
        """Return True for the numbers that stand for objects, after a comparison with their shape."""
        if part.dtype != np.uint32 or not prod(part.shape):
            return False
        return check_object(part[(0,) * (part.ndim - 1) + (slice(OBJECT_HEAD),)].ravel(), part.shape[-1])

    def _check_sizes(self, part: Any) -> None:
        elements = prod(part.shape)
        size = elements * part.dtype.itemsize
        if part.external or part.is_virtual or size > largest_expansion(part.id.get_storage_size()):
            raise ValueError(f"{part.name!r} claims {size} bytes, it has {part.id.get_storage_size()}")
        if part.dtype.hasobject and self.h5py.check_ref_dtype(part.dtype) is not self.h5py.Reference:
            raise ValueError(f"{part.name!r} is of a type that no object has")
        if _attribute(part, "MATLAB_empty") and (elements > 32 or prod(map(int, part[()].ravel())) > MOST_EMPTY):
            raise ValueError(f"{part.name!r} is empty, but has a size")


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
            found.append(matlab_object(prefix + name, _class_of(member) or "object"))
        elif isinstance(member, h5py.Dataset) and _is_numeric(member):
            found.append(Variable(prefix + name, tuple(member.shape[::-1]), partial(_load, member)))
    return found


def _attribute(part: Any, name: str) -> Any:
    """Return an attribute; None if there is none of a size that it has in MAT files.

    The size of an attribute of variable length is known only when HDF5 has allocated what it claims.
    """
    if name not in part.attrs:
        return None
    stored = part.attrs.get_id(name)
    if stored.dtype.kind not in "biufS" or prod(stored.shape or ()) * stored.dtype.itemsize > _LARGEST_ATTRIBUTE:
        return None
    return part.attrs[name]


def _class_of(part: Any) -> str:
    value = _attribute(part, "MATLAB_class")
    return value.decode("latin-1") if isinstance(value, bytes) else ""


def _is_numeric(dataset: Any) -> bool:
    """Return True for numbers, complex ones included, that are in the file itself and in whole."""
    dtype = dataset.dtype
    names = dtype.names is not None and tuple(dtype.names) == ("real", "imag")
    text = _class_of(dataset) in ("char", "cell", "function_handle")
    if (
        not (dtype.kind in "biuf" or names)
        or dtype.hasobject
        or text
        or "MATLAB_empty" in dataset.attrs
        or dataset.shape is None
    ):
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
