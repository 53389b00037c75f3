"""The window of largest energy in a band of frequencies: a prolate spheroidal wave function, with its derivatives.

It is the limit of SciPy's ``dpss`` for many samples. The function is an even series of Legendre polynomials, whose
coefficients are the eigenvector of a tridiagonal matrix for its least eigenvalue. H. Xiao, V. Rokhlin, N. Yarvin,
"Prolate spheroidal wavefunctions, quadrature and interpolation", Inverse Problems 17, 805-838, 2001.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.polynomial import legendre
from scipy.linalg import eigh_tridiagonal

from adaptstft.common.typing import Float64Array

#: Terms beyond the number that the bandwidth needs; the coefficients fall faster than exponentially there.
_MORE_TERMS = 24


def dpss(u: Float64Array, bandwidth: float) -> Float64Array:
    """Return the window at ``u`` in [-1/2, 1/2]; `bandwidth` is SciPy's ``NW``, half the time-bandwidth product."""
    return np.asarray(legendre.legval(2 * u, _series(float(bandwidth))[0]))


def dpss_du(u: Float64Array, bandwidth: float) -> Float64Array:
    """Return the derivative in ``u``."""
    return np.asarray(2 * legendre.legval(2 * u, legendre.legder(_series(float(bandwidth))[0])))


def dpss_da(u: Float64Array, bandwidth: float) -> Float64Array:
    """Return the derivative in the bandwidth, as one row."""
    return np.asarray(legendre.legval(2 * u, _series(float(bandwidth))[1]))[np.newaxis]


@functools.lru_cache(maxsize=64)
def _series(bandwidth: float) -> tuple[Float64Array, Float64Array]:
    """Return the coefficients of the Legendre series, with the value 1 at 0, and their derivatives in the bandwidth."""
    c = np.pi * bandwidth
    k = 2.0 * np.arange(int(c) + _MORE_TERMS)
    # x**2 in normalised Legendre polynomials; the equation is (k (k + 1) + c**2 x**2) b = chi b
    diagonal = (2 * k * (k + 1) - 1) / ((2 * k + 3) * (2 * k - 1))
    beside = ((k + 2) * (k + 1) / ((2 * k + 3) * np.sqrt((2 * k + 1) * (2 * k + 5))))[:-1]
    values, vectors = eigh_tridiagonal(k * (k + 1) + c**2 * diagonal, c**2 * beside)
    first = vectors[:, 0]
    change = diagonal * first
    change[:-1] += beside * first[1:]
    change[1:] += beside * first[:-1]
    # perturbation of the eigenvector; d(c**2) / d(bandwidth) = 2 pi c
    others = vectors[:, 1:]
    moved = others @ ((others.T @ change) / (values[0] - values[1:])) * 2 * np.pi * c
    scale = np.sqrt(k + 0.5)
    series, slope = np.zeros((2, 2 * k.size - 1))
    series[::2], slope[::2] = scale * first, scale * moved
    centre, d_centre = legendre.legval(0.0, series), legendre.legval(0.0, slope)
    return series / centre, (slope - series * (d_centre / centre)) / centre
