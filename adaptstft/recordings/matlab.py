"""MAT files: their structure is compared with the size of the file, then the numbers that are used are read.

SciPy believes the sizes and the nesting that a file declares: a file of 200 bytes can ask for gigabytes, cells in cells
overflow its stack, and it expands compressed variables that it only passes over. So it reads files of version 4 here,
which have no nesting; variables of version 5 to 7.2 are read piece by piece. Files of version 7.3 are HDF5 and are read
by `hdf5`.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from typing import Any, BinaryIO

import numpy as np

from adaptstft.common.typing import AnyArray
from adaptstft.recordings.clock import Clock
from adaptstft.recordings.hdf5 import hdf5_variables
from adaptstft.recordings.matlab_outline import Cut, Cuts, LeftOut, Outline, is_large, is_long
from adaptstft.recordings.matlab_tables import CLASSES, MOST_EMPTY, OBJECT_HEAD, check_object, check_objects, load_table
from adaptstft.recordings.source import largest_expansion, readable, size_of
from adaptstft.recordings.variables import Variable, choose_variable, matlab_object

_MATRIX, _COMPRESSED = 14, 15
#: Numeric types of elements.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CELL, _STRUCT, _OBJECT, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 5, 16, 17
#: Of them: bytes, and the integers that stand for objects.
_BYTES, _REFERENCE = 9, 13
_KINDS = {_CELL: "cell", _STRUCT: "struct", _OBJECT: "object", 4: "char", _SPARSE: "sparse", _FUNCTION: "function"}
#: Types of numeric arrays.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
#: Deepest nesting of structs and cells.
_DEEPEST = 16
#: Longest name of a variable or of all fields of a struct, in bytes.
_LONGEST_NAME = 1 << 16
_MOST_DIMENSIONS = 32
_PIECE = 1 << 16
_HEADER = 128
_KIND = "MAT file"
#: Errors where the structure of a file is not that of a MAT file.
_DAMAGED = (struct.error, zlib.error, LookupError, ValueError)


@dataclass
class _Array:
    """An array as the file declares it.

    `offset` and `shape_offset` are the places of its numbers and dimensions among the bytes of its variable. An object
    of MATLAB has the name of its class and no shape.
    """

    name: str
    code: int
    shape: tuple[int, ...] = ()
    class_name: str = ""
    fields: list[_Array] = field(default_factory=list)
    offset: int = 0
    shape_offset: int = 0
    is_complex: bool = False


#: An array and what gives its bytes from the beginning.
_Stored = tuple[_Array, Callable[[], "_Body"]]


def read_mat(stream: BinaryIO, key: str | None) -> tuple[AnyArray, Clock, tuple[str, ...]]:
    """Return an array or table of a MAT file with time on its last axis, its clock, and notes."""
    size = size_of(stream)
    head = stream.read(_HEADER)
    if len(head) == _HEADER and head[124:128] in (b"\x00\x02IM", b"\x02\x00MI"):
        return choose_variable(hdf5_variables(stream), key)
    with readable(_KIND, _DAMAGED):
        variables = _variables_4(stream, size) if 0 in head[:4] else _variables_5(stream, size, head)
    return choose_variable(variables, key)


# ---------------------------------------------------------------------------------------
# Version 4


def _variables_4(stream: BinaryIO, size: int) -> list[Variable]:
    variables, position = [], 0
    while position < size:
        stream.seek(position)
        head = stream.read(20)
        if len(head) < 20:
            raise ValueError("truncated header of a variable")
        order = "<" if struct.unpack("<I", head[:4])[0] <= 9999 else ">"
        kind, rows, columns, imaginary, length = struct.unpack(order + "5i", head)
        sizes = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}
        if min(rows, columns) < 0 or kind // 10 % 10 not in sizes or not 0 < length <= _LONGEST_NAME:
            raise ValueError("header of a variable")
        stored = rows * columns * sizes[kind // 10 % 10] * (2 if imaginary else 1)
        if stored > size - position - 20 - length:
            raise ValueError(f"a variable claims {stored} bytes, the file has {size} bytes")
        name = stream.read(length).rstrip(b"\0").decode("latin-1")
        if kind % 10 == 0:  # others are texts and sparse matrices
            variables.append(Variable(name, (rows, columns), partial(_load_4, stream, name)))
        position += 20 + length + stored
    return variables


def _load_4(stream: BinaryIO, name: str) -> AnyArray:
    import scipy.io

    stream.seek(0)
    with readable(_KIND), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(scipy.io.loadmat(stream, variable_names=[name])[name])


# ---------------------------------------------------------------------------------------
# Version 5 to 7.2


class _Body:
    """Bytes of one variable, read forwards; compressed ones are expanded piece by piece."""

    def __init__(self, stream: BinaryIO, start: int, size: int, *, compressed: bool) -> None:
        #: Gives the same bytes from the beginning.
        self.again = partial(_Body, stream, start, size, compressed=compressed)
        self._stream, self._position, self._end = stream, start, start + size
        self._inflate = zlib.decompressobj() if compressed else None
        self._ready = b""
        self.most = largest_expansion(size) if compressed else size
        #: Bytes before the array, and those that have been read.
        self.start, self.offset = 8 if compressed else 0, 0
        #: The long arrays in it, if it has the contents of objects.
        self.cuts: Cuts | None = None

    @cached_property
    def cursor(self) -> _Cursor:
        """The same bytes from any place."""
        return _Cursor(self.again)

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes."""
        out = bytearray()
        while len(out) < count:
            piece = self._next(min(count - len(out), _PIECE))
            if not piece:
                raise ValueError("a variable is truncated")
            out += piece
        self.offset += count
        return bytes(out)

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        if count > self.most:
            raise ValueError(f"an array claims {count} bytes, the file has at most {self.most}")
        self.offset += count
        if self._inflate is None:
            self._position += count
            if self._position > self._end:
                raise ValueError("a variable is truncated")
            return
        while count:
            piece = self._next(min(count, _PIECE))
            if not piece:
                raise ValueError("a variable is truncated")
            count -= len(piece)

    def _next(self, count: int) -> bytes:
        if self._inflate is None:
            self._stream.seek(self._position)
            piece = self._stream.read(min(count, self._end - self._position))
            self._position += len(piece)
            return piece
        while True:
            piece = self._inflate.decompress(self._ready, count)
            self._ready = self._inflate.unconsumed_tail
            if piece or self._inflate.eof:
                return piece
            if not self._ready:
                self._stream.seek(self._position)
                self._ready = self._stream.read(min(_PIECE, self._end - self._position))
                self._position += len(self._ready)
                if not self._ready:
                    return b""


