"""Tables and timetables of MATLAB, through mat-io (the extra ``files``).

mat-io believes what a file declares about its objects. `matlab` and `hdf5` compare sizes and nesting with the file, and
`check_objects` and `check_object` what the file says about its objects. They write its `Outline`, which is all that
mat-io sees. It reads in a child process with little memory, because damaged objects can make it crash.
"""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from adaptstft.common.child_process import in_child
from adaptstft.common.memory import check_memory
from adaptstft.common.optional import require
from adaptstft.common.text import printable
from adaptstft.common.typing import AnyArray
from adaptstft.recordings.columns import Column, Table
from adaptstft.recordings.matlab_outline import Outline
from adaptstft.recordings.source import readable

CLASSES = ("table", "timetable")
_TIMES = ("duration", "datetime")
#: First number of the array that stands for an object.
_OBJECT = 0xDD000000
#: Numbers at the beginning of this array that can have its shape.
OBJECT_HEAD = 34
_VERSIONS = (2, 3, 4)
#: Largest array without contents, such as one of structs without fields, that is read.
MOST_EMPTY = 1 << 16
#: Integers of a class and of an object in the description of all objects.
_CLASS, _ENTRY = 4, 6
#: Memory that mat-io may take: bytes, and copies of the outline. Seconds that it may take.
_MEMORY, _COPIES, _SECONDS = 1 << 26, 6, 60.0
#: Types of arrays without numbers, by the kind of their elements in NumPy.
_KINDS = {"V": "struct", "O": "cell", "U": "char", "S": "char"}


class _Cell(NamedTuple):
    """A variable or the row times: its type, and its numbers if it has any."""

    kind: str
    values: AnyArray | None


class _Contents(NamedTuple):
    """What mat-io finds in an outline; of evenly spaced row times there is the rate only."""

    names: list[str]
    units: list[str]
    rows: int
    cells: list[_Cell]
    times: _Cell | None = None
    rate: float | None = None


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


def check_object(head: AnyArray, size: int) -> bool:
    """Return whether an array of `size` unsigned integers stands for objects; their number must be that of `size`."""
    if head.size < 3 or head[0] != _OBJECT:
        return False
    dimensions = int(head[1])
    shape = [int(n) for n in head[2 : 2 + dimensions]]
    if len(shape) != dimensions or prod(shape) + dimensions + 3 != size:
        raise ValueError(f"an array of objects of shape {tuple(shape)} in {size} numbers")
    return True


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


def load_table(name: str, class_name: str, write_outline: Callable[[BinaryIO], Outline]) -> MatlabTable:
    """Read a table or timetable; `write_outline` checks the file and writes its outline to another one."""
    with readable("MAT file"), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outline.mat"
        with path.open("w+b") as file:
            outline = write_outline(file)
        arguments, memory = (str(path), name, class_name), _MEMORY + _COPIES * path.stat().st_size
        contents = in_child(read_outline, *arguments, prepare=matio, memory=memory, seconds=_SECONDS)
        _check_sizes(contents, outline, f"the {class_name} {name!r}")
        return _table_of(contents, outline)


def _check_sizes(contents: _Contents, outline: Outline, what: str) -> None:
    """Require memory for the columns of a table and their copies in one array."""
    values = (one.values for one in (*contents.cells, contents.times) if one is not None)
    found = (None if array is None else outline.find(array) for array in values)
    sizes = {id(array): array.size for array in found if array is not None}
    check_memory(2 * sum(sizes.values()), what)


def matio() -> Any:
    """Import mat-io."""
    return require("matio", extra="files", package="mat-io")


