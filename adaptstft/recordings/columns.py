"""Which columns of a table are channels, and which one is the clock.

A column is a clock by its content: it increases steadily to the precision with which it is printed. Its name gives the
unit, and decides where several columns increase steadily. A column that counts the rows is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.recordings.clock import Clock, ClockFit, datetime_times, fit_clock, number_times, time_unit
from adaptstft.recordings.dates import add_hours

#: Names of columns and variables that hold times, in lower case, other signs as blanks.
_TIME_NAMES = frozenset(
    ("t", "time", "times", "timestamp", "timestamps", "time stamp", "timeline", "time axis", "clock", "date",
     "datetime", "date time", "epoch", "unix time", "unixtime", "elapsed", "elapsed time", "relative time",
     "rel time", "utc", "utc time", "gps time", "local time", "sample time", "x axis", "x value", "zeit",
     "zeitstempel", "zeitachse", "uhrzeit", "datum", "temps", "tiempo", "tempo")
)  # fmt: skip
#: Those of them for which a number without a unit is not in seconds.
_DATE_NAMES = ("date", "datetime", "date time", "datum")
#: Names of columns that count the rows.
_ROW_NAMES = frozenset(
    ("", "index", "idx", "i", "n", "k", "no", "nr", "#", "sample", "samples", "sample number", "sample no",
     "sample index", "sample#", "sample #", "row", "row#", "record", "point", "points", "scan", "scan#", "count",
     "counter", "seq", "sequence", "unnamed: 0", "id", "frame")
)  # fmt: skip
#: Units that count samples.
_SAMPLES = ("sample", "samples", "pts", "points")
_NAME_UNIT = re.compile(r"^(.*?)[\s_/,:-]*(?:\bin\b)?[\s_/,:-]*[(\[{<]?\s*([^\s()\[\]{}<>/_,:-]+)\s*[)\]}>]?$")
_CAMEL_UNIT = re.compile(r"^(.*[a-z])(Ms|Us|Ns|Sec|MS|Seconds|Millis|Micros|Nanos)$")
#: Seconds from 1970 to 2000 and to 2100: numbers in this range are a date in some unit.
_EPOCH = (946_684_800.0, 4_102_444_800.0)
_EPOCH_UNITS = (1.0, 1e-3, 1e-6, 1e-9)
#: Fewest rows with which a column is a clock whose name does not say so; 3 for the first of columns without names.
_FEWEST_ROWS = 16
#: Factors between two columns with the same times in different units.
_FACTORS = tuple(
    a / b for a in (1.0, 1e3, 1e6, 1e9, 1 / 60, 1 / 3600, 1 / 86400) for b in (1.0, 1e3, 1e6, 1e9, 1 / 60, 1 / 3600)
)
_SAME = 1e-6


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name, unit : str
        Name and unit; empty if there is none.
    values : ndarray, shape (n,)
        Numbers, datetime64 or timedelta64.
    """

    name: str
    unit: str
    values: AnyArray

    @property
    def is_time(self) -> bool:
        """Whether the column holds dates or times of day."""
        return self.values.dtype.kind in "mM"


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes
    ----------
    columns : list of Column
        The columns.
    place : callable
        Returns the place of a row for messages, such as its line in the file.
    notes : tuple of str
        Decisions of the reader.
    above : tuple of (int, str)
        Lines above the rows.
    decimal : str
        The decimal sign of its numbers.
    """

    columns: list[Column]
    place: Callable[[int], str]
    notes: tuple[str, ...] = ()
    above: tuple[tuple[int, str], ...] = ()
    decimal: str = "."


def split_unit(name: str, unit: str = "") -> tuple[str, str]:
    """Return a name in lower case without its unit of time, and the unit; `unit` is that of a row of units."""
    text = name.strip()
    camel = _CAMEL_UNIT.match(text)
    match = camel or _NAME_UNIT.match(text)
    if match is None:
        return _normal(text), unit
    is_unit = time_unit(match[2]) is not None and (match[1].strip() or not unit)
    if is_unit or (match[1].strip() and match[2].lower() in _SAMPLES):
        return _normal(match[1]), unit or match[2]
    return _normal(text), unit


def _normal(name: str) -> str:
    return " ".join(re.sub(r"[\s_/.,()\[\]-]+", " ", name.lower()).split())


def is_time_name(name: str, unit: str = "") -> bool:
    """Return True if a name says that a column or variable holds times, such as ``"time_ms"``."""
    base, found = split_unit(name, unit)
    if base in _TIME_NAMES:
        return True
    return base == "" and time_unit(found) is not None and len(found) > 1 and bool(name.strip())


def clock_of(label: str, column: Column, place: Callable[[int], str]) -> Clock:
    """Return the clock that a column of times gives; `label` names it in messages."""
    if column.is_time:
        return _fitted(label, *datetime_times(column.values), place)
    base, unit = split_unit(column.name, column.unit)
    values = column.values
    if unit.lower() in _SAMPLES:
        return Clock(fault=f"{label} counts samples and gives no sampling rate")
    seconds = time_unit(unit) if unit else _epoch_unit(values)
    if seconds is None and unit:
        return Clock(fault=f"{label} has the unit {unit!r}, which is no unit of time")
    if seconds is not None:
        return _fitted(label, *number_times(values, seconds), place)
    if base in _DATE_NAMES:
        return Clock(fault=f"{label} holds dates as numbers of an unknown unit: name the unit, such as 'time (days)'")
    whole = bool(np.all(values == np.round(values)))
    clock = _fitted(label, *number_times(values, 1.0), place, unit_known=not whole)
    if clock.rate is not None and whole:
        return Clock(fault=_two_readings(label, values, clock.rate))
    return clock


def _two_readings(label: str, values: AnyArray, rate: float) -> str:
    numbers = ", ".join(f"{value:.15g}" for value in values[:3])
    if rate == 1:
        return (
            f"{label} counts {numbers}, ...: these are sample numbers, or seconds at 1 Hz: name the unit, such as "
            "'time (s)', or give fs (on the command line: --fs)"
        )
    return (
        f"{label} holds the whole numbers {numbers}, ... without a unit: the rate is {rate:g} Hz if they are seconds, "
        f"or {1e3 * rate:g} Hz if they are milliseconds: name the unit, such as 'time (ms)', or give fs (on the "
        "command line: --fs)"
    )


def _epoch_unit(values: AnyArray) -> float | None:
    """Return the unit of whole or decimal numbers that are dates since 1970."""
    first = float(values[0]) if values.size else 0.0
    return next((unit for unit in _EPOCH_UNITS if _EPOCH[0] <= first * unit < _EPOCH[1]), None)


def _fitted(
    label: str, times: Float64Array, resolution: float, place: Callable[[int], str], *, unit_known: bool = True
) -> Clock:
    fit = fit_clock(times, resolution)
    if not fit.fault:
        return Clock(fit.rate, times)
    where = f"{place(fit.worst)}: " if fit.worst else ""
    increasing = bool(times.size > 1 and np.isfinite(times).all() and np.diff(times).min() > 0)
    advice = "give fs to ignore the times"
    if increasing:
        name = "" if unit_known else "name the unit, such as 'time (ms)', and "
        advice = f"{name}resample (on the command line: --resample), or {advice}"
    return Clock(None, times if increasing else None, f"{where}{label} {fit.fault}; {advice}", unit_known)


def split_clock(table: Table) -> tuple[AnyArray, Clock, tuple[str, ...]]:
    """Separate the clock and the numbers of the rows from the channels.

    Returns
    -------
    samples : ndarray, shape (channels, n)
        The channels.
    clock : Clock
        The clock.
    notes : tuple of str
        Columns that were left out, and why.

    Raises
    ------
    ValueError
        If there is no channel, or if it is not clear which column is the clock.
    """
    channels, clock, notes = split_columns(table)
    return stacked(channels), clock, notes


def stacked(columns: list[Column]) -> AnyArray:
    """Return the values of columns as rows of an array, and empty the list: each column can go when it is copied."""
    shape = len(columns), columns[0].values.size
    samples = np.empty(shape, np.result_type(*(column.values for column in columns)))
    for row in samples:
        row[:] = columns.pop(0).values
    return samples


@np.errstate(all="ignore")  # numbers of a damaged file overflow
def split_columns(table: Table) -> tuple[list[Column], Clock, tuple[str, ...]]:
    """Separate the clock and the numbers of the rows as `split_clock`, and return the channels with their names."""
    if not table.columns:
        raise ValueError("the file holds no samples: no column has numbers")
    columns = _with_dates(table.columns)
    choice = _Choice(columns, table.place)
    named = [k for k, column in enumerate(columns) if column.is_time or is_time_name(column.name, column.unit)]
    clock = choice.by_name(named) if named else choice.by_content()
    channels = [column for k, column in enumerate(columns) if k not in choice.left_out]
    if not channels:
        label = choice.label(0)
        raise ValueError(f"the file holds no samples, only {label}")
    return channels, clock, table.notes + tuple(choice.notes)


def _with_dates(columns: list[Column]) -> list[Column]:
    """Add a column of dates and one of times of day that follow each other."""
    out: list[Column] = []
    for column in columns:
        before = out[-1] if out else None
        if before is not None and before.values.dtype.kind == "M" and column.values.dtype.kind == "m":
            days = before.values.astype("datetime64[D]").astype("datetime64[ns]")
            if np.array_equal(days, before.values):
                out[-1] = Column("date and time", "", add_hours(days, column.values))
                continue
        out.append(column)
    return out


class _Choice:
    """Finds the columns that are no channels."""

    def __init__(self, columns: list[Column], place: Callable[[int], str]) -> None:
        self.columns, self.place = columns, place
        self.rows = columns[0].values.size if columns else 0
        self.left_out: set[int] = set()
        self.notes: list[str] = []

    def label(self, k: int) -> str:
        """Return the name of a column for messages."""
        name = self.columns[k].name
        return f"the column {name!r}" if name else f"column {k + 1}"

    def clock(self, k: int) -> Clock:
        """Return the clock of a column."""
        return clock_of(self.label(k), self.columns[k], self.place)

    def by_name(self, named: list[int]) -> Clock:
        """Return the clock among columns that are named as times."""
        clocks = {k: self.clock(k) for k in named}
        increasing = [k for k in named if clocks[k].times is not None]
        main = next((k for k in increasing if clocks[k].rate is not None), (increasing or named)[0])
        self.left_out.add(main)
        for k in increasing:
            self._leave_out_copy(k, main)
        for k in increasing:
            first, other = clocks[main].rate, clocks[k].rate
            if k not in self.left_out and first is not None and other is not None:
                raise ValueError(
                    f"{self.label(main)} gives {first:g} Hz, {self.label(k)} gives {other:g} Hz: remove one of them, "
                    "or give the channel another name"
                )
        for k, column in enumerate(self.columns):
            if k in self.left_out:
                continue
            if column.is_time:
                self.left_out.add(k)
                self.notes.append(f"{self.label(k)} holds dates or times and is left out")
            elif self._counts_rows(k) and self._is_row_name(k):
                self._leave_out_row_numbers(k)
            else:
                self._leave_out_copy(k, main)
        return clocks[main]

    def by_content(self) -> Clock:
        """Return the clock among columns whose names do not say what they are."""
        steady = [k for k in range(len(self.columns)) if self._is_steady(k)]
        numbers = [k for k in steady if self._counts_rows(k)]
        others = [k for k in steady if k not in numbers]
        if len(self.columns) == 1:
            return Clock()
        for k in numbers:
            if k == 0 or self._is_row_name(k):
                self._leave_out_row_numbers(k)
        if not others:
            self._check_first(numbers)
            return Clock()
        main = others[0]
        self.left_out.add(main)
        for k in others[1:]:
            self._leave_out_copy(k, main)
        doubtful = [k for k in others if k not in self.left_out]
        if doubtful:
            raise ValueError(
                f"{self.label(main)} and {self.label(doubtful[0])} both increase steadily: each may be the clock: name "
                "one of them 'time'"
            )
        _, unit = split_unit(self.columns[main].name, self.columns[main].unit)
        if self.columns[main].name or main:
            self.notes.append(f"{self.label(main)} increases steadily and is taken as the clock")
        clock = self.clock(main)
        if self.columns[main].name and self._is_row_name(main) and not unit and clock.rate is not None:
            fault = f"{self.label(main)} is named as row numbers, but does not count rows"
            return Clock(fault=f"{fault}; give fs (on the command line: --fs)")
        return clock

    def _is_steady(self, k: int) -> bool:
        """Return True if the values increase in every row, and a straight line fits them."""
        values = self.columns[k].values
        certain = not self.columns[k].name and self._all_count_before(k)
        if self.rows < (3 if certain else _FEWEST_ROWS):
            return False
        return self._increases(values) and not self._fit(values).fault

    def _all_count_before(self, k: int) -> bool:
        return all(self._counts_rows(j) for j in range(k))

    @staticmethod
    def _increases(values: AnyArray) -> bool:
        return bool(np.isfinite(values).all() and np.diff(values).min() > 0)

    @staticmethod
    def _fit(values: AnyArray) -> ClockFit:
        return fit_clock(*number_times(values, 1.0))

    def _counts_rows(self, k: int) -> bool:
        values = self.columns[k].values
        return (
            self.rows > 1
            and values.dtype.kind not in "mM"
            and bool(np.all(np.diff(values) == 1) and values[0] == np.round(values[0]) and abs(values[0]) < _EPOCH[0])
        )

    def _is_row_name(self, k: int) -> bool:
        base, unit = split_unit(self.columns[k].name, self.columns[k].unit)
        return base in _ROW_NAMES and (unit.lower() in _SAMPLES or not unit)

    def _leave_out_row_numbers(self, k: int) -> None:
        self.left_out.add(k)
        self.notes.append(f"{self.label(k)} counts the rows and is left out")

    def _leave_out_copy(self, k: int, main: int) -> None:
        """Leave out a column that has the times of the clock in another unit."""
        one, other = self.columns[k].values, self.columns[main].values
        if k in self.left_out or self.rows < _FEWEST_ROWS or not all(map(self._is_time_like, (one, other))):
            return
        slopes = [(v[-1] - v[0]) / np.timedelta64(1, "s") if v.dtype.kind in "mM" else float(v[-1] - v[0])
                  for v in (one, other)]  # fmt: skip
        if any(abs(slopes[0] / slopes[1] / factor - 1) < max(_SAME, 1 / self.rows**2) for factor in _FACTORS):
            self.left_out.add(k)
            self.notes.append(f"{self.label(k)} has the times of {self.label(main)} and is left out")

    def _is_time_like(self, values: AnyArray) -> bool:
        if values.dtype.kind in "mM":
            return bool(values.size > 1 and values[-1] > values[0])
        return self._increases(values) and not self._fit(values).fault

    def _check_first(self, numbers: list[int]) -> None:
        """Refuse a first column that increases in every row without being even: it may be a clock that is not."""
        first = next((k for k in range(len(self.columns)) if k not in numbers), None)
        if first is None or self.rows < _FEWEST_ROWS or (first and not self._all_count_before(first)):
            return
        values = self.columns[first].values
        if first == len(self.columns) - 1 or not self._increases(values):
            return
        fit = self._fit(values)
        raise ValueError(
            f"{self.label(first)} increases in every row: it is a channel, or a clock that {fit.fault}: name it "
            "'time', remove it, or put a channel before it"
        )
