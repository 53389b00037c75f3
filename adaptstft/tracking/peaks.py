r"""Frequencies of the peaks of a frame's spectrum between its bins, and how uncertain noise makes them.

With ``V_j = sum_n x[n] s**j omega(u) exp(-2j pi f s)`` over the samples of a frame, ``s`` seconds from its centre, the
power ``P = |V_0|**2`` at any frequency has the derivatives

.. math:: P' = 4 \pi\, \mathrm{Im}(\overline{V_0} V_1), \qquad
          P'' = 8 \pi^2 \left(|V_1|^2 - \mathrm{Re}(\overline{V_0} V_2)\right) .

A frequency ``f`` of which several orders ``k f`` are present maximises ``J = sum_k P(k f) / e_k``, where ``e_k`` is the
energy of the window: with independent amplitudes that is the likelihood of ``f`` in white noise. Noise of variance
``sigma**2`` gives ``J'`` the variance ``sum_k k**2 8 pi**2 |V_0|**2 sigma**2 m_k / e_k**2``, with
``m_k = sum (s - s_0)**2 omega**2`` around the centre of gravity of the frame, and the maximum that variance over
``J''**2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, BoolArray, Float64Array
from adaptstft.windows import Window

#: Most steps of Newton's method, which takes three to five.
_MOST_STEPS = 20
#: A step at most, as a part of the resolution ``1 / (theta T)``.
_LONGEST_STEP = 0.25
#: Relative to the resolution, a step that changes nothing that matters.
_CONVERGED = 1e-10
#: Samples of a block of frames.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Peaks:
    """What was found in each frame.

    Attributes
    ----------
    frequency : ndarray, shape (frames,)
        Frequencies of the maxima in Hz.
    deviation : ndarray, shape (frames,)
        Their standard deviation in white noise of unit variance, infinite where there is no maximum.
    magnitude : ndarray, shape (orders, frames)
        ``|V_0|`` over the sum of the window, both over the samples that are in the signal.
    """

    frequency: Float64Array
    deviation: Float64Array
    magnitude: Float64Array


@dataclass(frozen=True)
class _Samples:
    """Windowed samples of frames, shape (frames, samples), and the sums over the windows, (frames,)."""

    xw: AnyArray
    s: Float64Array
    ww: Float64Array
    gain: Float64Array

    @classmethod
    def of(cls, x: AnyArray, window: Window, win_length: Float64Array, centre: Float64Array, T: float) -> _Samples:
        start = np.ceil(centre - win_length / 2)
        n = start[:, np.newaxis] + np.arange(int(np.ceil(win_length.max())) + 1)
        away = n - centre[:, np.newaxis]
        inside = (n >= 0) & (n < x.size)
        w = np.where(inside, window(away / win_length[:, np.newaxis]), 0.0)
        samples = x[np.clip(n, 0, x.size - 1).astype(np.int64)]
        return cls(samples * w, away * T, w**2, w.sum(axis=1))

    @property
    def energy(self) -> Float64Array:
        """Energy of the windows."""
        return np.asarray(self.ww.sum(axis=1))

    def sums(self, f: Float64Array) -> tuple[AnyArray, AnyArray, AnyArray]:
        """``V_0, V_1, V_2`` at a frequency for each frame."""
        turned = self.xw * np.exp(-2j * np.pi * f[:, np.newaxis] * self.s)
        V0 = turned.sum(axis=1)
        V1 = np.einsum("ps,ps->p", turned, self.s)
        return V0, V1, np.einsum("ps,ps,ps->p", turned, self.s, self.s)

    def second_moment(self, middle: Float64Array) -> Float64Array:
        """Second moment of the squared windows around `middle`."""
        return np.asarray(np.sum((self.s - middle[:, np.newaxis]) ** 2 * self.ww, axis=1))


def find_peaks(
    x: AnyArray,
    window: Window,
    win_length: Float64Array,
    centre: Float64Array,
    T: float,
    start: Float64Array,
    orders: Float64Array,
    used: BoolArray,
) -> Peaks:
    """Climb from frequencies `start` (frames,) to the maxima of ``J`` of one channel.

    `win_length`, shape (orders, frames), and `centre`, shape (frames,), are those of the windows in samples;
    `used`, of the same shape, tells which orders are below the Nyquist frequency.
    """
    size = max(1, int(_BLOCK / (win_length.max() + 2) / orders.size))
    parts = [slice(i, i + size) for i in range(0, start.size, size)]
    found = [
        _find(x, window, win_length[:, part], centre[part], T, start[part], orders, used[:, part]) for part in parts
    ]
    return Peaks(
        np.concatenate([peaks.frequency for peaks in found]),
        np.concatenate([peaks.deviation for peaks in found]),
        np.concatenate([peaks.magnitude for peaks in found], axis=1),
    )


def _find(
    x: AnyArray,
    window: Window,
    win_length: Float64Array,
    centre: Float64Array,
    T: float,
    start: Float64Array,
    orders: Float64Array,
    used: BoolArray,
) -> Peaks:
    rows = [_Samples.of(x, window, lengths, centre, T) for lengths in win_length]
    cell = 1 / (win_length.max(axis=0) * T * orders.max())
    longest = _LONGEST_STEP * cell
    f, J, slope, curvature = start, *_likelihood(rows, start, orders, used)
    for _ in range(_MOST_STEPS):
        step = np.clip(_newton(J, slope, curvature, longest), -longest, longest)
        step = np.where(J > 0, np.clip(f + step, start - cell, start + cell) - f, 0.0)  # a farther peak is another one
        values = _likelihood(rows, f + step, orders, used)
        worse = values[0] < J
        # where a step leads down it was too long, which the next one is not
        longest = np.where(worse, np.abs(step) / 4, longest)
        f = np.where(worse, f, f + step)
        before = (J, slope, curvature)
        J, slope, curvature = (np.where(worse, old, new) for old, new in zip(before, values, strict=True))
        if np.all(np.abs(step) < _CONVERGED * cell):
            break
    return _described(rows, f, orders, used)


def _newton(J: Float64Array, slope: Float64Array, curvature: Float64Array, longest: Float64Array) -> Float64Array:
    """Step of Newton's method for ``log J``, which is almost a parabola within a main lobe; else uphill."""
    bend = J * curvature - slope**2  # of log J, times J**2
    downward = bend < 0
    step = np.divide(-slope * J, bend, out=np.zeros_like(J), where=downward)
    return np.where(downward, step, np.sign(slope) * longest)