def read_outline(path: str, name: str, class_name: str) -> _Contents:
    """Read a table or timetable with mat-io; `load_table` calls this in a child process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = matio().load_from_mat(path, variable_names=[name], raw_data=True)[name]
        if getattr(loaded, "classname", None) != class_name or not isinstance(loaded.properties, dict):
            raise ValueError(f"{name!r} is no {class_name}")
        return _timetable(loaded.properties) if class_name == "timetable" else _table(loaded.properties)


def _table(properties: dict[str, Any]) -> _Contents:
    more = properties["props"][0, 0]
    names = _names(more, ("VariableNames2048", "VariableNamesOriginal"), properties["varnames"])
    return _contents(names, more["VariableUnits"], properties["nrows"], properties["data"])


def _timetable(properties: dict[str, Any]) -> _Contents:
    parts = properties["any"][0, 0]
    names = _names(parts, ("varNames2048", "varNamesOrig"), parts["varNames"])
    contents = _contents(names, parts["varUnits"], parts["numRows"], parts["data"])
    stored = parts["rowTimes"]
    if getattr(stored, "classname", "") in _TIMES:
        return contents._replace(times=_cell(stored))
    return contents._replace(rate=_rate(stored))


def _contents(names: list[str], units: Any, rows: Any, data: Any) -> _Contents:
    cells = [_cell(one) for one in np.ravel(data)]
    if len(names) != len(cells):
        raise ValueError(f"{len(names)} names of {len(cells)} variables")
    texts = _texts(units)
    return _Contents(names, texts if len(texts) == len(names) else [""] * len(names), int(_scalar(rows)), cells)


def _cell(value: Any) -> _Cell:
    kind = getattr(value, "classname", "")
    if kind in _TIMES:
        return _Cell(kind, np.asarray(value.properties["millis" if kind == "duration" else "data"]))
    if isinstance(value, np.ndarray) and not kind:
        numeric = value.dtype.kind in "biufc"
        return _Cell(
            value.dtype.name if numeric else _KINDS.get(value.dtype.kind, "unknown"), value if numeric else None
        )
    return _Cell(str(kind) or "unknown", None)


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


def _rate(stored: Any) -> float:
    """Return the sampling rate of evenly spaced row times: of these MATLAB stores the rate or the step only."""
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
    return rate


# ---------------------------------------------------------------------------------------
# From the contents of an outline to columns


def _table_of(contents: _Contents, outline: Outline) -> MatlabTable:
    cells = [_filled(one, outline) for one in contents.cells]
    columns = _row_times(contents, cells, outline)
    variables: dict[str, list[Column]] = {}
    notes: list[str] = []
    times: dict[int, AnyArray] = {}
    for name, unit, cell in zip(contents.names, contents.units, cells, strict=True):
        if cell.kind in _TIMES and cell.values is not None and cell.values.ndim == 2 and cell.values.shape[1] == 1:
            key = id(cell.values)  # several variables can refer to the same object
            if key not in times:
                times[key] = _ticks(cell.kind, cell.values)
            found = [Column(name, "", times[key])]
        else:
            found = _variable(name, unit, cell)
        if not found:
            notes.append(f"variable {printable(name)!r} is of type {printable(_type_of(cell))} and is left out")
        elif found[0].values.size != contents.rows:
            raise ValueError(f"variable {name!r} has {found[0].values.size} rows, the table has {contents.rows}")
        elif not found[0].is_time:
            variables[name] = found
        columns += found
    return MatlabTable(Table(columns, lambda row: f"row {row + 1}", tuple(notes)), variables, contents.rate)


def _filled(cell: _Cell, outline: Outline) -> _Cell:
    """Put the numbers of the file in the place of the number that stands for them."""
    array = None if cell.values is None else outline.find(cell.values)
    if array is None:
        return cell
    return _Cell(cell.kind if cell.kind in _TIMES else array.kind, array.values)


def _type_of(cell: _Cell) -> str:
    return cell.kind if cell.values is None else f"{cell.kind} of shape {' x '.join(map(str, cell.values.shape))}"


def _row_times(contents: _Contents, cells: list[_Cell], outline: Outline) -> list[Column]:
    """Return the row times of a timetable in milliseconds."""
    rows = contents.rows
    if contents.times is not None:
        values = _filled(contents.times, outline).values
        times = _milliseconds(np.empty(0) if values is None else values)
        if times.size != rows:
            raise ValueError(f"{times.size} row times of {rows} rows")
        return [Column("time", "ms", times)]
    if contents.rate is None:
        return []
    most = max((len(one.values) for one in cells if one.values is not None and one.values.ndim), default=0)
    if rows > most:
        raise ValueError(f"the timetable says it has {rows} rows, its variables have {most}")
    return [Column("time", "ms", np.arange(rows) * (1e3 / contents.rate))]


def _milliseconds(values: AnyArray) -> AnyArray:
    """Return durations, or the times after the first datetime; the imaginary part has the digits beyond a double."""
    values = values.ravel()
    if not np.iscomplexobj(values):
        return np.asarray(values, np.float64)
    return np.asarray((values.real - values[:1].real) + (values.imag - values[:1].imag))


def _ticks(kind: str, values: AnyArray) -> AnyArray:
    """Return durations or datetimes as those of NumPy."""
    times = _milliseconds(values)
    scale = 1e6 if kind == "duration" or np.iscomplexobj(values) else 1e3
    ticks = np.full(times.shape, np.iinfo(np.int64).min)  # not a time
    legal = np.abs(times) < 2.0**62 / scale
    ticks[legal] = np.round(times[legal] * scale).astype(np.int64)
    return ticks.view(f"{'m8' if kind == 'duration' else 'M8'}[{'ns' if scale == 1e6 else 'us'}]")


def _variable(name: str, unit: str, cell: _Cell) -> list[Column]:
    """Return the columns of a variable; none if it has no numbers."""
    values = cell.values
    if cell.kind in _TIMES or values is None or values.ndim != 2 or not values.shape[1]:
        return []
    if values.dtype.kind == "c":
        raise ValueError(f"variable {name!r} is complex: save its real and imaginary part as variables")
    if values.dtype.kind == "b":
        values = values.astype(np.float64)
    if values.shape[1] == 1:
        return [Column(name, unit, values[:, 0])]
    return [Column(f"{name}_{k + 1}", unit, values[:, k]) for k in range(values.shape[1])]
