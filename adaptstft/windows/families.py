"""Window families: ``omega(u)``, its derivative in ``u``, and its derivatives in the shape parameters.

Functions without suffix return ``omega(u, *shape)``, functions ``*_du`` the derivative in ``u``, and functions
``*_da`` the derivatives in the shape parameters, one in each row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from adaptstft.common.typing import Float64Array, WindowFunction
from adaptstft.windows.prolate import dpss, dpss_da, dpss_du

#: Largest value at the ends of a window that can be tuned. If it is larger, the loss jumps where a sample enters or
#: leaves the support, and its derivative between the jumps is no longer useful.
MAX_END_VALUE = 0.1


def _cosine_sum(u: Float64Array, *a: float) -> Float64Array:
    return np.asarray(sum((a_k * np.cos(2 * np.pi * k * u) for k, a_k in enumerate(a)), np.zeros_like(u)))


def _cosine_sum_du(u: Float64Array, *a: float) -> Float64Array:
    terms = (-2 * np.pi * k * a_k * np.sin(2 * np.pi * k * u) for k, a_k in enumerate(a))
    return np.asarray(sum(terms, np.zeros_like(u)))


def _cosine_sum_da(u: Float64Array, *a: float) -> Float64Array:
    return np.stack([np.cos(2 * np.pi * k * u) for k in range(len(a))])


def _general_hamming(u: Float64Array, alpha: float) -> Float64Array:
    return _cosine_sum(u, alpha, 1 - alpha)


def _general_hamming_du(u: Float64Array, alpha: float) -> Float64Array:
    return _cosine_sum_du(u, alpha, 1 - alpha)


def _general_hamming_da(u: Float64Array, alpha: float) -> Float64Array:
    return np.asarray((1 - np.cos(2 * np.pi * u))[np.newaxis])


def _cosine(u: Float64Array) -> Float64Array:
    return np.asarray(np.cos(np.pi * u))


def _cosine_du(u: Float64Array) -> Float64Array:
    return np.asarray(-np.pi * np.sin(np.pi * u))


def _boxcar(u: Float64Array) -> Float64Array:
    return np.ones_like(u)


def _gaussian(u: Float64Array, ratio: float) -> Float64Array:
    return np.asarray(np.exp(-0.5 * (ratio * u) ** 2))


def _gaussian_du(u: Float64Array, ratio: float) -> Float64Array:
    return -(ratio**2) * u * _gaussian(u, ratio)


def _gaussian_da(u: Float64Array, ratio: float) -> Float64Array:
    return (-ratio * u**2 * _gaussian(u, ratio))[np.newaxis]


def _kaiser_root(u: Float64Array) -> Float64Array:
    return np.sqrt(np.maximum(1 - 4 * u**2, 0))


def _bessel_ratio(order_i: Callable[[Any], Any], z: Float64Array, beta: float) -> Float64Array:
    """Return ``I_k(z) / I_0(beta)`` without overflow; `order_i` is ``scipy.special.i0e`` or ``i1e``."""
    return np.asarray(order_i(z) * np.exp(z - beta) / special.i0e(beta))


def _kaiser(u: Float64Array, beta: float) -> Float64Array:
    return _bessel_ratio(special.i0e, beta * _kaiser_root(u), beta)


def _kaiser_du(u: Float64Array, beta: float) -> Float64Array:
    z = beta * _kaiser_root(u)
    # z is 0 at the ends of the window, where I_1(z) / z -> 1/2
    safe = np.where(z > 1e-8, z, 1.0)
    i1_over_z = np.where(z > 1e-8, _bessel_ratio(special.i1e, safe, beta) / safe, 0.5 / special.i0(beta))
    return np.asarray(-4 * beta**2 * u * i1_over_z)


def _kaiser_da(u: Float64Array, beta: float) -> Float64Array:
    root = _kaiser_root(u)
    z = beta * root
    log_derivative = special.i1e(beta) / special.i0e(beta)
    value = root * _bessel_ratio(special.i1e, z, beta) - log_derivative * _bessel_ratio(special.i0e, z, beta)
    return np.asarray(value)[np.newaxis]


def _tukey_taper(u: Float64Array, alpha: float) -> Float64Array:
    """Return the position in the taper, from 0 at the plateau to 1/2 at the end of the window."""
    return np.maximum(np.abs(u) - (1 - alpha) / 2, 0) / alpha


def _tukey(u: Float64Array, alpha: float) -> Float64Array:
    return _cosine_sum(_tukey_taper(u, alpha), 0.5, 0.5)


def _tukey_du(u: Float64Array, alpha: float) -> Float64Array:
    return np.sign(u) / alpha * _cosine_sum_du(_tukey_taper(u, alpha), 0.5, 0.5)


def _tukey_da(u: Float64Array, alpha: float) -> Float64Array:
    r = _tukey_taper(u, alpha)
    return (_cosine_sum_du(r, 0.5, 0.5) * (0.5 - r) / alpha)[np.newaxis]


def _tukey_plateau(alpha: float) -> float:
    return (1 - alpha) / 2


def cosine_bounds(a: tuple[float, ...], end_value: float) -> tuple[tuple[float, float], ...]:
    """Return the bounds of the coefficients `a` of a cosine sum in tuning.

    Within these bounds the value at the ends of the window, `end_value` now, stays below `MAX_END_VALUE` for
    all combinations of coefficients.
    """
    room = 0.9 * (MAX_END_VALUE - end_value) / len(a)
    return tuple((a_k - room, a_k + room) for a_k in a) if room > 1e-6 else ()


@dataclass(frozen=True)
class Family:
    """A window family.

    Attributes
    ----------
    name : str
        Name of the family.
    omega, derivative, shape_derivative : callable
        The window, its derivative in ``u``, and its derivatives in the shape parameters (None without shape
        parameters), each called as ``function(u, *shape)``.
    default : tuple of float
        Default shape parameters.
    bounds : tuple of (float, float)
        Bounds of the shape parameters in tuning.
    plateau : callable or None
        ``plateau(*shape)``, the half-width of the flat top; outside of it the window is smooth in ``|u|``.
    variadic : bool
        True if the number of shape parameters is arbitrary (the coefficients of a cosine sum).
    samples : tuple of float or None
        The samples that the window interpolates, if it is given by an array.
    """

    name: str
    omega: WindowFunction
    derivative: WindowFunction
    shape_derivative: WindowFunction | None = None
    default: tuple[float, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()
    plateau: Callable[..., float] | None = None
    variadic: bool = False
    samples: tuple[float, ...] | None = None


_COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.50, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}


def _fixed_cosine_sum(name: str, a: tuple[float, ...]) -> Family:
    return Family(name, lambda u: _cosine_sum(u, *a), lambda u: _cosine_sum_du(u, *a))


FAMILIES: dict[str, Family] = {name: _fixed_cosine_sum(name, a) for name, a in _COSINE_SUMS.items()} | {
    "boxcar": Family("boxcar", _boxcar, np.zeros_like),
    "cosine": Family("cosine", _cosine, _cosine_du),
    "dpss": Family("dpss", dpss, dpss_du, dpss_da, default=(3.0,), bounds=((2.0, 8.0),)),
    "gaussian": Family("gaussian", _gaussian, _gaussian_du, _gaussian_da, default=(6.0,), bounds=((4.5, 12.0),)),
    # the bounds depend on the coefficients, see `cosine_bounds`
    "general_cosine": Family("general_cosine", _cosine_sum, _cosine_sum_du, _cosine_sum_da, variadic=True),
    "general_hamming": Family(
        "general_hamming",
        _general_hamming,
        _general_hamming_du,
        _general_hamming_da,
        default=(0.5,),
        bounds=((0.45, 0.55),),
    ),
    "kaiser": Family("kaiser", _kaiser, _kaiser_du, _kaiser_da, default=(8.6,), bounds=((4.0, 20.0),)),
    "tukey": Family(
        "tukey", _tukey, _tukey_du, _tukey_da, default=(0.5,), bounds=((0.05, 1.0),), plateau=_tukey_plateau
    ),
}
#: Names of the families that the package defines, without registered ones.
BUILT_IN = frozenset(FAMILIES)
#: Legal values of shape parameters, as a test and as text.
LEGAL_SHAPES: dict[str, tuple[Callable[[float], bool], str]] = {
    "dpss": (lambda v: 0 < v <= 100, "0 < NW <= 100"),
    "gaussian": (lambda v: v > 0, "length/sigma > 0"),
    "kaiser": (lambda v: v >= 0, "beta >= 0"),
    "tukey": (lambda v: 0 < v <= 1, "0 < alpha <= 1 (for alpha = 0 use 'boxcar')"),
}
