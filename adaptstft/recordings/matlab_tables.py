"""Tables and timetables of MATLAB, through mat-io (the extra ``files``).

mat-io believes what a file declares about its objects. `matlab` and `hdf5` compare sizes and nesting with the file, and
`check_objects` and `check_object` what the file says about its objects, before mat-io sees it. It reads in a child
process with little memory, because damaged objects can make it crash.
"""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, BinaryIO

import numpy as np

from adaptstft.common.child_process import in_child
from adaptstft.common.memory import check_memory
from adaptstft.common.optional import require
from adaptstft.common.text import printable
from adaptstft.common.typing import AnyArray
from adaptstft.recordings.columns import Column, Table
from adaptstft.recordings.source import readable, size_of

CLASSES = ("table", "timetable")
#: First number of the array that stands for an object.
_OBJECT = 0xDD000000
#: Numbers at the beginning of this array that can have its shape.
OBJECT_HEAD = 34
_VERSIONS = (2, 3, 4)
#: Largest array without contents, such as one of structs without fields, that is read.
MOST_EMPTY = 1 << 16
#: Integers of a class and of an object in the description of all objects.
_CLASS, _ENTRY = 4, 6
#: Memory that mat-io may take: copies of the arrays, and bytes beyond them. Seconds that it may take.
_COPIES, _MEMORY, _SECONDS = 3, 1 << 26, 300.0

#: Columns, those of each numeric variable, notes, and the sampling rate.
_Parts = tuple[list["Column"], dict[str, list["Column"]], tuple[str, ...], float | None]


@dataclass(frozen=True)
class MatlabTable:
    """A table as it is in the file.

    Attributes
    ----------
    table : Table
        Its columns; the first one has the row times of a timetable.
    variables : dict
        The columns of each numeric variable.
    rate : float or None
        Sampling rate in Hz of a timetable that has one in place of row times.
    """

    table: Table
    variables: dict[str, list[Column]]
    rate: float | None = None


def is_installed() -> bool:
    """Return True if mat-io is there."""
    return importlib.util.find_spec("matio") is not None


def check_object(head: AnyArray, size: int) -> None:
    """Compare the number of objects that an array of `size` unsigned integers declares with `size`."""
    if head.size < 3 or head[0] != _OBJECT:
        return
    dimensions = int(head[1])
    shape = [int(n) for n in head[2 : 2 + dimensions]]
    if len(shape) != dimensions or prod(shape) + dimensions + 3 != size:
        raise ValueError(f"an array of objects of shape {tuple(shape)} in {size} numbers")


