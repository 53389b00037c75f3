"""Polynomial series of windows, from Chebyshev expansions.

The kernels evaluate windows and their derivatives as polynomials. A series has as many coefficients as
it needs to be as accurate as rounding allows. Where a constant plus an odd function, or an even function, is as
accurate, the other coefficients are zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.polynomial.polynomial import polyval

from adaptstft.common.typing import Float64Array, FloatArray

__all__ = ["Series", "fit_series"]

#: Numbers of coefficients for which the compiled kernels have unrolled loops.
SIZES = (12, 17, 22, 28)
#: Largest error of a fit to the window and its derivative, and of a fit to the derivatives in the shape parameters,
#: whose formulas lose a digit.
_TOLERANCE, _SHAPE_TOLERANCE = 2e-14, 4e-13
#: Error that a shorter fit may add to the error of the longest fit: half a unit in the last place of the
#: largest value in single precision, and two units in double precision, where rounding errors dominate.
_EXCESS = {"float32": 2.0**-25, "float64": 2.0**-51}


@dataclass(frozen=True)
class Series:
    """A window and its derivatives as polynomials.

    With ``r = max(|u| - plateau, 0) / (1 - 2 * plateau)`` and ``y = 4 r - 1``,
    the window is ``sum_k value[k] y**k``, its derivative in ``u`` is
    ``sign(u) * sum_k derivative[k] y**k``, and its derivative in shape parameter ``j`` is
    ``sum_k shape[j][k] y**k``. The values agree with the formulas of the family to
    rounding in the precision of the coefficients, in which the kernels evaluate them.

    Attributes
    ----------
    plateau : float
        Half-width of the flat top, in window lengths.
    value, derivative : ndarray, shape (n_coefficients,)
        Coefficients of the window and of its derivative in ``u``, lowest power first.
    shape : tuple of ndarray
        Coefficients of the derivative in each shape parameter.
    """

    plateau: float
    value: FloatArray
    derivative: FloatArray
    shape: tuple[FloatArray, ...]

    @property
    def shape_rows(self) -> FloatArray:
        """Entries of `shape` as rows of one array, padded with zeros."""
        rows = np.zeros((len(self.shape), max((c.size for c in self.shape), default=1)))
        for row, coefficients in zip(rows, self.shape, strict=True):
            row[: coefficients.size] = coefficients
        return rows


def fit_series(rows: Callable[[Float64Array], Float64Array], plateau: float, dtype: Any = np.float64) -> Series | None:
    """Fit polynomials to a window and its derivatives.

    Parameters
    ----------
    rows : callable
        ``rows(u)`` returns the window, its derivative in ``u`` and its derivatives in the shape parameters.
    plateau : float
        Half-width of the flat top, in window lengths.
    dtype : dtype, optional
        Precision of the coefficients.

    Returns
    -------
    Series or None
        None if the window is not symmetric, has a corner, or oscillates too fast for `SIZES`.
    """

    def position(y: Float64Array) -> Float64Array:
        return plateau + (y + 1) / 4 * (1 - 2 * plateau)

    check = np.linspace(-1, 1, 403)[1:-1]
    mirror = np.array(rows(-position(check)))
    mirror[1] *= -1
    exact = rows(position(check))
    scale = np.abs(exact).max(axis=1, keepdims=True) + np.finfo(float).tiny
    if not np.all(np.abs(mirror - exact) <= 1e-15 * scale):
        return None
    nodes = chebyshev.chebpts1(SIZES[-1])
    fits: list[FloatArray] = []
    for samples, values, unit in zip(rows(position(nodes)), exact, scale, strict=True):
        tolerance = _TOLERANCE if len(fits) < 2 else _SHAPE_TOLERANCE
        longest = _at_nodes().T @ (samples / unit)
        fit = _shortest(longest, check, values / unit, dtype, tolerance)
        if fit is None:
            return None
        fits.append((fit * unit).astype(dtype))
    return Series(plateau, fits[0], fits[1], tuple(fits[2:]))


def _shortest(
    fit: Float64Array, y: Float64Array, values: Float64Array, dtype: Any, tolerance: float
) -> Float64Array | None:
    """Return the coefficients of the shortest Chebyshev expansion that is as accurate as the longest one."""
    fit = np.where(np.abs(fit) < 1e-18, 0.0, fit)
    orders = np.arange(fit.size)
    # the kernels evaluate a constant plus an odd function, or an even one, in half of the time
    kept = ((orders % 2 == 1) | (orders == 0), orders % 2 == 0, orders >= 0)
    candidates = [np.where(some, fit, 0.0)[:size] @ _monomials()[:size, :size] for size in SIZES for some in kept]
    errors = [float(np.abs(polyval(y, c) - values).max()) for c in candidates]
    if not errors[-1] <= tolerance:
        return None
    largest = errors[-1] + _EXCESS[np.dtype(dtype).name]
    return next(c for c, error in zip(candidates, errors, strict=True) if error <= largest)


@cache
def _at_nodes() -> Float64Array:
    """Return the Chebyshev polynomials at the nodes, divided by their squared norms, shape (nodes, polynomials).

    They are orthogonal, so the product with the samples gives the coefficients.
    """
    n = SIZES[-1]
    quarters = np.outer(2 * n - 1 - 2 * np.arange(n), np.arange(n)) % (
        4 * n
    )  # angles in units of pi / (2 n), without rounding
    values = np.cos(np.pi / (2 * n) * quarters) * (2 / n)
    values[:, 0] /= 2
    return np.asarray(values)


@cache
def _monomials() -> Float64Array:
    """Return the coefficients of the Chebyshev polynomials, one polynomial in each row."""
    n = SIZES[-1]
    return np.array(
        [np.append(chebyshev.cheb2poly(unit[: k + 1]), np.zeros(n - k - 1)) for k, unit in enumerate(np.eye(n))]
    )