class _Cursor:
    """Any place of a variable: the way forwards is taken once, the way back begins again."""

    def __init__(self, again: Callable[[], _Body]) -> None:
        self._again, self._body = again, again()

    def at(self, offset: int) -> _Body:
        """Return the bytes from a place."""
        if offset < self._body.offset:
            self._body = self._again()
        self._body.skip(offset - self._body.offset)
        return self._body


def _variables_5(stream: BinaryIO, size: int, head: bytes) -> list[Variable]:
    if len(head) < _HEADER or head[126:128] not in (b"IM", b"MI"):
        raise ValueError("no header of a MAT file")
    order = "<" if head[126:128] == b"IM" else ">"
    variables: list[Variable] = []
    arrays: dict[int, _Stored] = {}
    position = _HEADER
    while position < size:
        stream.seek(position)
        tag = stream.read(8)
        if len(tag) < 8:
            raise ValueError("truncated after a variable")
        kind, count = struct.unpack(order + "II", tag)
        if kind not in (_MATRIX, _COMPRESSED) or count > size - position - 8:
            raise ValueError(f"an element of type {kind} claims {count} bytes, the file has {size - position - 8} more")
        body = _Body(stream, position + 8, count, compressed=kind == _COMPRESSED)
        if kind == _COMPRESSED:
            inner, count_inner = struct.unpack(order + "II", body.read(8))
            if inner != _MATRIX or count_inner > body.most:
                raise ValueError("a compressed element is no variable")
        array = _read_array(body, order, 0, top=True)
        arrays[position] = array, body.again
        if array.class_name in CLASSES:
            outline = partial(_write_outline, arrays, position, head, order)
            load = partial(load_table, array.name, array.class_name, outline)
            variables.append(matlab_object(array.name, array.class_name, load))
        else:
            variables += _listed(array, body.cursor, order)
        position += 8 + count
    return variables


