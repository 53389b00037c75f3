"""Tables of numbers in text files.

`layout` finds the rows and the signs in the first lines of the file; this module reads all rows. NumPy converts the
numbers, many lines at once. Where it fails, and where a column holds times, each field is read on its own, so that the
message names the line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.recordings.columns import Column, Table
from adaptstft.recordings.dates import parse_times
from adaptstft.recordings.layout import Layout, Line, find_layout
from adaptstft.recordings.text import is_comment, text_lines

#: Lines that are converted at once.
_LINES = 20_000


@dataclass
class LineNumbers:
    """Line numbers of rows: a row and its line for each place where lines are left out."""

    rows: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, first_row: int, lines: list[int]) -> None:
        """Add the lines of rows from `first_row` on."""
        for k, line in enumerate(lines):
            if not self.rows or line - self.lines[-1] != first_row + k - self.rows[-1]:
                self.rows.append(first_row + k)
                self.lines.append(line)

    def __call__(self, row: int) -> str:
        """Return the place of a row for a message."""
        at = bisect_right(self.rows, row) - 1
        return f"line {self.lines[at] + row - self.rows[at]}"


def read_table(stream: BinaryIO) -> Table:
    """Read the table of a text file.

    Raises
    ------
    ValueError
        If there is no table, or if a row differs from the others; the message names the line.
    """
    layout = find_layout(stream)
    lines = _rows(stream, layout)
    reader = _Reader(layout)
    while piece := list(islice(lines, _LINES)):
        reader.read(piece)
    return reader.table()


def _rows(stream: BinaryIO, layout: Layout) -> Iterator[Line]:
    for number, line in text_lines(stream):
        if number >= layout.start and line.strip() and not is_comment(line):
            yield number, line


class _Reader:
    """Converts rows, piece by piece."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.numbers = [k for k, kind in enumerate(layout.kinds) if kind == "n"]
        self.times = [k for k, kind in enumerate(layout.kinds) if kind == "t"]
        self.plain = len(self.numbers) == len(layout.kinds)
        self.trailing = layout.kinds[-1] == "e" and len(self.numbers) == len(layout.kinds) - 1
        self.places = LineNumbers()
        self.count = 0
        self.values: list[Float64Array] = []
        self.texts: dict[int, list[str]] = {k: [] for k in self.times}

    def read(self, piece: list[Line]) -> None:
        """Convert the rows of some lines."""
        values = self._quick(piece) if self.plain or self.trailing else None
        self.values.append(self._slow(piece) if values is None else values)
        self.places.add(self.count, [number for number, _ in piece])
        self.count += len(piece)

    def _quick(self, piece: list[Line]) -> Float64Array | None:
        """Convert rows of numbers by NumPy; None if it refuses them."""
        dialect = self.layout.dialect
        rows = [dialect.plain(line.strip(" ")) for _, line in piece]
        if self.trailing:
            rows = [row.rstrip().removesuffix(dialect.separator or "") for row in rows]
        try:
            # one blank line would be left out
            values = np.loadtxt(rows, delimiter=dialect.separator, ndmin=2, comments=None, quotechar='"')
        except (ValueError, TypeError):
            return None
        return values if values.shape == (len(piece), len(self.numbers)) else None

    def _slow(self, piece: list[Line]) -> Float64Array:
        values = np.empty((len(piece), len(self.numbers)))
        for row, (line, text) in enumerate(piece):
            fields = self.layout.dialect.split(text)
            self._check_count(line, fields)
            for target, column in enumerate(self.numbers):
                number = self.layout.dialect.number(fields[column])
                if number is None:
                    self._refuse(line, column, fields[column])
                else:
                    values[row, target] = number
            for column in self.times:
                self.texts[column].append(fields[column])
        return values

    def _check_count(self, line: int, fields: list[str]) -> None:
        count = len(self.layout.kinds)
        if len(fields) == count - 1 and self.layout.kinds[-1] == "e":
            fields.append("")
        if len(fields) != count:
            text = f"{len(fields)} field{'s' * (len(fields) != 1)}"
            raise ValueError(f"not a table of numbers: line {line} has {text}, the rows above have {count}")

    def _refuse(self, line: int, column: int, text: str) -> None:
        text = repr(text if len(text) <= 40 else text[:40] + "...")
        fault = f"{text} is not a number" if text != "''" else "the field is empty"
        raise ValueError(f"not a table of numbers: line {line}, column {self.layout.label(column)}: {fault}")

    def table(self) -> Table:
        """Return the columns, those without numbers left out."""
        layout = self.layout
        columns, notes = [], list(layout.notes)
        values = np.concatenate(self.values) if self.values else np.empty((0, len(self.numbers)))
        self.values.clear()
        for k, kind in enumerate(layout.kinds):
            if kind == "n":
                columns.append(Column(layout.names[k], layout.units[k], values[:, self.numbers.index(k)]))
            elif kind == "t":
                columns.append(Column(layout.names[k], layout.units[k], self._parsed(k)))
            elif kind == "s":
                notes.append(f"column {layout.label(k)} holds text and is left out")
        return Table(columns, self.places, tuple(notes), tuple(layout.above), layout.dialect.decimal)

    def _parsed(self, column: int) -> AnyArray:
        try:
            return parse_times(self.texts[column])
        except ValueError as error:
            row = error.args[0]
            text = self.texts[column][row]
            raise ValueError(
                f"{self.places(row)}, column {self.layout.label(column)}: {text!r} is not a time like the ones above"
            ) from None
