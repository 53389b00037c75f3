"""Signals so small or large that their powers underflow or overflow: a power of two brings them to a usual level."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray

#: Peaks of signals whose powers neither underflow nor overflow.
_USUAL = (1e-100, 1e100)


def to_usual_level(x: AnyArray) -> tuple[AnyArray, int]:
    """Return ``x / 2**exponent`` in double precision, and the exponent, which is 0 for all usual signals."""
    x = x.astype(np.result_type(x.dtype, np.float64), copy=False)
    peak = max(float(np.abs(part).max(initial=0.0)) for part in (x.real, x.imag))
    exponent = 0 if peak == 0 or _USUAL[0] < peak < _USUAL[1] else int(np.frexp(peak)[1])
    return times_power_of_two(x, -exponent), exponent


def times_power_of_two(x: AnyArray, exponent: int) -> AnyArray:
    """Return ``x * 2**exponent``, in two steps, as the factor may be no number."""
    half = exponent // 2
    return x * 2.0**half * 2.0 ** (exponent - half) if exponent else x