def _write_outline(arrays: dict[int, _Stored], table: int, head: bytes, order: str, file: BinaryIO) -> Outline:
    """Check a table and the contents of all objects, and write the outline of a file that has these only.

    The contents are a file in an array without a name; `table` and the number in `head` are places in the file.
    """
    if order != "<":
        raise ValueError("a table in a file of a big-endian machine: save it again on another one")
    array, new_body = arrays[table]
    body = new_body()
    body.cuts = Cuts()
    body.skip(array.offset)
    _read_member(body, order, 1)
    if is_large(0, body.offset):
        raise ValueError(f"the reference of a table has {body.offset} bytes")
    reference = new_body().read(body.offset)[body.start :]
    array, new_body = arrays.get(struct.unpack(order + "Q", head[116:124])[0], (_Array("", 0), new_body))
    if array.code != _BYTES:
        raise ValueError("the contents of its objects are not in the file")
    outline = Outline()
    contents = _shortened_contents(array, new_body, order, outline)
    place = _HEADER + 8 + len(reference)
    file.write(head[:116] + struct.pack(order + "Q", place) + head[124:])
    for element in (reference, contents):
        file.write(struct.pack(order + "II", _MATRIX, len(element)) + element)
    return outline


def _shortened_contents(array: _Array, new_body: Callable[[], _Body], order: str, outline: Outline) -> bytes:
    body = new_body()
    body.cuts = cuts = Cuts()
    body.skip(array.offset)
    _, size, data = _tag(body, order)
    cuts.add_element(body.offset, size)
    if data is not None or body.read(8)[2:4] != b"IM":
        raise ValueError("the contents of its objects have no header")
    root = _read_member(body, order, 0)
    root = next((one for one in root.fields if one.name == "MCOS"), root)
    cells = root.fields[0] if root.fields else root
    if cells.code != _CELL or not cells.fields or cells.fields[0].code != _BYTES:
        raise ValueError("its objects are not described")
    description = cells.fields[0]
    cuts.arrays.pop(description.offset, None)
    again = new_body()
    again.skip(description.offset)
    check_objects(_numbers(again, order, prod(description.shape), np.dtype("u1")).tobytes(), order)
    return cuts.shortened(new_body(), body.offset, outline, array.shape_offset)[body.start :]


def _listed(array: _Array, cursor: _Cursor, order: str) -> list[Variable]:
    """Return a numeric array or an object, or such fields of a struct."""
    if not array.name:  # the contents of objects are in an array without a name
        return []
    parts = [(array.name, array)] + [(f"{array.name}.{one.name}", one) for one in array.fields]
    return [
        matlab_object(name, one.class_name)
        if one.class_name
        else Variable(name, one.shape, partial(_load_5, cursor, order, one))
        for name, one in parts
        if one.class_name or one.code in _CLASSES
    ]


def _load_5(cursor: _Cursor, order: str, array: _Array) -> AnyArray:
    """Read the numbers of an array piece by piece."""
    with readable(_KIND, _DAMAGED):
        body = cursor.at(array.offset)
        dtype = np.dtype(_CLASSES[array.code])
        parts = [_numbers(body, order, prod(array.shape), dtype) for _ in range(1 + array.is_complex)]
    values = parts[0] + 1j * parts[1] if array.is_complex else parts[0]
    return np.asarray(values.reshape(array.shape, order="F"))


