"""The sampling rate among the lines above a table, such as ``# Sampling rate: 2.5 kHz``.

Of several numbers in such a line, the one with a unit of frequency is the rate. A line that cannot be read for certain
gives a fault, which is the message if no rate is given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress

from adaptstft.recordings.clock import Clock
from adaptstft.recordings.dialect import Dialect, with_signs

_GIVE = "give fs (on the command line: --fs)"
#: What a line calls a sampling rate. The short names are units of time elsewhere, and count at the beginning only.
_NAME = re.compile(
    r"\bsampl(?:e|ing)[\s_-]*(?:rate|freq(?:uency)?)|(?:^|[;,|\t(\"'#%/])\s*(?:fs|sfreq|srate)(?![^\W_])", re.IGNORECASE
)
#: The beginning of another entry in the same line.
_NEXT = re.compile(r"[;,|\t]\s*[\"']?[^\W\d][\w ]*[\"']?\s*[:=]")
#: The sign between a name and its value, which is none in a time of day.
_SIGN = re.compile(r"(?<!\d)[:=]|[:=](?!\d)")
#: A number. Blanks separate thousands only if a unit follows: otherwise they separate columns.
_NUMBER = re.compile(
    r"(?<![\w.])([+-]?(?:\d{1,3}(?:[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]\d{3})+(?=\s*[^\W\d])|"
    r"\d[\d.,'\N{RIGHT SINGLE QUOTATION MARK}]*(?:[eE][+-]?\d+)?|\.\d+))"
    r"([\s)\]}\"';,|]*)[(\[{\"']*\s*(1/s\b|[^\W\d_]+(?:/[^\W\d_]+|(?: per |\s+/\s+)[^\W\d_]+)?)?"
)
_WORD = re.compile(r"1/s\b|[^\W\d_]+(?:/[^\W\d_]+)?")
_PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
#: Units of frequency. The small m may be a large one in "mhz", but not in "mHz".
_UNITS = {"mHz": 1e-3, "1/s": 1.0, "KHZ": 1e3, "khz": 1e3, "HZ": 1.0, "hz": 1.0, "MHZ": 1e6, "GHZ": 1e9} | {
    prefix + unit: factor
    for prefix, factor in _PREFIXES.items()
    for unit in ("Hz", "S/s", "S/sec", "Sa/s", "Sps", "SPS", "sps", "Samples/s", "samples/s", "samples/sec",
                 "samples per second", "Samples per second", "Samples/sec", "samples/second")
}  # fmt: skip
_ONE_COMMA = re.compile(r"[+-]?\d+,\d+")
_SHOWN = 60
#: Characters after a name that are read.
_REACH = 200


def rate_above(lines: Sequence[tuple[int, str]], decimal: str) -> tuple[Clock, tuple[str, ...]]:
    """Return the sampling rate that a line names, and a note.

    Parameters
    ----------
    lines : sequence of (int, str)
        Numbers of lines, and the lines.
    decimal : str
        The decimal sign of the table.
    """
    rates: dict[float, int] = {}
    for line, text in lines:
        for name in _NAME.finditer(text):
            try:
                rate = _rate_of(text, name.end(), decimal)
            except ValueError as error:
                return Clock(fault=f"line {line}: {error}: {_GIVE}"), ()
            if rate is not None:
                rates.setdefault(rate, line)
    if len(rates) > 1:
        named = " and ".join(f"{rate:.9g} Hz in line {line}" for rate, line in list(rates.items())[:2])
        return Clock(fault=f"the lines above the table name different sampling rates, {named}: {_GIVE}"), ()
    for rate, line in rates.items():
        return Clock(rate), (f"the sampling rate {rate:.9g} Hz is that of line {line}",)
    return Clock(), ()


def _rate_of(text: str, start: int, decimal: str) -> float | None:
    """Return the rate in Hz that stands after a name in a line, None if no number does."""
    before, sign, entry = _entry(text[start:])
    found = list(_NUMBER.finditer(entry))
    if not found:
        return None
    words_behind = [_word_behind(match) for match in found]
    units = [_UNITS.get(word) for word in words_behind]
    certain = {_number(match[1], decimal) * unit for match, unit in zip(found, units, strict=True) if unit}
    if not certain and len(found) == 1 and not words_behind[0]:
        between = entry[: found[0].start()]
        words = _WORD.findall(before if sign else between)
        known = [_UNITS[word] for word in words if word in _UNITS]
        # a word before the number may be its name
        if len(known) <= 1 and not (_WORD.search(between) if sign else len(words) > len(known)):
            certain = {_number(found[0][1], decimal) * (known[0] if known else 1.0)}
    if len(certain) != 1:
        shown = text.strip() if len(text.strip()) <= _SHOWN else text.strip()[:_SHOWN] + "..."
        raise ValueError(f"{shown!r} names a sampling rate that cannot be read")
    (rate,) = certain
    if not 0 < rate < math.inf:
        raise ValueError(f"the sampling rate {rate:g} Hz is not positive and finite")
    return rate


def _word_behind(number: re.Match[str]) -> str:
    """Return the word behind a number; in the next column only a unit of frequency counts."""
    word = number[3] or ""
    is_next_column = any(sign in number[1][-1] + number[2] for sign in ";,|\t")
    return word if word in _UNITS or not is_next_column else ""


def _entry(text: str) -> tuple[str, str, str]:
    """Divide the text after the name at its first colon or equals sign, and cut it at the next entry of the line."""
    if len(text) > _REACH:
        text = text[:_REACH].rpartition(" ")[0]
    found = _SIGN.search(text)
    before, sign, entry = ("", "", text) if found is None else (text[: found.start()], found[0], text[found.end() :])
    after = _NEXT.search(entry)
    return before, sign, entry if after is None else entry[: after.start()]


def _number(text: str, decimal: str) -> float:
    text = "".join(text.split()).rstrip(".,'")
    sign, name = ("point", ".") if decimal == "," else ("comma", ",")
    if re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}{re.escape(name)}\d{{3}}", text):
        raise ValueError(f"the sampling rate {text!r} has a decimal {sign}, or a {sign} between thousands")
    if _ONE_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    number = None
    with suppress(ValueError):
        number = with_signs(Dialect(";"), [(0, [text])]).number(text)
    if number is None:
        raise ValueError(f"the sampling rate {text!r} cannot be read")
    return number
