"""Synchrosqueezed transforms: bins moved to their instantaneous frequencies, and the inverse by frequency bands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adaptstft.common.levels import times_power_of_two
from adaptstft.common.text import short_repr
from adaptstft.common.threads import block_ranges, run_blocks
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_inexact, check_finite, check_option, check_positive
from adaptstft.tracking.framed_signal import (
    FramedSignal,
    check_continuous_window,
    frame_signal,
    host_transform,
    phase_from_centre,
)
from adaptstft.tracking.moments import Frequencies, estimate_frequencies
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

__all__ = ["Synchrosqueezed", "synchrosqueeze"]


@dataclass(frozen=True, eq=False)
class Synchrosqueezed:
    """A squeezed transform and its instantaneous frequencies: the result of `synchrosqueeze`.

    Attributes
    ----------
    S : ndarray of complex128 or complex64, shape (..., f_pts, p_num)
        The squeezed transform.
    f : ndarray of float64, shape (f_pts,)
        Frequencies of its rows in Hz, in the order of ``sft.f``.
    t : ndarray of float64, shape (p_num,)
        Times of its columns in seconds.
    frequency : ndarray of float64, shape of `S`
        Instantaneous frequency of each bin of the original transform in Hz.
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
    _x: AnyArray = field(repr=False)  # with time last, over 2**_exponent
    _exponent: int = field(repr=False)
    _axis: int = field(repr=False)

    __repr__ = short_repr

    def inverse(self, frequency: Any = None, width: float | None = None) -> AnyArray:
        """Invert the transform, or only the bins in a band of instantaneous frequencies.

        Parameters
        ----------
        frequency : float or array_like, shape (..., p_num), optional
            Middle of the band in Hz: one number, or one for each frame, such as a row
            of the `frequency` of `ridges`. All frequencies by default.
        width : float, optional
            Width of the band in Hz; required if `frequency` is given.

        Returns
        -------
        ndarray, of the shape of the signal
            The inverse transform of the bins whose instantaneous frequency lies in the
            band. Without a band this is the signal, exact to rounding (with windows per
            bin, to the tolerance of ``sft.istft``). In one-sided modes the bins at
            negative frequencies are included, and the result is real.

        Raises
        ------
        ValueError
            If the transform is not invertible, or the band has another shape.

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
        S = times_power_of_two(self._sft.stft(self._x), self._exponent)
        if (frequency is None) != (width is None):
            raise ValueError(f"{frequency=} and {width=} must be given together, or neither")
        if frequency is not None:
            middle = self._band(frequency)
            distance = np.abs(self.frequency - middle)
            if not self._sft.onesided_fft:  # frequencies are the same modulo fs
                distance = np.minimum(distance % self._sft.fs, -distance % self._sft.fs)
            S = np.where(distance <= check_positive("width", width, "Hz") / 2, S, np.zeros((), S.dtype))
        n = self._x.shape[-1]
        x = self._sft.istft(S, k1=n, n=n)
        return np.moveaxis(x.astype(self.S.real.dtype if self._sft.onesided_fft else self.S.dtype), -1, self._axis)

    def _band(self, frequency: Any) -> Float64Array:
        """Check the middle of the band and give it the axes of `S`."""
        middle = as_inexact("frequency", frequency).astype(float)
        check_finite("frequency", middle)
        if middle.ndim == 0:
            return middle
        expected = (*self.S.shape[:-2], self.t.size)
        if middle.shape not in (expected, expected[-1:]):
            raise ValueError(
                f"frequency has shape {middle.shape}: it must be one number, or one for each frame, of shape {expected}"
            )
        return middle[..., np.newaxis, :]


def synchrosqueeze(sft: AdaptiveShortTimeFFT, x: Any, *, order: int = 2, axis: int = -1) -> Synchrosqueezed:
    r"""Move every bin to its instantaneous frequency within its frame.

    The bins of a frame that belong to one component are added up at the frequency of the component [1]_. For windows
    of any length, the first order gives the exact frequency of a tone. The second order gives the exact frequency and
    chirp rate of a linear chirp at the time of the frame [2]_.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        Transform, such as ``res.sft`` of `optimize`, with any window lengths and
        positions. Its window must be continuous, and not 0 at its centre.
    x : array_like
        Signal as for ``sft.stft``.
    order : {1, 2}, optional
        Order of the estimate. The second order computes five transforms instead of
        two, and is more sensitive to noise away from the components.
    axis : int, optional
        Time axis of `x`. In the result time is the last axis and frequency the one
        before it.

    Returns
    -------
    Synchrosqueezed
        The squeezed transform, the instantaneous frequencies, and the method
        `~Synchrosqueezed.inverse`.

    Raises
    ------
    ValueError, TypeError
        For a bad signal or order, or a window that is not continuous.

    See Also
    --------
    reassign : Moves energy in time as well.
    ridges : Frequencies as curves.

    Notes
    -----
    With one window per frame, ``S`` is scaled such that the sum of a column is the signal at the centre of that
    frame's window (if the centre is a sample), for any window length and ``scale_to``. In one-sided modes it is the
    real part of the sum, because the rows between 0 and fs/2 stand for two bins each. With a hop of 1 this is the usual
    inverse. A tone of amplitude ``A`` has magnitude ``A``. With windows per bin this holds as far as the windows of
    neighbouring frequencies are equal.

    Phases are counted from the centres of the windows, for any ``phase_shift``, because only then the bins of a
    component add up. Bins that have less than 1e-12 of the largest magnitude, or an instantaneous frequency outside the
    range of `f`, stay where they are; two-sided frequencies are taken modulo `fs`.

    `~Synchrosqueezed.inverse` selects bins of the original transform by their instantaneous frequency, so it is exact
    for any hop and windows. For windows that are not zero at their ends see the notes of `reassign`.

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
    sft = host_transform(sft)
    check_option("order", order, (1, 2))
    check_continuous_window(sft)
    peak = float(sft.window(0.0))
    if not peak > 0:
        raise ValueError(f"window {sft.window.label} is {peak:g} at its centre: it must be positive to be squeezed")
    framed = frame_signal(sft, x, axis)
    found = estimate_frequencies(framed, order)
    _squeeze(sft, framed, found, peak)
    for channel, exponent in zip(found.V, found.exponent, strict=True):
        if exponent + framed.exponent:
            channel[...] = times_power_of_two(channel, exponent + framed.exponent)
    n = framed.layout.n
    return Synchrosqueezed(
        framed.to_public(found.V).astype(np.complex64 if framed.single else complex, copy=False),
        sft.f,
        sft.t(n),
        framed.to_public(found.frequency),
        framed.to_public(found.chirp_rate) if order == 2 else None,
        sft,
        framed.layout.channels[:, :n].copy().reshape(*framed.layout.lead, n),
        framed.exponent,
        axis,
    )


def _squeeze(sft: AdaptiveShortTimeFFT, framed: FramedSignal, found: Frequencies, peak: float) -> None:
    """Add up the bins in the rows nearest to their frequencies, which are moved to the range of the bins.

    `peak` is the window's value at its centre.
    """
    factor = np.ascontiguousarray(phase_from_centre(framed)) / (sft.mfft * peak)
    if sft.onesided_fft:
        factor[..., sft._plan.interior] *= 2
    shift = sft.mfft // 2 if sft.fft_mode == "centered" else 0
    two_sided = not sft.onesided_fft

    ranges = block_ranges(found.V.shape[1], sft.f_pts)

    def work(i: int) -> None:
        channel, part = i // len(ranges), slice(*ranges[i % len(ranges)])
        arrays = found.V[channel, part], found.frequency[channel, part], found.chirp_rate[channel, part]
        own = factor[part] if len(factor) > 1 else factor
        framed.plan.kernels.squeeze(*arrays, found.floor[channel], framed.f, sft.delta_f, own, two_sided, shift)

    run_blocks(len(found.V) * len(ranges), work, framed.plan.threads)