def _numbers(body: _Body, order: str, elements: int, dtype: np.dtype[Any]) -> AnyArray:
    """Return the numbers of an element; they may be stored in a smaller type than that of the array."""
    kind, count, data = _tag(body, order)
    stored = np.dtype(order + _TYPES[kind])
    out = np.empty(elements, dtype)
    if data is not None:
        out[:] = np.frombuffer(data, stored)
        return out
    step = _PIECE // stored.itemsize
    for k in range(0, elements, step):
        part = out[k : k + step]
        part[:] = np.frombuffer(body.read(part.size * stored.itemsize), stored)
    body.skip(-count % 8)
    return out


def _tag(body: _Body, order: str) -> tuple[int, int, bytes | None]:
    """Return type, number of bytes, and the data if they are in the tag itself."""
    raw = body.read(8)
    kind, count = struct.unpack(order + "II", raw)
    if kind >> 16:
        count, kind = kind >> 16, kind & 0xFFFF
        if count > 4:
            raise ValueError("a small element of more than 4 bytes")
        return kind, count, raw[4 : 4 + count]
    return kind, count, None


def _element(body: _Body, order: str, most: int) -> bytes:
    """Return the data of a short element."""
    _, count, data = _tag(body, order)
    if data is not None:
        return data
    if count > most:
        raise ValueError(f"a name or shape of {count} bytes")
    data = body.read(count)
    body.skip(-count % 8)
    return data


def _skip_data(body: _Body, order: str, elements: int | None) -> None:
    """Pass over the numbers of an array, which must be as many as its shape says."""
    kind, count, data = _tag(body, order)
    if elements is not None:
        _check_count(kind, count, elements)
    if data is None:
        body.skip(count + -count % 8)


def _check_count(kind: int, count: int, elements: int) -> None:
    if kind not in _TYPES:
        raise ValueError(f"numbers of the unknown type {kind}")
    if count != elements * np.dtype(_TYPES[kind]).itemsize:
        raise ValueError(f"an array of {elements} numbers has {count} bytes")


