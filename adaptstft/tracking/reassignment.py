"""Sharper pictures of transforms with any windows: reassignment, and synchrosqueezing, which can be inverted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.common.validation import as_inexact, check_finite, check_option, check_positive
from adaptstft.tracking.moments import (
    Analysed,
    analysed,
    audible,
    centred_phase,
    check_tapers,
    first_order,
    group_times,
    moments,
    on_host,
    second_order,
)
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

__all__ = ["Reassigned", "Synchrosqueezed", "reassign", "synchrosqueeze"]


# ---------------------------------------------------------------------------------------
# Reassignment


@dataclass(frozen=True, eq=False)
class Reassigned:
    """What `reassign` returns.

    Attributes
    ----------
    P : ndarray, shape (..., f_pts, p_num)
        Spectrogram ``abs(S)**2``.
    t_hat : ndarray of float64, shape of `P`
        Where its energy is in time, in seconds.
    f_hat : ndarray of float64, shape of `P`
        Where its energy is in frequency, in Hz.
    t : ndarray of float64, shape (p_num,)
        Times of the slices in seconds.
    f : ndarray of float64, shape (f_pts,)
        Frequencies of the bins in Hz.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 32, 4, fs=100.0)
    >>> r = adaptstft.reassign(sft, np.cos(0.4 * np.pi * np.arange(200)))  # 20 Hz
    >>> q, p = np.unravel_index(np.argmax(r.P), r.P.shape)
    >>> print(r.f[q], r.f_hat[q, p].round(2))
    18.75 19.99
    """

    P: AnyArray
    t_hat: Float64Array
    f_hat: Float64Array
    t: Float64Array
    f: Float64Array

    def picture(self, t: Any = None, f: Any = None) -> Float64Array:
        """Collect the energy on a grid.

        Parameters
        ----------
        t : array_like, shape (columns,), optional
            Times of the picture's columns in seconds, increasing; those of the
            slices by default.
        f : array_like, shape (rows,), optional
            Frequencies of its rows in Hz, increasing; those of the bins, in
            ascending order, by default.

        Returns
        -------
        ndarray of float64, shape (..., rows, columns)
            Sums of `P` over the points nearest to each cell. Points more than
            half a cell outside the grid are left out.

        Examples
        --------
        >>> import numpy as np
        >>> import adaptstft
        >>> x = np.cos(0.4 * np.pi * np.arange(200))
        >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 32, 4, fs=100.0)
        >>> r = adaptstft.reassign(sft, x)
        >>> Z = r.picture()
        >>> Z.shape == r.P.shape, bool(np.sum(Z[6]) > 0.9 * np.sum(r.P))  # all in the bin at 18.75 Hz
        (True, True)
        """
        columns = _as_grid("t", self.t if t is None else t)
        rows = _as_grid("f", np.sort(self.f) if f is None else f)
        j, i = _nearest(columns, self.t_hat), _nearest(rows, self.f_hat)
        inside = (j >= 0) & (i >= 0)
        cells = rows.size * columns.size
        lead = self.P.shape[:-2]
        out = np.empty((int(np.prod(lead, dtype=int)), cells))
        planes = (part.reshape(-1, *self.P.shape[-2:]) for part in (inside, i * columns.size + j, self.P))
        for channel, (mask, cell, power) in enumerate(zip(*planes, strict=True)):
            out[channel] = np.bincount(cell[mask], power[mask], cells)
        return out.reshape(*lead, rows.size, columns.size)


def _as_grid(name: str, values: Any) -> Float64Array:
    grid = as_inexact(name, values).astype(float)
    if grid.ndim != 1 or np.any(np.diff(grid) <= 0):
        raise ValueError(f"{name} has shape {grid.shape}: it must be 1-D and increasing")
    check_finite(name, grid)
    if grid.size < 2:
        raise ValueError(f"{name}={grid.tolist()} must have at least 2 values, whose distance is the size of a cell")
    return grid


def _nearest(grid: Float64Array, values: Float64Array) -> Any:
    """Index of the cell around each value, -1 outside the grid."""
    middle = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate([[2 * grid[0] - middle[0]], middle, [2 * grid[-1] - middle[-1]]])
    cell = np.searchsorted(edges, values, side="right") - 1
    cell[values == edges[-1]] = grid.size - 1
    return np.where(cell < grid.size, cell, -1)


def reassign(sft: AdaptiveShortTimeFFT, x: Any, *, axis: int = -1) -> Reassigned:
    r"""Find where in time and frequency the energy of each bin comes from.

    With transforms by the derivative of the window and by the window times
    the time from its centre, in the units of seconds and Hz [1]_,

    .. math:: \hat t = t_p + \mathrm{Re}\frac{S_{s w}}{S_w}, \qquad
              \hat f = f_q - \frac{1}{2\pi}\,\mathrm{Im}\frac{S_{w'}}{S_w} .

    A tone is put at its frequency, an impulse at its time, and a linear chirp
    on its line if the window is a Gaussian, whatever the window lengths are.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        Transform, such as ``res.sft`` of `optimize`, with any window lengths and
        positions. Its window must be continuous.
    x : array_like
        Signal as for ``sft.stft``.
    axis : int, optional
        Axis of time in `x`; in the result time is last and frequency before it.

    Returns
    -------
    Reassigned
        Powers, times and frequencies of all bins; its `~Reassigned.picture`
        collects them on a grid.

    Raises
    ------
    ValueError, TypeError
        For a bad signal, or a window that jumps.

    See Also
    --------
    synchrosqueeze : Moves the transform in frequency only and can be inverted.

    Notes
    -----
    Where a bin has less than 1e-12 of the largest magnitude, it stays where it is. The formulas need a window that
    goes to zero at its ends: one that ends with the value ``e``, relative to its mean, displaces frequencies by up
    to about ``e / pi`` of a resolution cell ``fs / win_length``. For the Gaussian that ends at 3 sigma, the default,
    this is 0.8 %; take ``("gaussian", 8)`` or longer where that matters.

    References
    ----------
    .. [1] F. Auger, P. Flandrin, "Improving the readability of time-frequency
       and time-scale representations by the reassignment method", IEEE Trans.
       Signal Process. 43(5), 1995.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> x = np.exp(2j * np.pi * 12.34 * np.arange(400) / 100)
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 64, 8, fs=100.0, fft_mode="centered")
    >>> r = adaptstft.reassign(sft, x)
    >>> q, p = np.unravel_index(np.argmax(r.P), r.P.shape)
    >>> print(f"{sft.f[q]:.3f} Hz -> {r.f_hat[q, p]:.3f} Hz")
    12.500 Hz -> 12.340 Hz
    """
    sft = on_host(sft)
    check_tapers(sft)
    a = analysed(sft, x, axis)
    m = moments(a, time=True, second=False)
    heard = audible(m.V)
    S = a.public(_stored(sft, a))
    P = S.real**2 + S.imag**2
    return Reassigned(
        P.astype(np.float32) if a.single else P,
        a.public(group_times(a, m, heard)),
        a.public(first_order(a, m, heard)),
        sft.t(a.layout.n),
        sft.f,
    )


def _stored(sft: AdaptiveShortTimeFFT, a: Analysed) -> ComplexArray:
    """Return the transform as ``sft.stft`` has it, shape (channels, frames, f_pts)."""
    return np.swapaxes(sft.stft(a.layout.channels[:, : a.layout.n]), -1, -2)


# ---------------------------------------------------------------------------------------
# Synchrosqueezing


@dataclass(frozen=True, eq=False)
class Synchrosqueezed:
    """What `synchrosqueeze` returns.

    Attributes
    ----------
    S : ndarray of complex128 or complex64, shape (..., f_pts, p_num)
        The squeezed transform.
    f : ndarray of float64, shape (f_pts,)
        Frequencies of its rows in Hz, in the order of ``sft.f``.
    t : ndarray of float64, shape (p_num,)
        Times of its columns in seconds.
    frequency : ndarray of float64, shape of `S`
        Instantaneous frequency that each bin of the original transform was
        found to have, in Hz.
    chirp_rate : ndarray of float64, shape of `S`, or None
        Its rate of change in Hz/s; only for ``order=2``.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> t = np.arange(1000) / 1000
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 100, 10, fs=1000.0)
    >>> squeezed = adaptstft.synchrosqueeze(sft, np.cos(2 * np.pi * (100 * t + 50 * t**2)))
    >>> p = abs(squeezed.t - 0.5).argmin()
    >>> q = abs(squeezed.S[:, p]).argmax()
    >>> print(squeezed.frequency[q, p].round(1), squeezed.chirp_rate[q, p].round(-1))
    150.0 100.0
    """

    S: AnyArray
    f: Float64Array
    t: Float64Array
    frequency: Float64Array
    chirp_rate: Float64Array | None
    _sft: AdaptiveShortTimeFFT = field(repr=False)
    _original: ComplexArray = field(repr=False)
    _n: int = field(repr=False)
    _axis: int = field(repr=False)

    def inverse(self, frequency: Any = None, width: float | None = None) -> AnyArray:
        """Return the signal, or its part in a band of instantaneous frequencies.

        Parameters
        ----------
        frequency : float or array_like, shape (..., p_num), optional
            Middle of the band in Hz, constant or for each slice, such as a row
            of the `frequency` of `ridges`. All frequencies by default.
        width : float, optional
            Width of the band in Hz; needed if `frequency` is given.

        Returns
        -------
        ndarray, of the shape of the signal
            The inverse transform of those bins whose instantaneous frequency lies
            in the band; the signal to rounding (with windows per bin, to the
            tolerance of ``sft.istft``) if all do. In one-sided modes the bins at
            negative frequencies are included, and the result is real.

        Raises
        ------
        ValueError
            If the transform is not invertible, or the band is not as above.

        Examples
        --------
        >>> import numpy as np
        >>> import adaptstft
        >>> n = np.arange(500)
        >>> low, high = np.cos(2 * np.pi * 0.11 * n), np.cos(2 * np.pi * 0.31 * n)
        >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 60, 6, fs=1.0)
        >>> squeezed = adaptstft.synchrosqueeze(sft, low + high)
        >>> bool(np.allclose(squeezed.inverse(), low + high))
        True
        >>> part = squeezed.inverse(0.31, width=0.05)
        >>> bool(np.max(np.abs(part - high)[60:-60]) < 0.01)
        True
        """
        S = self._original
        if (frequency is None) != (width is None):
            raise ValueError(f"{frequency=} and {width=} must be given together, or neither")
        if frequency is not None:
            middle = self._band(frequency)
            distance = np.abs(self.frequency - middle)
            if not self._sft.onesided_fft:  # the frequencies of samples lie on a circle
                distance = np.minimum(distance % self._sft.fs, -distance % self._sft.fs)
            S = np.where(distance <= check_positive("width", width, "Hz") / 2, S, np.zeros((), S.dtype))
        x = self._sft.istft(S, k1=self._n, n=self._n)
        return np.moveaxis(x.astype(self.S.real.dtype if self._sft.onesided_fft else self.S.dtype), -1, self._axis)

    def _band(self, frequency: Any) -> Float64Array:
        middle = as_inexact("frequency", frequency).astype(float)
        check_finite("frequency", middle)
        if middle.ndim == 0:
            return middle
        expected = (*self.S.shape[:-2], self.t.size)
        if middle.shape not in (expected, expected[-1:]):
            raise ValueError(
                f"frequency has shape {middle.shape}: it must be one number, or have one for each slice, of shape "
                f"{expected}"
            )
        return middle[..., np.newaxis, :]


def synchrosqueeze(sft: AdaptiveShortTimeFFT, x: Any, *, order: int = 2, axis: int = -1) -> Synchrosqueezed:
    r"""Move every bin to the instantaneous frequency that it has, slice by slice.

    The bins of a slice that belong to one component are added up at its frequency [1]_. The first order finds that of
    a tone exactly, the second order that of a linear chirp, with its rate of change, at the time of the slice [2]_,
    for windows of any length.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        Transform, such as ``res.sft`` of `optimize`, with any window lengths and
        positions. Its window must be continuous, and not 0 at its centre.
    x : array_like
        Signal as for ``sft.stft``.
    order : {1, 2}, optional
        Order of the estimate. The second takes five transforms in place of two
        and is more sensitive to noise away from the components.
    axis : int, optional
        Axis of time in `x`; in the result time is last and frequency before it.

    Returns
    -------
    Synchrosqueezed
        The squeezed transform, instantaneous frequencies, and the
        `~Synchrosqueezed.inverse`.

    Raises
    ------
    ValueError, TypeError
        For a bad signal or order, or a window that jumps.

    See Also
    --------
    reassign : Moves energy in time as well.
    ridges : Frequencies as curves.

    Notes
    -----
    With one window for each slice, ``S`` is scaled such that the sum of a column is the signal at the centre of that
    slice's window (if that is a sample), whatever the window's length and ``scale_to``; in one-sided modes the real
    part of the sum, as rows between 0 and fs/2 stand for two. With a hop of 1 that is the usual inverse. A tone of
    amplitude ``A`` has magnitude ``A``. With windows that differ between frequencies this holds as far as windows at
    neighbouring frequencies agree.

    Phases are counted from the centres of the windows, whatever the ``phase_shift``: only so do the bins
    of a component add up. Bins that have less than 1e-12 of the largest magnitude, or whose frequency is found outside
    the range of `f`, stay where they are; two-sided frequencies are taken modulo `fs`.

    `~Synchrosqueezed.inverse` selects bins of the original transform by their instantaneous frequency, which
    is exact for any hop and windows. For the ends of windows see the notes of `reassign`.

    References
    ----------
    .. [1] I. Daubechies, J. Lu, H.-T. Wu, "Synchrosqueezed wavelet transforms: an
       empirical mode decomposition-like tool", Appl. Comput. Harmon. Anal. 30(2), 2011.
    .. [2] R. Behera, S. Meignen, T. Oberlin, "Theoretical analysis of the second-order
       synchrosqueezing transform", Appl. Comput. Harmon. Anal. 45(2), 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> chirp = adaptstft.datasets.linear_chirp(rate=60.0)  # 60 Hz/s, 250 Hz after 2 s
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 256, 40, chirp.fs)
    >>> squeezed = adaptstft.synchrosqueeze(sft, chirp.x)
    >>> p = np.searchsorted(squeezed.t, 2.0)
    >>> q = np.argmax(np.abs(sft.stft(chirp.x)[:, p]))
    >>> print(f"{squeezed.frequency[q, p]:.2f} Hz, {squeezed.chirp_rate[q, p]:.1f} Hz/s")
    250.00 Hz, 60.0 Hz/s
    """
    sft = on_host(sft)
    check_option("order", order, (1, 2))
    check_tapers(sft)
    peak = float(sft.window(0.0))
    if not peak > 0:
        raise ValueError(f"window {sft.window.spec!r} is {peak:g} at its centre: it must be positive to be squeezed")
    a = analysed(sft, x, axis)
    m = moments(a, time=order == 2, second=order == 2)
    heard = audible(m.V)
    rate = None
    if order == 2:
        frequency, rate = second_order(a, m, heard)
    else:
        frequency = first_order(a, m, heard)
    frequency = _within(sft, frequency)
    squeezed = _squeezed(sft, m.V * centred_phase(sft, a) / (sft.mfft * peak), frequency)
    return Synchrosqueezed(
        a.public(squeezed).astype(np.complex64 if a.single else complex),
        sft.f,
        sft.t(a.layout.n),
        a.public(frequency),
        None if rate is None else a.public(rate),
        sft,
        a.public(_stored(sft, a)),
        a.layout.n,
        axis,
    )


def _within(sft: AdaptiveShortTimeFFT, frequency: Float64Array) -> Float64Array:
    """Frequencies (channels, frames, f_pts) in the range of the bins; those that cannot be are the bins' own."""
    f = sft.f
    if not sft.onesided_fft:
        low = f.min() - sft.delta_f / 2
        return np.asarray(low + (frequency - low) % sft.fs)
    inside = (frequency > -sft.delta_f / 2) & (frequency < f[-1] + sft.delta_f / 2)
    return np.where(inside, frequency, f)


def _squeezed(sft: AdaptiveShortTimeFFT, V: ComplexArray, frequency: Float64Array) -> ComplexArray:
    """Add the bins (channels, frames, f_pts) up at the rows nearest to their frequencies."""
    f_pts = sft.f_pts
    if sft.onesided_fft:
        V[..., sft._plan.interior] *= 2
    row = np.rint(frequency / sft.delta_f).astype(np.int64)
    if sft.fft_mode == "centered":
        row += sft.mfft // 2
    row = np.clip(row, 0, f_pts - 1) if sft.onesided_fft else row % sft.mfft
    out = np.empty(V.shape, complex)
    for plane, target, squeezed in zip(V, row, out, strict=True):
        cell = (target + f_pts * np.arange(len(plane))[:, np.newaxis]).ravel()
        for part in ("real", "imag"):
            sums = np.bincount(cell, getattr(plane, part).ravel(), plane.size)
            setattr(squeezed, part, sums.reshape(plane.shape))
    return out
