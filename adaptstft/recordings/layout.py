"""Where the rows of numbers begin in a text file, and what stands above them: names, units, and other lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

import numpy as np

from adaptstft.recordings.clock import time_unit
from adaptstft.recordings.dialect import (
    SEPARATORS,
    Dialect,
    check_no_decimal_commas,
    comma_reading,
    kind_of,
    with_signs,
)
from adaptstft.recordings.text import is_comment, text_lines, without_comment_mark

#: Lines and characters from which the layout is found.
_SAMPLE_LINES = 1000
_SAMPLE_CHARACTERS = 1 << 18
#: A row with text counts less than a row of numbers only.
_PLAIN_WEIGHT = 3
#: Rows that make a block of numbers; fewer may be lines of a header.
_BLOCK = 3
_BRACKETED = re.compile(r"[(\[{<].*[)\]}>]")

Line = tuple[int, str]


@dataclass
class Run:
    """Consecutive rows with the same number of fields, of the same kinds."""

    rows: list[tuple[int, list[str]]]
    kinds: list[str]

    def accepts(self, kinds: Sequence[str]) -> bool:
        """Return True if a row with these kinds of fields continues the run."""
        return len(kinds) == len(self.kinds) and all(
            a == b or "e" in (a, b) for a, b in zip(kinds, self.kinds, strict=True)
        )

    def add(self, row: tuple[int, list[str]], kinds: Sequence[str]) -> None:
        """Append a row."""
        self.rows.append(row)
        self.kinds = [a if b == "e" else b for a, b in zip(kinds, self.kinds, strict=True)]

    def has_numbers_of(self, other: Run) -> bool:
        """Return True if the columns of numbers and times of another run are such columns here."""
        return len(self.kinds) == len(other.kinds) and all(
            a == b or b in "es" for a, b in zip(self.kinds, other.kinds, strict=True)
        )

    @property
    def score(self) -> int:
        """Number of rows, which count more without columns of text; 0 without numbers."""
        if "n" not in self.kinds:
            return 0
        filled = [sum(bool(fields[k]) for _, fields in self.rows) for k, kind in enumerate(self.kinds) if kind == "s"]
        return len(self.rows) * (1 if any(2 * count > len(self.rows) for count in filled) else _PLAIN_WEIGHT)


@dataclass(frozen=True)
class Layout:
    """The layout of a table in a text file.

    Attributes
    ----------
    dialect : Dialect
        Signs between columns and in numbers.
    start : int
        Line of the first row.
    kinds : list of str
        Kind of each column: ``"n"`` numbers, ``"t"`` times, ``"s"`` text, ``"e"`` empty.
    names, units : list of str
        Name and unit of each column; empty if there is none.
    above : list of (int, str)
        Lines above the rows.
    notes : tuple of str
        Lines that were left out.
    """

    dialect: Dialect
    start: int
    kinds: list[str]
    names: list[str]
    units: list[str]
    above: list[Line] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def label(self, column: int) -> str:
        """Return the name of a column for messages."""
        return repr(self.names[column]) if self.names[column] else str(column + 1)


def find_layout(stream: BinaryIO) -> Layout:
    """Find the first block of numeric rows in a text file.

    Raises
    ------
    ValueError
        If there is none, or if the separators can be read in two ways.
    """
    lines = _sample(stream)
    filled = [line for line in lines if line[1].strip()]
    forced = [text.strip()[4:].strip('"') or "," for _, text in filled[:1] if text.lower().startswith("sep=")]
    content = [line for line in filled[len(forced) :] if not is_comment(line[1])]
    if not content:
        raise ValueError("the file holds no samples")
    separators = [s.replace("\\t", "\t") for s in forced] if forced else SEPARATORS
    dialect, run = _best_block(content, separators)
    above = [line for line in filled[len(forced) :] if line[0] < run.rows[0][0]]
    dialect = with_signs(dialect, run.rows)
    kinds = [_column_kind(column, dialect) for column in zip(*(fields for _, fields in run.rows), strict=True)]
    names, units, start = _names(above, dialect, run, kinds)
    if dialect.separator == "," and dialect.decimal == "." and not forced:
        check_no_decimal_commas(run.rows, len(_fields(above, dialect)) if above else None)
    first = run.rows[0][0]
    notes = () if start == first else (f"line {first} numbers the columns and is left out",)
    return Layout(dialect, start, kinds, names, units, above, notes)


def _sample(stream: BinaryIO) -> list[Line]:
    lines, characters = [], 0
    for line in islice(text_lines(stream), _SAMPLE_LINES):
        lines.append(line)
        characters += len(line[1])
        if characters > _SAMPLE_CHARACTERS:
            break
    return lines


def _best_block(content: list[Line], separators: Sequence[str | None]) -> tuple[Dialect, Run]:
    """Return the signs and rows of the reading with most rows of numbers, those with several columns first."""
    best: tuple[tuple[int, bool], Dialect, Run] | None = None
    for separator in separators:
        if separator is not None and len(separators) > 1 and not any(separator in text for _, text in content):
            continue
        dialect = Dialect(separator)
        runs = _runs(content, dialect)
        run = max(runs, key=lambda one: one.score)
        if run.score == 0:
            continue
        run = _with_rows_above(runs, run)
        if separator == "," and len(separators) > 1 and len(run.kinds) > 1:
            reading = comma_reading(run.rows, _line_above(content, run.rows[0][0]))
            if reading == "decimal":
                continue
            if reading is None:
                line, fields = run.rows[0]
                raise ValueError(
                    f"line {line}: '{','.join(fields)}' is one number with a decimal comma, or a row of two columns: "
                    "write a decimal point, or a line with the names of the columns above"
                )
        rank = run.score, len(run.kinds) > 1
        if best is None or rank > best[0]:
            best = rank, dialect, run
    if best is None:
        line, text = content[0]
        raise ValueError(f"not a table of numbers: {_first_text(line, text)}")
    return best[1], best[2]


def _first_text(line: int, text: str) -> str:
    short = text.strip()
    return f"line {line} is {short[:40] + '...' if len(short) > 40 else short!r}, and no line is a row of numbers"


def _line_above(content: list[Line], line: int) -> str | None:
    texts = [text for number, text in content if number < line]
    return texts[-1] if texts else None


def _runs(content: list[Line], dialect: Dialect) -> list[Run]:
    runs: list[Run] = []
    for line, text in content:
        fields = dialect.split(text)
        kinds = [kind_of(one) for one in fields]
        if runs and runs[-1].accepts(kinds):
            runs[-1].add((line, fields), kinds)
        else:
            runs.append(Run([(line, fields)], kinds))
    return runs


def _with_rows_above(runs: list[Run], best: Run) -> Run:
    """Return the best run with the rows above it that have numbers in the same columns.

    Beside them the first rows may hold settings of the instrument. Between a run further above and the best one is a
    damaged row, not a header: all rows from there on are read, so that this row is found.
    """
    first = end = runs.index(best)
    while first and runs[first - 1].has_numbers_of(best):
        first -= 1
    for k in range(first):
        if runs[k].has_numbers_of(best) and len(runs[k].rows) >= _BLOCK:
            first = k
            break
    rows = [row for run in runs[first : end + 1] if run.has_numbers_of(best) for row in run.rows]
    return Run(rows, best.kinds)


def _column_kind(column: Sequence[str], dialect: Dialect) -> str:
    kinds = [kind_of(one, dialect.number) for one in column]
    filled = [kind for kind in kinds if kind != "e"]
    if not filled or _is_side_text(kinds):
        return "e"
    return max("nts", key=filled.count)


def _is_side_text(kinds: Sequence[str]) -> bool:
    """Return True for a column with settings of the instrument beside the first rows, empty below."""
    count = next((k for k, kind in enumerate(kinds) if kind == "e"), len(kinds))
    return 0 < count < len(kinds) / 2 and all(kind == "e" for kind in kinds[count:])


def _fields(above: list[Line], dialect: Dialect) -> list[str]:
    """Return the fields of the last line above the rows."""
    return _split_names(above[-1][1], dialect)


def _split_names(text: str, dialect: Dialect) -> list[str]:
    fields = dialect.split(without_comment_mark(text))
    while fields and not fields[-1] and dialect.separator is not None:
        fields.pop()
    return fields


def _names(above: list[Line], dialect: Dialect, run: Run, kinds: list[str]) -> tuple[list[str], list[str], int]:
    """Return the names and units of the columns, and the line of the first row."""
    count, start = len(kinds), run.rows[0][0]
    header = _header(above, dialect, count, trailing=kinds[-1] == "e")
    if header is not None:
        return header[0], header[1], start
    numbered = _numbered_header(run, kinds, dialect)
    if numbered is not None:
        return numbered, [""] * count, run.rows[1][0]
    return [""] * count, [""] * count, start


def _header(above: list[Line], dialect: Dialect, count: int, *, trailing: bool) -> tuple[list[str], list[str]] | None:
    rows = [_padded(_split_names(text, dialect), text, dialect, count, trailing=trailing) for _, text in above]
    if not rows or rows[-1] is None:
        _check_count(above, dialect, count)
        return None
    last, second = rows[-1], rows[-2] if len(rows) > 1 else None
    if all(dialect.number(one) is not None for one in last if one):
        return None
    if second is not None and _are_units(last):
        return second, [one.strip("()[]{}<> ") for one in last]
    return last, [""] * count


def _padded(fields: list[str], text: str, dialect: Dialect, count: int, *, trailing: bool) -> list[str] | None:
    """Return names for all columns, None if a line has another number of fields."""
    if dialect.separator is None and len(fields) != count:
        fields = re.split(r"\s{2,}|\t", without_comment_mark(text))  # names with a blank in them
    if len(fields) == count:
        return fields
    if trailing and len(fields) == count - 1:
        return [*fields, ""]
    # R and others write no name above the numbers of the rows
    if dialect.separator is not None and 0 < len(fields) == count - 1 and all(kind_of(one) == "s" for one in fields):
        return ["", *fields]
    return None


def _check_count(above: list[Line], dialect: Dialect, count: int) -> None:
    """Refuse a header with another number of names than there are columns."""
    if not above or dialect.separator is None or is_comment(above[-1][1]):
        return
    fields = _fields(above, dialect)
    if len(fields) > max(count, 2) and all(kind_of(one) == "s" for one in fields):
        raise ValueError(f"line {above[-1][0]}: the header has {len(fields)} names for {count} columns")


def _are_units(fields: list[str]) -> bool:
    filled = [one for one in fields if one]
    return bool(filled) and (
        all(_BRACKETED.fullmatch(one) for one in filled) or any(time_unit(one) is not None for one in filled)
    )


def _numbered_header(run: Run, kinds: list[str], dialect: Dialect) -> list[str] | None:
    """Return the names if the first row counts the columns, as the names of an unnamed table do.

    It is a row of samples if a column increases from it at the pace of the other rows, as a time does. Without
    decimals below it, or with two columns, it may be either, unless the other numbers are printed in another form.
    """
    first = run.rows[0][1]
    if (
        len(run.rows) < _BLOCK
        or len(first) < 2
        or first not in ([str(k + low) for k in range(len(first))] for low in (0, 1))
    ):
        return None
    columns = list(zip(*(fields for _, fields in run.rows), strict=True))
    if set(kinds) != {"n"} or any(_continues(list(map(dialect.number, column))) for column in columns):
        return None
    others = [value for column in columns for value in map(dialect.number, column[1:])]
    has_decimals = any(number is not None and number % 1 for number in others)
    if has_decimals and (len(first) > 2 or all(_has_fixed_decimals(column[1:], dialect.decimal) for column in columns)):
        return first
    raise ValueError(
        f"line {run.rows[0][0]}: '{(dialect.separator or ' ').join(first)}' numbers the columns, or it is a row of "
        "samples: write a line with the names of the columns above, or remove this line"
    )


@np.errstate(all="ignore")  # numbers of a damaged file overflow
def _continues(values: list[float | None]) -> bool:
    """Return True if numbers increase, and the first step is like the others."""
    numbers = [np.nan if value is None else value for value in values]
    steps = np.diff(numbers)
    return bool(steps.min() > 0 and 0.5 < steps[0] / np.median(steps) < 2)


def _has_fixed_decimals(column: Sequence[str], decimal: str) -> bool:
    """Return True if all numbers have the same count of decimals, at least one."""
    counts = {len(text.partition(decimal)[2]) for text in column}
    return len(counts) == 1 and 0 not in counts
