"""The signs of a table: the separator of its columns, the decimal sign, and the sign between thousands.

The signs follow from the rows. Where two readings of the rows are possible, the table is refused, and the message
names both.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from adaptstft.recordings.dates import is_time

#: Words for a missing value.
_MISSING = frozenset(("nan", "na", "n/a", "#n/a", "null", "none", "inf", "+inf", "-inf", "infinity", "-infinity"))
_POINT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(?:\d+,?\d*|,\d+)(?:[eEdD][+-]?\d+)?")
#: A number with signs that may separate decimals or thousands; `Dialect` decides.
_LOOSE = re.compile(
    r"[+-]?[.,]?\d[\d.,'\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]*(?:[eEdD][+-]?\d+)?"
)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
_POINT_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}(?:,\d*)?|[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d*")
_ONE_GROUP = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
#: Signs that can only separate thousands.
_GROUP_SIGNS = "'\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
_WHOLE = re.compile(r"[+-]?\d+")
#: Separators, those first that cannot be part of a number.
SEPARATORS: tuple[str | None, ...] = (";", "\t", "|", ",", None)
_LONGEST_FIELD = 100_000
#: Rows of two whole numbers with a comma between them in which a steady first column is no coincidence.
_STEADY_ROWS = 8


@dataclass(frozen=True)
class Dialect:
    """How a row is split into fields, and a field is read as a number.

    Attributes
    ----------
    separator : str or None
        Sign between columns; None for blanks and tabs.
    decimal : str
        ``"."`` or ``","``.
    groups : str
        Signs between thousands, which are removed.
    """

    separator: str | None
    decimal: str = "."
    groups: str = ""

    def split(self, line: str) -> list[str]:
        """Return the fields of a row without quotes and outer blanks; an empty one after a last separator stays."""
        if '"' in line:
            return self._split_quoted(line)
        return [field.strip(" \t'") for field in line.strip(" ").split(self.separator)]

    def _split_quoted(self, line: str) -> list[str]:
        text = " ".join(line.split()) if self.separator is None else line.strip(" ")
        try:
            rows = list(csv.reader([text], delimiter=self.separator or " ", skipinitialspace=True))
        except csv.Error:  # a field longer than the limit of the module
            rows = [text.split(self.separator)]
        return [field.strip("\"' \t") for field in rows[0]] if rows else []

    def number(self, field: str) -> float | None:
        """Return a field as a number, None if it is none."""
        if field.lower() in _MISSING:
            return float(field) if field.lower().strip("+-")[:2] in ("na", "in") and "/" not in field else float("nan")
        plain = self.plain(field)
        return float(plain) if _POINT.fullmatch(plain) else None

    def plain(self, text: str) -> str:
        """Return numbers, fields or whole rows, with a decimal point and without signs between thousands."""
        for sign in self.groups:
            text = text.replace(sign, "")
        if self.decimal == ",":
            text = text.replace(",", ".")
        return text.replace("\N{MINUS SIGN}", "-").replace("D", "E").replace("d", "e")


def kind_of(field: str, number: Callable[[str], object] | None = None) -> str:
    """Return ``"n"`` for a number, ``"t"`` for a date or time, ``"e"`` for an empty field, and ``"s"`` for other text.

    Without the function `number` any signs for decimals and thousands are accepted.
    """
    if not field:
        return "e"
    if len(field) > _LONGEST_FIELD:
        return "s"
    if number is not None:
        if number(field) is not None:
            return "n"
    elif _LOOSE.fullmatch(field.replace("\N{MINUS SIGN}", "-")) or field.lower() in _MISSING:
        return "t" if is_time(field) else "n"
    return "t" if is_time(field) else "s"


def with_signs(dialect: Dialect, rows: Sequence[tuple[int, list[str]]]) -> Dialect:
    """Return the dialect with the decimal sign and the sign between thousands of numbers in rows with line numbers."""
    fields = [(line, f.replace("\N{MINUS SIGN}", "-")) for line, row in rows for f in row if kind_of(f) == "n"]
    groups = "".join(sign for sign in _GROUP_SIGNS if any(sign in f for _, f in fields))
    for sign in groups:
        fields = [(line, field.replace(sign, "")) for line, field in fields]
    commas = [(line, field) for line, field in fields if "," in field]
    points = [field for _, field in fields if "." in field]
    if not commas and not any(_POINT_GROUPED.fullmatch(field) for field in points):
        return replace(dialect, groups=groups)
    if all(_GROUPED.fullmatch(field) for _, field in commas) and _is_certain([f for _, f in commas], points):
        return replace(dialect, groups=groups + ",")
    if all(_POINT_GROUPED.fullmatch(field) or _COMMA.fullmatch(field) for _, field in fields):
        if commas and all(_ONE_GROUP.fullmatch(field) for _, field in commas):
            line, field = commas[0]
            raise ValueError(
                f"line {line}: {field!r} is {field.replace(',', '.')} with a decimal comma, or "
                f"{field.replace(',', '')} with a comma between thousands: write the numbers with a decimal point"
            )
        return replace(dialect, decimal=",", groups=groups + ("." if points else ""))
    line, field = commas[0] if commas else fields[0]
    raise ValueError(
        f"line {line}: {field!r}: the comma is the decimal sign in some numbers of the table and stands between "
        "thousands in others"
    )


def _is_certain(commas: Sequence[str], points: Sequence[str]) -> bool:
    """Return True if numbers such as 1,234 have commas between thousands: others have a point, or two commas."""
    return bool(points) or any(field.count(",") > 1 for field in commas)


def comma_reading(rows: Sequence[tuple[int, list[str]]], header: str | None) -> str | None:
    """Tell a comma between two columns from a decimal comma in a single one.

    Parameters
    ----------
    rows : sequence of (int, list of str)
        Line numbers and fields of rows that were split at commas.
    header : str or None
        The line above them.

    Returns
    -------
    str or None
        ``"separator"``, ``"decimal"``, or None if both are possible.
    """
    if any(len(row) != 2 or not _WHOLE.fullmatch(row[0]) or not row[1][:1].isdigit() for _, row in rows):
        return "separator"
    if any("." in row[1] for _, row in rows):
        return "separator"
    if header is not None and kind_of(header.strip()) == "s":
        return "separator" if "," in header else "decimal"
    if any(_has_leading_zero(row[1]) or row[0] == "-0" for _, row in rows):
        return "decimal"
    if any("e" in row[1].lower() or "d" in row[1].lower() for _, row in rows):
        return None
    first = [int(row[0]) for _, row in rows]
    steps = {b - a for a, b in pairwise(first)}
    return "separator" if len(rows) >= _STEADY_ROWS and len(steps) == 1 and steps != {0} else None


def _has_leading_zero(field: str) -> bool:
    return len(field) > 1 and field[0] == "0" and field[1].isdigit()


def check_no_decimal_commas(rows: Sequence[tuple[int, list[str]]], names: int | None) -> None:
    """Refuse rows in which the comma is the separator and also the decimal sign."""
    line, row = rows[0]
    count = len(row)
    whole = all(_WHOLE.fullmatch(field) for _, fields in rows for field in fields)
    if not whole or count < 3:
        return
    zeros = {k for _, fields in rows for k, field in enumerate(fields) if _has_leading_zero(field)}
    halves = count % 2 == 0 and names == count // 2
    if halves or (count % 2 == 0 and zeros and all(k % 2 for k in zeros)):
        raise ValueError(
            f"line {line} has {count} fields: {count} columns of whole numbers, or {count // 2} columns with a decimal "
            "comma: separate the columns with semicolons, or write decimal points"
        )
