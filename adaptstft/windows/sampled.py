"""Windows given by an array of samples, interpolated by cubic splines."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.windows.families import Family

NAME = "samples"
#: Fewest samples of a window.
_FEWEST = 4


def sampled_family(samples: Any) -> Family:
    """Return the family of a window that is given by `m` samples.

    A window of SciPy with an even or odd number of samples is periodic, as by default, or symmetric. Sample ``k`` of a
    periodic one is at ``u = (k - m/2) / m``, that of a symmetric one at ``u = (k - (m - 1)/2) / m``. So a window of the
    length `m` in the middle of these samples has their values.
    """
    a = _checked(samples)
    m = a.size
    symmetric = bool(np.allclose(a, a[::-1], rtol=0, atol=1e-12 * np.abs(a).max()))
    places = (np.arange(m) - (m - 1) / 2) / m if symmetric else (np.arange(m) - m / 2) / m
    if not symmetric and np.allclose(a[1:], a[:0:-1], rtol=0, atol=1e-12 * np.abs(a).max()):
        places, a = np.append(places, 0.5), np.append(a, a[0])  # a period ends as it begins
    spline = CubicSpline(places, a)
    slope = spline.derivative()
    first, last = places[0], places[-1]

    def omega(u: Float64Array) -> Float64Array:
        return np.asarray(spline(np.clip(u, first, last)))

    def derivative(u: Float64Array) -> Float64Array:
        u = np.asarray(u)
        return np.where((u >= first) & (u <= last), slope(u), 0.0)

    return Family(NAME, omega, derivative, samples=tuple(float(v) for v in _checked(samples)))


def _checked(samples: Any) -> Float64Array:
    array: AnyArray = np.asarray(samples)
    if array.ndim != 1 or array.size < _FEWEST:
        raise ValueError(
            f"a window given by its samples has shape {array.shape}: it must be 1-D with at least {_FEWEST} samples"
        )
    if array.dtype.kind not in "iuf":
        raise TypeError(f"a window given by its samples must be real numbers, got dtype {array.dtype}")
    array = array.astype(float)
    if not np.all(np.isfinite(array)) or not np.any(array):
        raise ValueError("a window given by its samples must be finite, and not zero everywhere")
    return array