def _read_array(body: _Body, order: str, depth: int, *, top: bool = False, stop: int = 0) -> _Array:
    """Read what an array declares and pass over its contents; `stop` is the end of one that is a part of another."""
    if depth > _DEEPEST:
        raise ValueError(f"structs and cells are nested more than {_DEEPEST} deep")
    start = body.offset
    flags = _element(body, order, 64)
    if len(flags) < 8:
        raise ValueError("an array without flags")
    word = struct.unpack(order + "I", flags[:4])[0]
    code, is_complex = word & 0xFF, bool(word & 0x800)
    if code == _OPAQUE:  # tables, timetables and other objects: name, kind of object, and class
        name, _, class_name = (_element(body, order, _LONGEST_NAME).decode("latin-1") for _ in range(3))
        array = _Array(name, code, class_name=class_name or "object", offset=body.offset)
        if not top:
            array.fields.append(_read_member(body, order, depth + 1))
        return array
    shape_offset = body.offset + 8
    raw = _element(body, order, 4 * _MOST_DIMENSIONS)
    shape = struct.unpack(f"{order}{len(raw) // 4}i", raw[: len(raw) // 4 * 4])
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"the shape {shape}")
    array = _Array(_element(body, order, _LONGEST_NAME).decode("latin-1"), code, shape, shape_offset=shape_offset)
    array.is_complex = is_complex
    begin = body.offset
    long = _pass_contents(body, order, depth, array, top=top, stop=stop)
    if body.cuts is not None and long:
        load, size = None, 0
        if code in _CLASSES:
            dtype = np.dtype(_CLASSES[code])
            load, size = partial(_load_5, body.cursor, order, array), prod(shape) * dtype.itemsize
        left_out = LeftOut(_KINDS.get(code, "unknown") if load is None else dtype.name, load, size * (1 + is_complex))
        body.cuts.arrays[begin] = Cut(begin, body.offset, start + 8, shape_offset, len(shape), left_out)
    return array


def _pass_contents(body: _Body, order: str, depth: int, array: _Array, *, top: bool, stop: int) -> bool:
    """Pass over the contents of an array; return True if an outline leaves them out."""
    count = prod(array.shape)
    if array.code in _CLASSES:
        array.offset = body.offset
        if top and not array.is_complex:
            _check_numbers(body, order, count)
            return False
        long = is_long(count, np.dtype(_CLASSES[array.code]))
        if array.code == _REFERENCE and body.cuts is not None:
            return not _check_reference(body, order, count) and long
        for _ in range(1 + array.is_complex):
            _skip_data(body, order, count)
        return long
    if body.cuts is not None and _is_left_out(body.cuts, array, stop - body.offset):
        body.skip(max(stop - body.offset, 0))
        return True
    if not top or array.code in (_STRUCT, _OBJECT):
        _read_members(body, order, depth, array)
    return False


def _is_left_out(cuts: Cuts, array: _Array, size: int) -> bool:
    """Return True for an array other than numbers that an outline does without; its contents have `size` bytes."""
    if array.code in (_CELL, _STRUCT, _OBJECT):
        return is_large(prod(array.shape), cells=cuts.cells if array.code == _CELL else 0)
    return array.code == _SPARSE or is_large(0, size)


def _check_numbers(body: _Body, order: str, elements: int) -> None:
    """Compare the number of elements of a variable with its bytes, without expanding them."""
    kind, count, data = _tag(body, order)
    _check_count(kind, count, elements)
    if data is None and count > body.most:
        raise ValueError(f"an array claims {count} bytes, the file has at most {body.most}")


def _read_members(body: _Body, order: str, depth: int, array: _Array) -> None:
    """Pass over what a cell, a struct or another array holds, and keep the fields of a single struct."""
    count = prod(array.shape)
    names: list[str] = []
    if array.code in (_STRUCT, _OBJECT):
        if array.code == _OBJECT:
            _element(body, order, _LONGEST_NAME)
        width = struct.unpack(order + "i", _element(body, order, 64)[:4].ljust(4, b"\0"))[0]
        packed = _element(body, order, _LONGEST_NAME)
        if not 0 < width <= _LONGEST_NAME:
            raise ValueError("the names of the fields of a struct")
        names = [packed[k : k + width].split(b"\0")[0].decode("latin-1") for k in range(0, len(packed), width)]
        count *= len(names)
    elif array.code == _SPARSE:
        for _ in range(3 + array.is_complex):
            _skip_data(body, order, None)
        return
    elif array.code != _CELL:
        before = body.offset
        _skip_data(body, order, None)
        if body.cuts is not None and count > body.offset - before:
            raise ValueError(f"a text of {count} characters has {body.offset - before} bytes")
        return
    if body.cuts is not None and not count and prod(array.shape) > MOST_EMPTY:
        raise ValueError(f"an array of {prod(array.shape)} structs without fields")
    if count * 8 > body.most:
        raise ValueError(f"a struct or cell of {count} members does not fit in the file")
    if body.cuts is not None:
        body.cuts.cells += array.code == _CELL
    for k in range(count):
        member = _read_member(body, order, depth + 1)
        if names and prod(array.shape) == 1:
            member.name = names[k]
            array.fields.append(member)
        elif k == 0 and not names:
            array.fields.append(member)
    if body.cuts is not None:
        body.cuts.cells -= array.code == _CELL


def _read_member(body: _Body, order: str, depth: int) -> _Array:
    """Return an array that is a part of another one."""
    kind, size, data = _tag(body, order)
    if kind != _MATRIX or data is not None:
        raise ValueError(f"a member of type {kind}")
    if body.cuts is not None:
        body.cuts.add_element(body.offset, size)
    return _read_array(body, order, depth, stop=body.offset + size) if size else _Array("", 0)


def _check_reference(body: _Body, order: str, elements: int) -> bool:
    """Pass over unsigned integers; return True if they stand for objects."""
    kind, count, data = _tag(body, order)
    _check_count(kind, count, elements)
    stored = np.dtype(order + _TYPES[kind])
    head = data if data is not None else body.read(min(count, OBJECT_HEAD * stored.itemsize))
    stays = check_object(np.frombuffer(head, stored), elements)
    if data is None:
        body.skip(count - len(head) + -count % 8)
    return stays