def check_objects(description: bytes, order: str) -> None:
    """Check the description of all objects: that its parts lie in it, and that what they refer to exists.

    It has the names, then the classes, the properties of two kinds of objects, the objects between these, and more
    properties, each at the place that the first integers give.
    """
    numbers = np.frombuffer(description[: len(description) // 4 * 4], f"{order}i4").astype(np.int64)
    if numbers.size < 10 or numbers[0] not in _VERSIONS:
        raise ValueError("objects of an unknown version")
    places = numbers[2:10]
    later = places[5:][places[5:] > 0]
    if np.any(places[:6] % 4) or places[0] < 40 or np.any(np.diff(np.r_[places[:6], later[1:], len(description)]) < 0):
        raise ValueError("parts of the description of objects are not in it")
    classes, saved, objects, normal, more = (numbers[a // 4 : b // 4] for a, b in pairwise(places[:6]))
    entries = objects[: objects.size // _ENTRY * _ENTRY].reshape(-1, _ENTRY)
    limits = (classes.size // _CLASS, _records(saved, 3), _records(normal, 3), _records(more, 1) or None)
    for column, limit in zip((0, 3, 4, 5), limits, strict=True):
        if limit is not None and np.any((entries[:, column] < 0) | (entries[:, column] >= max(limit, 1))):
            raise ValueError("an object refers to a part that is not in the file")


def _records(numbers: AnyArray, width: int) -> int:
    """Count records: each has a count of entries of `width` integers, and begins at an even place."""
    values = numbers.tolist()
    place = count = 0
    if width > 1 and values and values[0]:
        raise ValueError("properties of objects do not begin with an empty one")
    while place < len(values):
        if values[place] < 0:
            raise ValueError("a negative number of properties of an object")
        place += 1 + width * values[place]
        place += place % 2
        count += 1
    return count


def load_table(stream: BinaryIO, name: str, class_name: str, needed: Callable[[], int]) -> MatlabTable:
    """Read a table or timetable; `needed` checks the file and returns the bytes that its objects need."""
    with readable("MAT file"):
        size = needed()
    check_memory(size, f"the {class_name} {name!r}")
    with readable("MAT file"), _path_of(stream) as path:
        columns, variables, notes, rate = in_child(
            read_objects, path, name, class_name, prepare=matio, memory=_COPIES * size + _MEMORY, seconds=_SECONDS
        )
    return MatlabTable(Table(columns, lambda row: f"row {row + 1}", notes), variables, rate)


@contextmanager
def _path_of(stream: BinaryIO) -> Iterator[str]:
    """Yield the path of a file, or of a copy of what a pipe has."""
    path = getattr(stream, "name", None)
    if isinstance(path, str):
        yield path
        return
    size_of(stream)  # to its beginning
    with tempfile.NamedTemporaryFile(suffix=".mat") as copy:
        copy.write(stream.read())
        copy.flush()
        yield copy.name


def matio() -> Any:
    """Import mat-io."""
    return require("matio", extra="files", package="mat-io")


def read_objects(path: str, name: str, class_name: str) -> _Parts:
    """Read a table or timetable with mat-io; `load_table` calls this in a child process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = matio().load_from_mat(path, variable_names=[name], raw_data=True)[name]
        if getattr(loaded, "classname", None) != class_name or not isinstance(loaded.properties, dict):
            raise ValueError(f"{name!r} is no {class_name}")
        return _timetable(loaded.properties) if class_name == "timetable" else _table(loaded.properties)


def _table(properties: dict[str, Any]) -> _Parts:
    more = properties["props"][0, 0]
    names = _names(more, ("VariableNames2048", "VariableNamesOriginal"), properties["varnames"])
    rows = int(_scalar(properties["nrows"]))
    return _columns(properties["data"], names, _texts(more["VariableUnits"]), rows, [], None)


def _timetable(properties: dict[str, Any]) -> _Parts:
    parts = properties["any"][0, 0]
    names = _names(parts, ("varNames2048", "varNamesOrig"), parts["varNames"])
    rows = int(_scalar(parts["numRows"]))
    times, rate = _row_times(parts["rowTimes"], rows, parts["data"])
    return _columns(parts["data"], names, _texts(parts["varUnits"]), rows, [times], rate)


def _names(parts: Any, longer: tuple[str, ...], usual: Any) -> list[str]:
    """Return the names of the variables; names that are no identifiers have a place of their own."""
    for field in longer:
        flag = f"use{field[0].upper()}{field[1:]}"
        if flag in parts.dtype.names and _scalar(parts[flag]):
            return _texts(parts[field])
    return _texts(usual)


def _texts(cells: Any) -> list[str]:
    return ["".join(map(str, np.ravel(cell))) for cell in np.ravel(cells)]


def _scalar(value: Any) -> Any:
    return np.asarray(value).item()


def _row_times(stored: Any, rows: int, data: Any) -> tuple[Column, float | None]:
    """Return the row times in milliseconds; of evenly spaced ones MATLAB stores the rate or the step only."""
    if getattr(stored, "classname", "") in ("duration", "datetime"):
        times = _milliseconds(stored)
        if times.size != rows:
            raise ValueError(f"{times.size} row times of {rows} rows")
        return Column("time", "ms", times), None
    if getattr(getattr(stored, "dtype", None), "names", None) is None:
        raise ValueError("row times of an unknown kind")
    parts = stored[0, 0]
    step = parts["stepSize"]
    if _scalar(parts["specifiedAsRate"]):
        rate = float(_scalar(parts["sampleRate"]))
    elif getattr(step, "classname", "") == "duration":
        rate = 1e3 / float(_scalar(step.properties["millis"]))
    else:
        raise ValueError("the time step is in calendar units, which differ in length: give the rows times in MATLAB")
    if not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"the sampling rate of the timetable, {rate:g} Hz, is not positive and finite")
    most = max((len(cell) for cell in np.ravel(data) if isinstance(cell, np.ndarray) and cell.ndim), default=0)
    if rows > most:
        raise ValueError(f"the timetable says it has {rows} rows, its variables have {most}")
    return Column("time", "ms", np.arange(rows) * (1e3 / rate)), rate


def _milliseconds(stored: Any) -> AnyArray:
    """Return durations, or the times after the first datetime; the imaginary part has the digits beyond a double."""
    values = np.asarray(stored.properties["millis" if stored.classname == "duration" else "data"]).ravel()
    if not np.iscomplexobj(values):
        return np.asarray(values, np.float64)
    return np.asarray((values.real - values[:1].real) + (values.imag - values[:1].imag))


def _columns(
    data: Any, names: list[str], units: list[str], rows: int, columns: list[Column], rate: float | None
) -> _Parts:
    cells = list(np.ravel(data))
    if len(names) != len(cells):
        raise ValueError(f"{len(names)} names of {len(cells)} variables")
    if len(units) != len(names):
        units = [""] * len(names)
    variables: dict[str, list[Column]] = {}
    notes: list[str] = []
    for name, unit, cell in zip(names, units, cells, strict=True):
        found = _variable(name, unit, cell)
        if not found:
            kind = getattr(cell, "classname", None) or getattr(getattr(cell, "dtype", None), "name", "unknown")
            notes.append(f"variable {printable(name)!r} is of type {printable(str(kind))} and is left out")
        elif found[0].values.size != rows:
            raise ValueError(f"variable {name!r} has {found[0].values.size} rows, the table has {rows}")
        elif not found[0].is_time:
            variables[name] = found
        columns += found
    return columns, variables, tuple(notes), rate


def _variable(name: str, unit: str, cell: Any) -> list[Column]:
    """Return the columns of a variable; none if it has no numbers."""
    kind = getattr(cell, "classname", "")
    if kind in ("duration", "datetime"):
        values = _milliseconds(cell)
        scale = 1e6 if kind == "duration" or np.iscomplexobj(cell.properties["data"]) else 1e3
        ticks = np.full(values.shape, np.iinfo(np.int64).min)  # not a time
        legal = np.abs(values) < 2.0**62 / scale
        ticks[legal] = np.round(values[legal] * scale).astype(np.int64)
        letter = "m8" if kind == "duration" else "M8"
        return [Column(name, "", ticks.view(f"{letter}[{'ns' if scale == 1e6 else 'us'}]"))]
    if not isinstance(cell, np.ndarray) or cell.dtype.kind not in "biufc" or cell.ndim != 2 or not cell.shape[1]:
        return []
    if cell.dtype.kind == "c":
        raise ValueError(f"variable {name!r} is complex: save its real and imaginary part as variables")
    if cell.dtype.kind == "b":
        cell = cell.astype(np.float64)
    if cell.shape[1] == 1:
        return [Column(name, unit, cell[:, 0])]
    return [Column(f"{name}_{k + 1}", unit, cell[:, k]) for k in range(cell.shape[1])]
