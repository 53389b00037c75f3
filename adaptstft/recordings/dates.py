"""Dates and times of day as they are printed: ISO, with slashes or points, and with a separate date."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from adaptstft.common.typing import AnyArray

_DAY = r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})"
_HOUR = r"(\d{1,3}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9})\d*)?)?\s*(am|pm|AM|PM)?"
_ZONE = r"\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
_DATE = re.compile(rf"^{_DAY}$")
_HOURS = re.compile(rf"^{_HOUR}{_ZONE}$")
#: Minutes, seconds and a fraction, without hours.
_MINUTES = re.compile(r"^()(\d{1,2}):(\d{1,2})[.,](\d{1,9})()$")
_BOTH = re.compile(rf"^{_DAY}[T ]\s*{_HOUR}{_ZONE}$")
_SECOND = 1_000_000_000
_HALF_DAY = 43_200 * _SECOND


def is_time(field: str) -> bool:
    """Return True if a field is a date, a time of day, or both."""
    return field[:1].isdigit() and (":" in field or field.count(field_mark(field)) == 2) and _kind(field) is not None


def field_mark(field: str) -> str:
    """Return the first character of a field that is not a digit."""
    return next((c for c in field if not c.isdigit()), " ")


def is_date_only(field: str) -> bool:
    """Return True for a date without a time of day."""
    return _DATE.match(field) is not None and _day_is_legal(field)


def _day_is_legal(field: str) -> bool:
    match = _DATE.match(field) or _BOTH.match(field)
    assert match is not None
    return bool(len(match[1]) == 4) != bool(len(match[4]) == 4)


def _kind(field: str) -> str | None:
    if _MINUTES.match(field) or _HOURS.match(field):
        return "hours"
    if (_DATE.match(field) or _BOTH.match(field)) and _day_is_legal(field):
        return "dates"
    return None


def parse_times(fields: Sequence[str]) -> AnyArray:
    """Return dates and times as datetime64[ns], times of day without a date as timedelta64[ns].

    Raises
    ------
    ValueError
        If a field is of another kind; its argument is the number of the field.
    """
    if not fields or _kind(fields[0]) == "hours":
        clock = np.array([_nanoseconds(_hours(field), k) for k, field in enumerate(fields)], np.int64)
        return _over_midnight(clock).astype("timedelta64[ns]")
    parts = [_BOTH.match(field) or _DATE.match(field) for field in fields]
    days = _days(parts)
    clock = np.array([_nanoseconds(_tail(part), k) for k, part in enumerate(parts)], np.int64)
    return np.asarray(days.astype("datetime64[ns]") + clock.astype("timedelta64[ns]"))


def add_hours(days: AnyArray, hours: AnyArray) -> AnyArray:
    """Return the sum of dates and of times of day, each from a column of its own."""
    clock = hours.astype(np.int64)
    # `parse_times` counts on over midnight, where the date changes as well
    return np.asarray(days + (clock % (2 * _HALF_DAY)).astype("timedelta64[ns]"))


def _hours(field: str) -> tuple[str | None, ...] | None:
    match = _MINUTES.match(field) or _HOURS.match(field)
    return match.groups() if match else None


def _tail(part: re.Match[str] | None) -> tuple[str | None, ...] | None:
    if part is None:
        return None
    return part.groups()[4:] or ("0", "0", "0", None, None)


def _nanoseconds(parts: Sequence[str | None] | None, row: int) -> int:
    if parts is None:
        raise ValueError(row)
    hours, minutes, seconds, fraction, half = parts
    hour = int(hours or 0)
    if half:
        hour = hour % 12 + 12 * (half.lower() == "pm")
    nanoseconds = int(fraction.ljust(9, "0")) if fraction else 0
    return ((hour * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * _SECOND + nanoseconds


def _over_midnight(clock: AnyArray) -> AnyArray:
    """Add a day at each step back by more than half a day."""
    nights = np.cumsum(np.diff(clock, prepend=clock[:1]) < -_HALF_DAY)
    return np.asarray(clock + nights * (2 * _HALF_DAY))


def _days(parts: Sequence[re.Match[str] | None]) -> AnyArray:
    """Return the dates as datetime64[D]. With the year last, the order of day and month follows from the dates."""
    numbers = []
    for k, part in enumerate(parts):
        if part is None:
            raise ValueError(k)
        numbers.append((int(part[1]), int(part[3]), int(part[4]), part[2] == "."))
    first, second, third, points = np.array(numbers, np.int64).T
    if first.size and first[0] > 31:
        return _checked_days(first, second, third)
    day_first = bool(points.all()) or first.max() > 12 or _is_steadier(first, second, third)
    return _checked_days(third, *((second, first) if day_first else (first, second)))


def _is_steadier(first: AnyArray, second: AnyArray, year: AnyArray) -> bool:
    """Return True if the dates advance more steadily with the day first than with the month first."""
    if second.max() > 12:
        return False
    spans = [np.ptp(np.diff(_checked_days(year, month, day).astype(np.int64))) if year.size > 1 else 0
             for month, day in ((second, first), (first, second))]  # fmt: skip
    return bool(spans[0] <= spans[1])


def _checked_days(year: AnyArray, month: AnyArray, day: AnyArray) -> AnyArray:
    legal = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    if not legal.all():
        raise ValueError(int(np.argmin(legal)))
    months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    return np.asarray(months.astype("datetime64[D]") + (day - 1))
