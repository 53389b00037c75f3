r"""Mean and standard deviation of a criterion for Gaussian white noise: a test whether a signal has structure.

For white noise, every bin of a short-time Fourier transform is a complex Gaussian variable ``S``. The expected sums of
an additive criterion follow from [1]_

.. math:: E|S|^{2a} = \sigma^{2a}\, \Gamma(1 + a)\, {}_2F_1(-a/2, (1 - a)/2; 1; |\rho|^2)

where ``rho`` is the correlation of ``S`` with its conjugate. It is one where the spectrum of a real signal is real,
and zero far from there. The variances of the sums follow from the expansion of ``|S|**(2 a)`` in Laguerre polynomials
of ``|S|**2``. If ``r`` is the correlation of ``S`` in two bins, their ``k``-th polynomials have the correlation
``|r|**(2 k)``. The integral of ``|r|**(2 k)`` over the plane is ``1 / k`` s Hz, exactly for Gaussian windows.

References
----------
.. [1] P. J. Schreier, L. L. Scharf, "Statistical Signal Processing of Complex-Valued Data", Cambridge University
   Press, 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeGuard

import numpy as np
from scipy import fft as fft_lib
from scipy import special

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics
from adaptstft.kernels.terms import LOG1P
from adaptstft.windows import Window

#: A signal differs from white noise if its value is this many standard deviations below the mean for noise. Noise
#: itself reaches three, rarely five, because the best of many lengths is taken and sums of short signals are skewed.
MOST_DEVIATIONS = 6.0
#: Step of the difference quotient with respect to the exponent, for sums with a logarithm.
_STEP = 1e-4
#: Orders of the Laguerre polynomials.
_ORDERS = np.arange(1, 200)
#: Largest ``|rho|**2`` that is neglected.
_PROPER = 1e-4
#: Number of samples of the window for its cumulative energy.
_POINTS = 513


@dataclass(frozen=True)
class WhiteNoise:
    """Distribution of a criterion for white noise with the energy and the length of a signal.

    Attributes
    ----------
    mean, deviation : float
        Expected value and standard deviation.
    """

    mean: float
    deviation: float

    def depth(self, value: float) -> float:
        """Return how far a value is below that of white noise, in standard deviations."""
        return (self.mean - value) / self.deviation


def has_moments(criterion: Criterion) -> TypeGuard[Additive]:
    """Return whether a criterion is a function of sums of powers, whose moments are known for noise."""
    return isinstance(criterion, Additive) and bool(np.all(criterion.statistics.kinds != LOG1P))


def white_noise(plan: FramePlan, x: AnyArray, criterion: Additive, length: float, view: FrameView) -> WhiteNoise:
    """Return the distribution of a criterion of global scope for Gaussian white noise instead of the signal.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    x : ndarray, shape (channels, n)
        The signal; only the energy of each channel is used.
    criterion : Additive
        The criterion; its scope is replaced.
    length : float
        Window length in samples.
    view : FrameView
        Positions and weights of the frames.

    Returns
    -------
    WhiteNoise
        Mean and standard deviation.
    """
    channels, n = x.shape
    stats = criterion.statistics
    power = np.asarray(to_host((x.real.astype(float) ** 2 + x.imag.astype(float) ** 2).mean(axis=1)))
    power = power / power.max()
    inside = _energy_inside(plan.window, length, view.positions, n)
    totals = _expected(stats, power, inside, _impropriety(plan, length), plan.f_pts)
    counts = np.full(view.positions.size, float(channels * plan.f_pts))
    reduced = replace(criterion, scope="global", width=None, bands=None).reduce(totals, counts, view)
    # derivatives with respect to the logarithm of each sum, which changes by the same factor in all frames
    gains = np.sum(reduced.totals * totals, axis=1)
    relative = gains @ _relative_laguerre(tuple(stats.pairs))
    covered = min(float(n), view.positions.size * length / 2)  # effective number of samples in the windows
    cells = covered if np.iscomplexobj(x) else covered / 2
    return WhiteNoise(reduced.value, float(np.sqrt(np.sum(relative**2 / _ORDERS) / cells)))


def _expected(
    stats: Statistics, power: Float64Array, inside: Float64Array, rho2: Float64Array, f_pts: int
) -> Float64Array:
    """Return the expected sums over the bins and channels of each frame, shape (statistics, frames)."""
    # only the frames at the ends of the signal differ, so there are few levels
    levels, index = np.unique(np.round(inside, 6), return_inverse=True)
    energies = np.maximum(levels[:, None] * power[None, :], np.finfo(float).tiny).reshape(-1, 1)
    values, counts = np.unique(np.round(np.where(rho2 > _PROPER, rho2, 0.0), 3), return_counts=True)
    each = _moments(stats, energies, values) @ (counts * (f_pts / rho2.size))
    return np.asarray(each.reshape(len(stats), levels.size, power.size).sum(axis=2)[:, index])


def _moments(stats: Statistics, energies: Float64Array, rho2: Float64Array) -> Float64Array:
    """Return ``E |S|**(2 a)`` or its derivative with respect to ``a``, shape (statistics, ...).

    ``...`` is the shape to which `energies` and `rho2` broadcast.
    """

    def moment(a: float) -> Float64Array:
        shape = special.hyp2f1(-a / 2, (1 - a) / 2, 1.0, rho2)
        return np.asarray(energies**a * special.gamma(1 + a) * shape)

    return _each_statistic(stats, moment)


@lru_cache(maxsize=8)
def _relative_laguerre(pairs: tuple[tuple[float, int], ...]) -> Float64Array:
    """Return the Laguerre coefficients of terms relative to their means for noise, shape (statistics, orders)."""
    stats = Statistics.of(*pairs)
    return np.asarray(_laguerre(stats) / _moments(stats, np.ones(1), np.zeros(1))[:, 0, None])


def _laguerre(stats: Statistics) -> Float64Array:
    """Return the Laguerre coefficients of ``E**a`` or ``E**a log E``, shape (statistics, orders)."""

    def coefficients(a: float) -> Float64Array:
        return np.asarray(special.gamma(1 + a) * special.binom(a, _ORDERS))

    return _each_statistic(stats, coefficients)


def _each_statistic(stats: Statistics, power: Callable[[float], Float64Array]) -> Float64Array:
    """Return ``power(a)`` for each statistic, and its derivative with respect to ``a`` if the sum has a logarithm."""
    return np.array(
        [
            (power(a + _STEP) - power(a - _STEP)) / (2 * _STEP) if log else power(a)
            for a, log in zip(stats.exponents, stats.logs, strict=True)
        ]
    )


def _energy_inside(window: Window, length: float, positions: Float64Array, n: int) -> Float64Array:
    """Return the share of the energy of each window that lies within the signal."""
    u = np.linspace(-0.5, 0.5, _POINTS)
    energy = np.cumsum(window(u) ** 2)
    energy = energy / energy[-1]
    first, last = -positions / length, (n - positions) / length
    return np.asarray(np.interp(last, u, energy) - np.interp(first, u, energy))


def _impropriety(plan: FramePlan, length: float) -> Float64Array:
    """Return ``|rho|**2`` of every bin; for a real signal, from the transform of the squared window at ``2 f``."""
    if not plan.onesided:
        return np.zeros(1)
    half = int(np.ceil(length / 2))
    w2 = plan.window(np.arange(-half, half + 1) / length) ** 2
    folded = np.zeros((-(-w2.size // plan.mfft), plan.mfft))
    folded.flat[: w2.size] = w2
    spectrum = np.abs(fft_lib.rfft(folded.sum(axis=0))) / w2.sum()
    doubled = 2 * np.arange(plan.f_pts)
    return np.asarray(spectrum[np.minimum(doubled, plan.mfft - doubled)] ** 2)
