r"""Peaks of the continuous spectrum of a frame, between its bins, and their standard deviations in white noise.

With ``V_j = sum_n x[n] s**j omega(u) exp(-2j pi f s)`` over the samples of a frame, ``s`` seconds from its centre, the
power ``P = |V_0|**2`` at a frequency has the derivatives

.. math:: P' = 4 \pi\, \mathrm{Im}(\overline{V_0} V_1), \qquad
          P'' = 8 \pi^2 \left(|V_1|^2 - \mathrm{Re}(\overline{V_0} V_2)\right) .

If there are components at several orders ``k f``, the estimate of ``f`` maximises ``J = sum_k P(k f) / e_k``, where
``e_k`` is the energy of the window. For independent amplitudes ``J`` is the likelihood of ``f`` in white noise. Noise
of variance ``sigma**2`` gives ``J'`` the variance ``sum_k k**2 8 pi**2 |V_0|**2 sigma**2 m_k / e_k**2``, with
``m_k = sum (s - s_0)**2 omega**2`` around the centre of gravity ``s_0`` of the frame. The variance of the maximum is
this variance over ``J''**2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from adaptstft.common.typing import AnyArray, BoolArray, Float64Array
from adaptstft.kernels import resolve
from adaptstft.windows import Window

#: Limit on the steps of Newton's method, which usually takes three to five.
_MOST_STEPS = 20
#: Longest step as a fraction of the resolution cell ``1 / (theta T)``.
_LONGEST_STEP = 0.25
#: Steps shorter than this fraction of the resolution cell end the iteration.
_CONVERGED = 1e-10
#: Samples of the frames that are processed at once.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Peaks:
    """Peaks of the spectra of all frames.

    Attributes
    ----------
    frequency : ndarray, shape (frames,)
        Frequencies of the peaks in Hz.
    deviation : ndarray, shape (frames,)
        Their standard deviations in white noise of unit variance; infinite where there is no peak.
    magnitude : ndarray, shape (orders, frames)
        ``|V_0|`` over the sum of the window, both summed over the samples in the signal.
    """

    frequency: Float64Array
    deviation: Float64Array
    magnitude: Float64Array


@dataclass(frozen=True)
class _Samples:
    """Windowed samples of frames.

    Attributes
    ----------
    xw : ndarray, shape (frames, samples)
        Signal times window.
    s : ndarray, shape (frames, samples)
        Time from the window's centre in seconds.
    ww : ndarray, shape (frames, samples)
        Squared window.
    gain : ndarray, shape (frames,)
        Sum of the window.
    kernels : module
        The backend.
    """

    xw: AnyArray
    s: Float64Array
    ww: Float64Array
    gain: Float64Array
    kernels: ModuleType

    @classmethod
    def of(
        cls,
        x: AnyArray,
        window: Window,
        win_length: Float64Array,
        centre: Float64Array,
        T: float,
        rate: Float64Array | None,
        kernels: ModuleType,
    ) -> _Samples:
        """Apply windows of lengths `win_length` at `centre`, both (frames,) in samples, and remove a chirp `rate`."""
        start = np.ceil(centre - win_length / 2)
        n = start[:, np.newaxis] + np.arange(int(np.ceil(win_length.max())) + 1)
        away = n - centre[:, np.newaxis]
        inside = (n >= 0) & (n < x.size)
        u = away / win_length[:, np.newaxis]
        # frames that lie alike share the samples of their window
        w = np.where(inside, window(u[:1] if np.array_equal(u, np.broadcast_to(u[:1], u.shape)) else u), 0.0)
        samples = x[np.clip(n, 0, x.size - 1).astype(np.int64)]
        xw = samples * w
        if rate is not None:
            xw = xw * np.exp(-1j * np.pi * rate[:, np.newaxis] * (away * T) ** 2)
        return cls(xw, away * T, w**2, w.sum(axis=1), kernels)

    @property
    def energy(self) -> Float64Array:
        """Energy of the windows."""
        return np.asarray(self.ww.sum(axis=1))

    def sums(self, f: Float64Array) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Return ``V_0``, ``V_1`` and ``V_2`` at a frequency for each frame."""
        out = np.empty((3, f.size), complex)
        self.kernels.frequency_sums(self.xw, self.s, f, out)
        return out[0], out[1], out[2]

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
    rate: Float64Array | None = None,
    kernels: ModuleType | None = None,
) -> Peaks:
    """Maximise ``J`` in each frame of one channel, from the frequencies `start`.

    Parameters
    ----------
    x : ndarray, shape (n,)
        The signal.
    window : Window
        The window function.
    win_length : ndarray, shape (orders, frames)
        Window lengths in samples at each order.
    centre : ndarray, shape (frames,)
        Centres of the windows in samples.
    T : float
        Sampling interval in seconds.
    start : ndarray, shape (frames,)
        Frequencies in Hz from which the iteration starts.
    orders : ndarray, shape (orders,)
        Multiples of the frequency.
    used : ndarray of bool, shape (orders, frames)
        Whether a multiple is in the range of the transform.
    rate : ndarray, shape (frames,), optional
        Change of the frequency in Hz/s, which is removed from the samples. The peak then is at the frequency in the
        middle of the window; otherwise it is at that in the centre of gravity.
    kernels : module, optional
        The backend; that of ``"auto"`` by default.

    Returns
    -------
    Peaks
        Peaks of all frames.
    """
    if kernels is None:
        _, kernels = resolve("auto")
    size = max(1, int(_BLOCK / (win_length.max() + 2) / orders.size))
    parts = [slice(i, i + size) for i in range(0, start.size, size)]
    blocks = [
        _climb(
            [
                _Samples.of(
                    x, window, lengths[part], centre[part], T, None if rate is None else k * rate[part], kernels
                )
                for k, lengths in zip(orders, win_length, strict=True)
            ],
            1 / (win_length[:, part].max(axis=0) * T * orders.max()),
            start[part],
            orders,
            used[:, part],
        )
        for part in parts
    ]
    return Peaks(
        np.concatenate([peaks.frequency for peaks in blocks]),
        np.concatenate([peaks.deviation for peaks in blocks]),
        np.concatenate([peaks.magnitude for peaks in blocks], axis=1),
    )


