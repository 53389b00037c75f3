"""Clocks: the sampling rate from the times of the samples.

A clock is even if a straight line fits its times to the precision with which they are written. The rate is the slope of
this line. Tables, MAT files and coordinates of xarray use this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array

#: Seconds in a unit of time.
UNITS = {
    name: size
    for names, size in (
        (("s", "sec", "secs", "second", "seconds", "sek", "sekunden"), 1.0),
        (("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1e-3),
        (("us", "µs", "\N{GREEK SMALL LETTER MU}s", "usec", "usecs", "micros", "microsecond", "microseconds"), 1e-6),
        (("ns", "nsec", "nsecs", "nanos", "nanosecond", "nanoseconds"), 1e-9),
        (("min", "mins", "minute", "minutes"), 60.0),
        (("h", "hr", "hrs", "hour", "hours"), 3600.0),
        (("d", "day", "days"), 86400.0),
    )
    for name in names
}
#: Largest deviation from the line, in samples, that is accepted whatever the precision of the times.
_NEGLIGIBLE = 0.01
#: Fewest long steps of a rounded clock whose other steps are one unit of its last digit. One or two of them may as well
#: be missing rows.
_FEWEST_LONG_STEPS = 3
#: Standard deviation of a rounding error in units of the last digit.
_ROUNDING_STD = 12.0**-0.5
#: Most digits after the decimal point of printed times.
_MOST_DIGITS = 12
#: Fewest values from which the digits at the end of the times are counted.
_FEWEST_LAST = 16
#: Iterations of the search for the narrowest strip: the golden section reduces its range by 1e-9.
_STRIP_ITERATIONS = 44


@dataclass(frozen=True)
class Clock:
    """The clock of a file.

    Attributes
    ----------
    rate : float or None
        Sampling rate in Hz; None if there is none.
    times : ndarray or None
        Seconds after the first sample; None if the file has a rate only, or if its times can be read in two ways.
    fault : str
        Why there is no rate; empty if there is one.
    unit_known : bool
        False if the seconds of `times` are a guess.
    """

    rate: float | None = None
    times: Float64Array | None = None
    fault: str = ""
    unit_known: bool = True


@dataclass(frozen=True)
class ClockFit:
    """A straight line through the times of samples.

    Attributes
    ----------
    rate : float
        Samples per second, from the slope; NaN if there is none.
    deviation : float
        Largest distance of a time from the line, in samples.
    worst : int
        Sample with this deviation, or the first one whose time does not increase.
    fault : str
        Why the clock is not even; empty if it is.
    """

    rate: float
    deviation: float = 0.0
    worst: int = 0
    fault: str = ""


@np.errstate(all="ignore")  # numbers of a damaged file overflow
def fit_clock(times: Float64Array, resolution: float) -> ClockFit:
    """Fit a straight line to times in seconds that begin at or near 0, written in steps of `resolution` seconds."""
    n = times.size
    if n < 2:
        return ClockFit(np.nan, fault=f"has {n} time{'s' * (n != 1)}, at least two are needed")
    if not np.isfinite(times).all():
        return ClockFit(np.nan, worst=int(np.argmin(np.isfinite(times))), fault="has times that are not finite")
    index = np.arange(n) - (n - 1) / 2
    residuals = times - times.mean()
    step = float(index @ residuals / (index @ index))
    steps = np.diff(times)
    if not step > 0 or steps.min() < -resolution * (1 + 1e-9):
        return ClockFit(np.nan, worst=int(np.argmin(steps)) + 1, fault="is not increasing")
    if resolution > step * (1 + 1e-6):
        fault = f"is too coarse: samples are {step:.3g} s apart, its values are rounded to {resolution:.3g} s"
        return ClockFit(1 / step, fault=fault)
    if steps.min() <= 0:
        return ClockFit(1 / step, worst=int(np.argmin(steps)) + 1, fault="has the same time twice")
    index *= step
    residuals -= index
    worst = int(np.argmax(np.abs(residuals)))
    deviation = float(np.abs(residuals[worst])) / step
    rate = 1 / step
    if not _is_line(times, residuals, steps, step, resolution):
        fault = f"is not even: sample {worst} deviates by {deviation:.3g} samples from a constant rate of {rate:.6g} Hz"
        return ClockFit(rate, deviation, worst, fault)
    return ClockFit(_without_rounding(rate, n, resolution), deviation, worst)


def _is_line(times: Float64Array, residuals: Float64Array, steps: Float64Array, step: float, resolution: float) -> bool:
    """Return True if the times are those of a constant rate, rounded to the resolution."""
    largest = float(np.abs(residuals).max())
    if largest <= _NEGLIGIBLE * step:
        return True
    tolerance = 0.5 * resolution
    if largest > 2 * tolerance or (largest > tolerance and _strip_width(times, residuals) > resolution * (1 + 1e-6)):
        return False
    # with steps of one and two units, two missing rows look like a rounded clock
    is_long = steps > 1.5 * resolution
    return not (step < 2 * resolution and not is_long.all() and 0 < int(is_long.sum()) < _FEWEST_LONG_STEPS)


def _strip_width(times: Float64Array, residuals: Float64Array) -> float:
    """Return the height of the lowest strip between two parallel lines that contains the residuals."""
    index = np.arange(times.size)
    reach = 4 * float(np.abs(residuals).max()) / max(times.size - 1, 1)
    low, high = -reach, reach
    golden = (5**0.5 - 1) / 2

    def width(slope: float) -> float:
        return float(np.ptp(residuals - slope * index))

    inner = high - golden * (high - low), low + golden * (high - low)
    values = width(inner[0]), width(inner[1])
    for _ in range(_STRIP_ITERATIONS):
        if values[0] < values[1]:
            high = inner[1]
            inner = high - golden * (high - low), inner[0]
            values = width(inner[0]), values[0]
        else:
            low = inner[0]
            inner = inner[1], low + golden * (high - low)
            values = values[1], width(inner[1])
    return min(values)


def _without_rounding(rate: float, n: int, resolution: float) -> float:
    """Return the whole number of Hz, or of seconds in a period, that the rounding of the times allows."""
    error = rate * (3 * _ROUNDING_STD * resolution * rate * 12**0.5 / n**1.5 + 1e-9)
    if abs(round(rate) - rate) <= (error if error < 0.5 else 1e-9 * rate):
        return float(round(rate))
    period = 1 / rate
    if rate < 1 and abs(round(period) - period) <= error * period**2 < 0.5:
        return 1 / round(period)
    return rate


@np.errstate(all="ignore")
def number_times(values: AnyArray, unit: float) -> tuple[Float64Array, float]:
    """Return numbers, in a unit given in seconds, as seconds after the first one, and the resolution in seconds."""
    exact = values.astype(float)
    peak = float(np.abs(exact).max(initial=0.0))
    precision = values.dtype.type if values.dtype.kind == "f" else np.float64
    rounding = float(np.spacing(precision(peak))) if np.isfinite(peak) else 0.0
    first = exact[0] if exact.size else 0.0
    return (exact - first) * unit, max(_decimal_grain(exact, rounding), rounding) * unit


def _decimal_grain(values: Float64Array, rounding: float) -> float:
    """Return the power of ten that all values are multiples of, 0 if there is none.

    Values printed with a number of significant digits have fewer decimals at the end than at the beginning, so the
    grain of the last tenth counts as well.
    """
    if not np.isfinite(values).all():
        return 0.0
    last = values[-values.size // 10 :]
    parts = [values, last] if last.size >= _FEWEST_LAST else [values]
    return max(_grain_of(part, rounding) for part in parts) if values.size else 0.0


def _grain_of(values: Float64Array, rounding: float) -> float:
    for digits in range(_MOST_DIGITS + 1):
        grain = 10.0**-digits
        if grain < 8 * rounding:
            return 0.0
        if np.abs(values - np.round(values / grain) * grain).max() <= 2 * rounding:
            return _whole_grain(np.round(values / grain)) * grain
    return 0.0


def _whole_grain(ticks: AnyArray) -> float:
    """Return the largest power of ten that divides the steps of whole numbers; 1 if all steps are equal."""
    steps = np.diff(ticks)
    if np.all(steps == steps[:1]):
        return 1.0
    common = int(np.gcd.reduce(steps.astype(np.int64)))
    grain = 1
    while common and common % (10 * grain) == 0:
        grain *= 10
    return float(grain)


def datetime_times(values: AnyArray) -> tuple[Float64Array, float]:
    """Return datetime64 or timedelta64 as seconds after the first one, and the resolution in seconds."""
    ticks = (values - values[:1]).astype(np.int64)
    unit, count = np.datetime_data(values.dtype)
    seconds = float(np.ones((), f"timedelta64[{count}{unit}]") / np.timedelta64(1, "s"))
    times = ticks * seconds
    if np.isnat(values).any():
        times[np.isnat(values)] = np.nan
        return times, 0.0
    return times, _whole_grain(ticks) * seconds


def time_unit(text: Any) -> float | None:
    """Return the seconds in a unit such as ``"ms"``; None if it is no unit of time."""
    return UNITS.get(str(text).strip().rstrip(".").lower())
