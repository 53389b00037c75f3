"""The outline of a MAT file: a copy in which long arrays are left out, with one number in the place of each.

mat-io reads the outline, which is small even if the file is large. This package reads the arrays that are left out.
Only files in the byte order of little-endian machines have outlines: mat-io does not find objects in others.
"""

from __future__ import annotations

import secrets
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from adaptstft.common.typing import AnyArray

#: Longest array that is kept. Arrays of 32-bit integers also describe objects: the longest of them.
_LONGEST, _LONGEST_INT32 = 256, 1 << 14
#: Most members of a cell or struct that is kept; of a cell within two others, which is a column of a table.
_MOST_MEMBERS, _MOST_ROWS = 20_000, 256
#: Most bytes of a text that is kept.
_LONGEST_TEXT = 1 << 16
#: Most bytes of an outline.
_LARGEST = 1 << 23
#: Most arrays in cells, structs and objects of a file of version 5.
_MOST_PARTS = 100_000
#: First bits of a number in place of an array: it is not a number, its last digits tell which array it is.
_NOT_A_NUMBER, _INDEX_BITS = 0x7FFC << 48, 20


@dataclass(frozen=True)
class LeftOut:
    """An array that is left out.

    Attributes
    ----------
    kind : str
        The type of its elements, such as ``"float64"``, ``"cell"`` or ``"char"``.
    load : callable or None
        Returns its numbers; None if it has none.
    size : int
        Bytes of its numbers.
    """

    kind: str
    load: Callable[[], AnyArray] | None = None
    size: int = 0

    @cached_property
    def values(self) -> AnyArray | None:
        """Its numbers, which are read once: several variables can refer to the same array."""
        return None if self.load is None else self.load()


class Outline:
    """The arrays that are left out of an outline."""

    def __init__(self) -> None:
        self.arrays: list[LeftOut] = []
        self._token = _NOT_A_NUMBER | secrets.randbits(28) << _INDEX_BITS

    def add(self, array: LeftOut) -> int:
        """Leave an array out; return the bits of the number (float64) in its place."""
        if len(self.arrays) >> _INDEX_BITS:
            raise ValueError(f"more than {1 << _INDEX_BITS} long arrays")
        self.arrays.append(array)
        return self._token | (len(self.arrays) - 1)

    def find(self, values: AnyArray) -> LeftOut | None:
        """Return the array that `values` stand for; None if they stand for themselves."""
        if values.size != 1 or values.dtype != np.float64:
            return None
        bits = int(np.ascontiguousarray(values).view(np.uint64).item())
        index = bits ^ self._token
        return self.arrays[index] if 0 <= index < len(self.arrays) else None


def is_long(elements: int, dtype: np.dtype[Any]) -> bool:
    """Return True for numbers that are left out."""
    return elements > (_LONGEST_INT32 if dtype.kind in "iu" and dtype.itemsize == 4 else _LONGEST)


def is_large(members: int, text: int = 0, cells: int = 0) -> bool:
    """Return True for a cell or struct of many members in so many other `cells`, or for a text of many bytes."""
    return members > (_MOST_ROWS if cells > 1 else _MOST_MEMBERS) or text > _LONGEST_TEXT


class Source(Protocol):
    """Bytes that are read forwards."""

    offset: int

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes."""

    def skip(self, count: int) -> None:
        """Pass over bytes."""


@dataclass(frozen=True)
class Cut:
    """An array of a variable of version 5 that is left out.

    Places are numbers of bytes from the beginning of the variable.

    Attributes
    ----------
    start, stop : int
        Where its contents begin and end.
    flags, shape : int
        Where its flags and its dimensions begin.
    dimensions : int
        Number of its dimensions.
    array : LeftOut
        The array.
    """

    start: int
    stop: int
    flags: int
    shape: int
    dimensions: int
    array: LeftOut


class Cuts:
    """The arrays that are left out of the bytes of a variable of version 5, and the sizes that change by that.

    Attributes
    ----------
    arrays : dict
        A `Cut` for each place where contents begin.
    elements : list of tuple
        Place and size of the contents of each element that has other elements in it, the outermost first.
    cells : int
        Number of cells around the array that is being read.
    """

    def __init__(self) -> None:
        self.arrays: dict[int, Cut] = {}
        self.elements: list[tuple[int, int]] = []
        self.cells = self.parts = 0

    def add_element(self, start: int, size: int) -> None:
        """Note an element that can have other elements in it."""
        self.parts += 1
        if self.parts > _MOST_PARTS:
            raise ValueError(f"objects of more than {_MOST_PARTS} parts")
        if size:
            self.elements.append((start, size))

    def shortened(self, source: Source, stop: int, outline: Outline, shape: int) -> bytes:
        """Return the bytes of `source` up to `stop` without the arrays.

        The outermost element is an array of bytes, whose two dimensions are at `shape`.
        """
        patches: list[tuple[int, int, bytes]] = []
        starts, savings, end = [], [0], 0
        for cut in sorted(self.arrays.values(), key=lambda one: one.start):
            if cut.start < end:  # part of one that is left out
                continue
            end = cut.stop
            number = outline.add(cut.array)
            flags = struct.pack("<II", _DOUBLE, 0)
            ones = struct.pack(f"<{cut.dimensions}i", *[1] * cut.dimensions)
            patches.append((cut.flags, cut.flags + len(flags), flags))
            patches.append((cut.shape, cut.shape + len(ones), ones))
            patches.append((cut.start, cut.stop, struct.pack("<IIQ", _FLOAT64, 8, number)))
            starts.append(cut.start)
            savings.append(savings[-1] + cut.stop - cut.start - len(patches[-1][2]))
        for start, size in self.elements:
            rest = size - savings[bisect_left(starts, start + size)] + savings[bisect_left(starts, start)]
            patches.append((start - 4, start, struct.pack("<I", rest)))
        patches.append((shape, shape + 8, struct.pack("<ii", 1, self.elements[0][1] - savings[-1])))
        return b"".join(_patched(source, stop, sorted(patches)))


#: Class of an array of float64, and the type of such an element.
_DOUBLE, _FLOAT64 = 6, 9


def _patched(source: Source, stop: int, patches: list[tuple[int, int, bytes]]) -> Iterator[bytes]:
    """Yield the bytes of `source` up to `stop` with parts replaced; a part within another one is not looked at."""
    kept = 0
    for start, end, new in [*patches, (stop, stop, b"")]:
        if start < source.offset:
            continue
        kept += start - source.offset + len(new)
        if kept > _LARGEST:
            raise ValueError(f"objects of more than {_LARGEST >> 20} MiB beside long arrays")
        yield source.read(start - source.offset)
        source.skip(end - start)
        yield new