def _climb(
    rows: list[_Samples], cell: Float64Array, start: Float64Array, orders: Float64Array, used: BoolArray
) -> Peaks:
    """Maximise ``J`` by Newton's method within a resolution `cell`, (frames,) in Hz, around `start`."""
    longest = _LONGEST_STEP * cell
    f, J, gradient, curvature = start, *_likelihood(rows, start, orders, used)
    for _ in range(_MOST_STEPS):
        step = np.clip(_newton(J, gradient, curvature, longest), -longest, longest)
        step = np.where(J > 0, np.clip(f + step, start - cell, start + cell) - f, 0.0)  # stay at this peak
        values = _likelihood(rows, f + step, orders, used)
        worse = values[0] < J
        # reject a step that lowers J, and limit the next one to a quarter of it
        longest = np.where(worse, np.abs(step) / 4, longest)
        f = np.where(worse, f, f + step)
        before = (J, gradient, curvature)
        J, gradient, curvature = (np.where(worse, old, new) for old, new in zip(before, values, strict=True))
        if np.all(np.abs(step) < _CONVERGED * cell):
            break
    return _peaks_at(rows, f, orders, used)


def _newton(J: Float64Array, gradient: Float64Array, curvature: Float64Array, longest: Float64Array) -> Float64Array:
    """Step of Newton's method for ``log J``, which is nearly a parabola in the main lobe; outside of it, uphill."""
    log_curvature = J * curvature - gradient**2  # second derivative of log J, times J**2
    concave = log_curvature < 0
    step = np.divide(-gradient * J, log_curvature, out=np.zeros_like(J), where=concave)
    return np.where(concave, step, np.sign(gradient) * longest)


def _likelihood(
    rows: list[_Samples], f: Float64Array, orders: Float64Array, used: BoolArray
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return ``J`` and its first two derivatives."""
    total = np.zeros((3, f.size))
    for k, row, inside in zip(orders, rows, used, strict=True):
        V0, V1, V2 = row.sums(k * f)
        e = np.where(row.energy > 0, row.energy, 1.0)
        terms = [np.abs(V0) ** 2, k * _power_gradient(V0, V1), k**2 * _power_curvature(V0, V1, V2)]
        total += np.array(terms) / e * inside
    return total[0], total[1], total[2]


def _power_gradient(V0: AnyArray, V1: AnyArray) -> Float64Array:
    """First derivative of the power in the frequency."""
    return np.asarray(4 * np.pi * np.imag(V0.conj() * V1))


def _power_curvature(V0: AnyArray, V1: AnyArray, V2: AnyArray) -> Float64Array:
    """Second derivative of the power in the frequency."""
    return np.asarray(8 * np.pi**2 * (np.abs(V1) ** 2 - np.real(V0.conj() * V2)))


def _peaks_at(rows: list[_Samples], f: Float64Array, orders: Float64Array, used: BoolArray) -> Peaks:
    """Compute deviations and magnitudes at the frequencies `f` of the maxima."""
    variance, curvature = np.zeros((2, f.size))
    magnitude = np.zeros((orders.size, f.size))
    for j, (k, row, inside) in enumerate(zip(orders, rows, used, strict=True)):
        V0, V1, V2 = row.sums(k * f)
        e = np.where(row.energy > 0, row.energy, 1.0)
        power = np.abs(V0) ** 2
        middle = np.divide(np.real(V1 * V0.conj()), power, out=np.zeros_like(power), where=power > 0)
        variance += inside * k**2 * 8 * np.pi**2 * power * row.second_moment(middle) / e**2
        curvature += inside * k**2 * _power_curvature(V0, V1, V2) / e
        magnitude[j] = inside * np.divide(np.abs(V0), row.gain, out=np.zeros_like(power), where=row.gain > 0)
    # in a frame with hardly any samples the curvature is a rounding error
    peaked = (curvature < 0) & (variance > 0)
    deviation = np.divide(np.sqrt(variance), -curvature, out=np.full_like(f, np.inf), where=peaked)
    return Peaks(f, deviation, magnitude)