def _likelihood(
    rows: list[_Samples], f: Float64Array, orders: Float64Array, used: BoolArray
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """``J`` and its first two derivatives."""
    total = np.zeros((3, f.size))
    for k, row, inside in zip(orders, rows, used, strict=True):
        V0, V1, V2 = row.sums(k * f)
        e = np.where(row.energy > 0, row.energy, 1.0)
        total += np.array([np.abs(V0) ** 2, k * _slope(V0, V1), k**2 * _curvature(V0, V1, V2)]) / e * inside
    return total[0], total[1], total[2]


def _slope(V0: AnyArray, V1: AnyArray) -> Float64Array:
    return np.asarray(4 * np.pi * np.imag(V0.conj() * V1))


def _curvature(V0: AnyArray, V1: AnyArray, V2: AnyArray) -> Float64Array:
    return np.asarray(8 * np.pi**2 * (np.abs(V1) ** 2 - np.real(V0.conj() * V2)))


def _described(rows: list[_Samples], f: Float64Array, orders: Float64Array, used: BoolArray) -> Peaks:
    spread, curvature = np.zeros((2, f.size))
    magnitude = np.zeros((orders.size, f.size))
    for j, (k, row, inside) in enumerate(zip(orders, rows, used, strict=True)):
        V0, V1, V2 = row.sums(k * f)
        e = np.where(row.energy > 0, row.energy, 1.0)
        power = np.abs(V0) ** 2
        middle = np.divide(np.real(V1 * V0.conj()), power, out=np.zeros_like(power), where=power > 0)
        spread += inside * k**2 * 8 * np.pi**2 * power * row.second_moment(middle) / e**2
        curvature += inside * k**2 * _curvature(V0, V1, V2) / e
        magnitude[j] = inside * np.divide(np.abs(V0), row.gain, out=np.zeros_like(power), where=row.gain > 0)
    # a frame with next to no samples has no curvature but rounding
    peaked = (curvature < 0) & (spread > 0)
    deviation = np.divide(np.sqrt(spread), -curvature, out=np.full_like(f, np.inf), where=peaked)
    return Peaks(f, deviation, magnitude)
