r"""What a criterion is worth of white noise, by theory: the yardstick of whether a signal has any structure.

In Gaussian white noise every bin of a short-time Fourier transform is a complex Gaussian variable ``S``, so the
expected sums that an additive criterion is made of follow from [1]_

.. math:: E|S|^{2a} = \sigma^{2a}\, \Gamma(1 + a)\, {}_2F_1(-a/2, (1 - a)/2; 1; |\rho|^2)

where ``rho`` is the correlation of ``S`` with its conjugate: one where the spectrum of a real signal is real, and
zero away from there. The fluctuations of the sums follow from the expansion of ``|S|**(2 a)`` in Laguerre polynomials
of ``|S|**2``: the ``k``-th has the correlation ``|r|**(2 k)`` between bins whose ``S`` have the correlation ``r``, and
the integral of ``|r|**(2 k)`` over the plane is ``1 / k`` of a cell of s Hz (exactly so for Gaussian windows).

References
----------
.. [1] P. J. Schreier, L. L. Scharf, "Statistical Signal Processing of Complex-Valued Data", Cambridge University
   Press, 2010.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics
from adaptstft.windows import Window

#: Standard deviations below the value of white noise that tell a signal from it. The best of a grid of lengths and the
#: skewness of the sums of short signals take white noise to three, rarely five.
MOST_DEVIATIONS = 6.0
#: Step of the derivative in the exponent, for sums with a logarithm.
_STEP = 1e-4
_ORDERS = np.arange(1, 200)
#: Correlation with the conjugate below which it changes no sum by more than rounding does.
_PROPER = 1e-4
_POINTS = 513


@dataclass(frozen=True)
class WhiteNoise:
    """Criterion of white noise with the energy and the length of a signal.

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


def white_noise(plan: FramePlan, x: AnyArray, criterion: Additive, length: float, view: FrameView) -> WhiteNoise:
    """Value that a criterion of global scope takes for Gaussian white noise in place of a signal.

    Parameters
    ----------
    plan : Transform
        The transform.
    x : ndarray, shape (channels, n)
        The signal, of which the energy of each channel is used.
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
    # what a relative change of each sum, the same in all frames, does to the value
    gains = np.sum(reduced.totals * totals, axis=1)
    relative = gains @ (_laguerre(stats) / _moments(stats, np.ones(1), np.zeros(1))[:, 0, None])
    reached = min(float(n), view.positions.size * length / 2)  # samples that count, of those between windows
    cells = reached if np.iscomplexobj(x) else reached / 2
    return WhiteNoise(reduced.value, float(np.sqrt(np.sum(relative**2 / _ORDERS) / cells)))


def _expected(
    stats: Statistics, power: Float64Array, inside: Float64Array, rho2: Float64Array, f_pts: int
) -> Float64Array:
    """Return the expected sums over the bins of all channels of each frame, shape (statistics, frames)."""
    levels, place = np.unique(np.round(inside, 6), return_inverse=True)  # all frames but those at the ends are alike
    energies = np.maximum(levels[:, None] * power[None, :], np.finfo(float).tiny).ravel()
    improper = rho2[rho2 > _PROPER]
    each = f_pts * (1 - improper.size / rho2.size) * _moments(stats, energies, np.zeros(1))
    for value, count in zip(*np.unique(np.round(improper, 3), return_counts=True), strict=True):
        each = each + f_pts * count / rho2.size * _moments(stats, energies, np.array([value]))
    return np.asarray(each.reshape(len(stats), levels.size, power.size).sum(axis=2)[:, place])


def _moments(stats: Statistics, energies: Float64Array, rho2: Float64Array) -> Float64Array:
    """``E |S|**(2 a)`` or its derivative in ``a``, shape (statistics, energies)."""

    def moment(a: float) -> Float64Array:
        shape = special.hyp2f1(-a / 2, (1 - a) / 2, 1.0, rho2)
        return np.asarray(energies**a * special.gamma(1 + a) * shape)

    return np.array(
        [
            (moment(a + _STEP) - moment(a - _STEP)) / (2 * _STEP) if log else moment(a)
            for a, log in zip(stats.exponents, stats.logs, strict=True)
        ]
    )


def _laguerre(stats: Statistics) -> Float64Array:
    """Coefficients of ``E**a`` or ``E**a log E`` in Laguerre polynomials of ``E``, shape (statistics, orders)."""

    def coefficients(a: float) -> Float64Array:
        return np.asarray(special.gamma(1 + a) * special.binom(a, _ORDERS))

    return np.array(
        [
            (coefficients(a + _STEP) - coefficients(a - _STEP)) / (2 * _STEP) if log else coefficients(a)
            for a, log in zip(stats.exponents, stats.logs, strict=True)
        ]
    )


def _energy_inside(window: Window, length: float, positions: Float64Array, n: int) -> Float64Array:
    """Share of each window's energy that lies within the signal."""
    u = np.linspace(-0.5, 0.5, _POINTS)
    energy = np.cumsum(window(u) ** 2)
    energy = energy / energy[-1]
    first, last = -positions / length, (n - positions) / length
    return np.asarray(np.interp(last, u, energy) - np.interp(first, u, energy))


def _impropriety(plan: FramePlan, length: float) -> Float64Array:
    """``|rho|**2`` of every bin of a real signal: the transform of the squared window at twice the frequency."""
    if not plan.onesided:
        return np.zeros(1)
    half = int(np.ceil(length / 2))
    w2 = plan.window(np.arange(-half, half + 1) / length) ** 2
    folded = np.zeros(plan.mfft)
    np.add.at(folded, np.arange(w2.size) % plan.mfft, w2)
    spectrum = np.abs(np.fft.fft(folded)) / w2.sum()
    return np.asarray(spectrum[(2 * np.arange(plan.f_pts)) % plan.mfft] ** 2)
