"""The short-time Fourier transform with real-valued window lengths and frame positions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import numpy as np
from scipy import fft as fft_lib
from scipy.signal import ShortTimeFFT as _ScipyShortTimeFFT

from adaptstft import criteria, inverse, kernels, objective
from adaptstft._typing import (
    AnyArray,
    AxesSequence,
    Backend,
    ComplexArray,
    FFTMode,
    Float64Array,
    FloatArray,
    Padding,
    Parameter,
    Scaling,
)
from adaptstft._validation import (
    as_index,
    as_inexact,
    as_positions,
    as_real,
    as_signal,
    as_win_length,
    as_workers,
    check_finite,
    check_not_silent,
    check_option,
    check_positive,
)
from adaptstft.blocks import count_workers
from adaptstft.framing import Frames, HopSlices, make_frames, pad, pad_adjoint
from adaptstft.interop import scipy_window, window_samples
from adaptstft.scopes import FrameView, Neighbourhoods
from adaptstft.transform import Pullback, Transform, forward, pullback, stored_cotangent
from adaptstft.windows import Window, resolve

__all__ = ["AdaptiveShortTimeFFT", "Gradient"]


@dataclass(frozen=True)
class Gradient:
    """Derivatives of a real loss in the parameters of a transform.

    Fields are None where they were not asked for or the transform has no such
    parameter.

    Attributes
    ----------
    win_length : ndarray of float64 or None
        In the window length(s), of the shape of the transform's `win_length`.
    positions : ndarray of float64, shape (p_num,), or None
        In the real centre of each slice, in samples.
    hop : float or None
        In the hop; None for a transform made from positions.
    shape : ndarray of float64, shape (n_shape,), or None
        In the shape parameters of the window; None if it has none.
    x : ndarray or None
        In the signal, of its shape: real for a real signal, otherwise
        ``dC/dRe x + 1j dC/dIm x``.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import AdaptiveShortTimeFFT
    >>> sft = AdaptiveShortTimeFFT("hann", 20.5, 4, fs=1.0)
    >>> value, gradient = sft.value_and_grad(np.cos(np.arange(100.0)), "renyi", wrt=("hop",))
    >>> gradient.win_length is None, isinstance(gradient.hop, float)
    (True, True)
    """

    win_length: Float64Array | None = None
    positions: Float64Array | None = None
    hop: float | None = None
    shape: Float64Array | None = None
    x: AnyArray | None = None


class AdaptiveShortTimeFFT:
    r"""Short-time Fourier transform with real window lengths, hop or positions.

    Interface and results follow `scipy.signal.ShortTimeFFT`; window length and
    hop are real numbers of samples, the length may differ from slice to slice,
    and everything can be differentiated [1]_:

    .. math:: S[q, p] = \sum_n x[n]\, c(\theta_p)\, \omega\!\left(\frac{n - t_p}{\theta_p}\right)
              e^{-2 j \pi f_q (n - t_p) T}

    Parameters
    ----------
    window : str, tuple, callable or Window
        Window family, see `adaptstft.windows.resolve`.
    win_length : float or array_like of float, shape (p_num,)
        Window length in samples, at least 1, or one for each slice: element 0
        belongs to slice `p_min`.
    hop : float or None
        Time between slices in samples; slice ``p`` is at ``p * hop``. None if
        `positions` are given.
    fs : float
        Sampling frequency in Hz.
    positions : array_like of float, shape (p_num,), optional
        Times of the slices in samples, not decreasing, in place of `hop`.
    max_length : int, optional
        Number of samples reserved for a window, ``m_num``; by default the
        longest window length, rounded up. With a hop and one length for each
        slice it decides which slices touch the signal.
    fft_mode : {"onesided", "onesided2X", "twosided", "centered"}, optional
        As in SciPy.
    mfft : int, optional
        Length of the FFT, at least `max_length`, which is the default. It does
        not change with the window length, so neither do the frequencies.
    scale_to : {"magnitude", "psd"}, optional
        Scale each window as SciPy does. None (default) leaves its peak at 1.
    phase_shift : int or None, optional
        As in SciPy: 0 (default) measures the phase from the centre of a slice,
        None from the first of its `m_num` samples.
    window_offset : float, optional
        Centre of the window of a slice relative to its time, in samples. SciPy's
        periodic windows of odd length have 1/2, see `from_scipy`.
    workers : int, optional
        Number of threads; None (default) uses all cores, negative numbers count
        back from that.
    backend : {"auto", "numba", "numpy"}, optional
        Implementation of the inner loops.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range; the message names the value and the range.

    See Also
    --------
    adaptstft.optimize : Find the window length that a signal asks for.

    Notes
    -----
    The samples of a window are those with ``-win_length/2 <= n - t_p <
    win_length/2``. Instances are immutable and can be shared between threads.

    References
    ----------
    .. [1] M. Leiber, Y. Marnissi, A. Barrau, S. Meignen, L. Massoulié,
       "Optimal adaptive time-frequency representation via differentiable
       short-time Fourier transform", IEEE Trans. Signal Process. 73,
       5047-5059, 2025, :doi:`10.1109/TSP.2025.3624477`.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import AdaptiveShortTimeFFT
    >>> x = np.random.default_rng(0).standard_normal(1000)
    >>> sft = AdaptiveShortTimeFFT("hann", 100.5, 25, fs=1000.0, mfft=128)
    >>> S = sft.stft(x)
    >>> S.shape
    (65, 43)
    >>> bool(np.allclose(sft.istft(S, k1=1000), x))
    True
    """

    def __init__(
        self,
        window: Any,
        win_length: Any,
        hop: float | None,
        fs: float,
        *,
        positions: Any = None,
        max_length: int | None = None,
        fft_mode: FFTMode = "onesided",
        mfft: int | None = None,
        scale_to: Scaling | None = None,
        phase_shift: int | None = 0,
        window_offset: float = 0.0,
        workers: int | None = None,
        backend: Backend = "auto",
    ) -> None:
        self._window = resolve(window)
        self._win_length = as_win_length(win_length)
        self._hop, self._positions = _check_times(hop, positions, self._win_length)
        self._fs = check_positive("fs", fs, "Hz")
        longest = int(np.ceil(self._win_length.max()))
        self._m_num = longest if max_length is None else as_index("max_length", max_length)
        if self._m_num < longest:
            raise ValueError(f"{max_length=} must be at least the longest window, {self._win_length.max():g} samples")
        check_option("fft_mode", fft_mode, get_args(FFTMode))
        self._fft_mode: FFTMode = fft_mode
        self._mfft = self._m_num if mfft is None else as_index("mfft", mfft)
        if self._mfft < self._m_num:
            raise ValueError(f"{mfft=} must be at least the window's {self._m_num} samples")
        check_option("scale_to", scale_to, (*get_args(Scaling), None))
        self._scaling: Scaling | None = scale_to
        if fft_mode == "onesided2X" and scale_to is None:
            raise ValueError(f"{fft_mode=} needs scale_to='magnitude' or 'psd', got {scale_to=}")
        self._phase_shift = _check_phase_shift(phase_shift, self._mfft)
        self._window_offset = as_real("window_offset", window_offset)
        self._workers = as_workers(workers)
        check_option("backend", backend, kernels.BACKENDS)
        self._backend, module = kernels.resolve(backend)
        self._slices = self._hop_slices()
        self._tf = Transform(
            self._window,
            self._mfft,
            fft_mode,
            scale_to,
            1 / self._fs,
            module,
            count_workers(self._workers),
            self._window_offset,
        )

    def _hop_slices(self) -> HopSlices | None:
        if self._hop is None:
            return None
        varies = self._win_length.ndim > 0
        length = float(self._m_num) if varies else float(self._win_length)
        return HopSlices(self._hop, length, self._window, self._m_num, self._window_offset)

    def __repr__(self) -> str:
        lengths = (
            f"{float(self._win_length):g}"
            if self._win_length.ndim == 0
            else f"<{self._win_length.size} lengths from {self._win_length.min():g} to {self._win_length.max():g}>"
        )
        times = f"hop={self._hop:g}" if self._positions is None else f"positions=<{self._positions.size} centres>"
        return (
            f"AdaptiveShortTimeFFT({self._window.spec!r}, {lengths}, {times}, fs={self._fs:g}, "
            f"fft_mode={self._fft_mode!r}, mfft={self._mfft}, scale_to={self._scaling!r})"
        )

    # ------------------------------------------------------------------ parameters

    @property
    def window(self) -> Window:
        """The window family with its shape parameters."""
        return self._window

    @property
    def win_length(self) -> float | Float64Array:
        """Window length in samples: a float, or an array with one for each slice."""
        return float(self._win_length) if self._win_length.ndim == 0 else self._win_length.copy()

    @property
    def hop(self) -> float | None:
        """Time between slices in samples; None if the transform was made from positions."""
        return self._hop

    @property
    def positions(self) -> Float64Array | None:
        """Times of the slices in samples; None if the transform was made from a hop."""
        return None if self._positions is None else self._positions.copy()

    @property
    def fs(self) -> float:
        """Sampling frequency in Hz."""
        return self._fs

    @property
    def T(self) -> float:
        """Sampling interval in seconds."""
        return 1 / self._fs

    @property
    def fft_mode(self) -> FFTMode:
        """Mode of the FFT, as in SciPy."""
        return self._fft_mode

    @property
    def onesided_fft(self) -> bool:
        """Whether negative frequencies are left out."""
        return self._tf.onesided

    @property
    def mfft(self) -> int:
        """Length of the FFT."""
        return self._mfft

    @property
    def m_num(self) -> int:
        """Number of samples reserved for a window."""
        return self._m_num

    @property
    def m_num_mid(self) -> int:
        """Centre index of those samples."""
        return self._m_num // 2

    @property
    def scaling(self) -> Scaling | None:
        """Scaling of the windows: ``"magnitude"``, ``"psd"`` or None."""
        return self._scaling

    @property
    def phase_shift(self) -> int | None:
        """Shift of the phase's origin in samples, as in SciPy."""
        return self._phase_shift

    @property
    def window_offset(self) -> float:
        """Centre of a slice's window relative to its time, in samples."""
        return self._window_offset

    @property
    def workers(self) -> int | None:
        """Number of threads as given; None for all cores."""
        return self._workers

    @property
    def backend(self) -> str:
        """Implementation of the inner loops in use."""
        return self._backend

    # ------------------------------------------------------------------ axes

    @property
    def f_pts(self) -> int:
        """Number of frequency bins."""
        return self._tf.f_pts

    @property
    def delta_f(self) -> float:
        """Width of a frequency bin in Hz."""
        return 1 / (self._mfft * self.T)

    @property
    def f(self) -> Float64Array:
        """Frequencies of the bins in Hz, shape (f_pts,)."""
        if self.onesided_fft:
            return np.asarray(fft_lib.rfftfreq(self._mfft, self.T))
        f = fft_lib.fftfreq(self._mfft, self.T)
        return np.asarray(fft_lib.fftshift(f) if self._fft_mode == "centered" else f)

    @property
    def delta_t(self) -> float:
        """Time between slices in seconds; a ValueError for a transform made from positions."""
        return self._need_hop("delta_t").hop * self.T

    def _need_hop(self, name: str) -> HopSlices:
        if self._slices is None:
            raise ValueError(f"{name} is not defined for a transform made from positions: it has no hop")
        return self._slices

    @property
    def p_min(self) -> int:
        """Index of the first slice that touches the signal, at most 0."""
        return 0 if self._slices is None else self._slices.p_min

    def p_max(self, n: int) -> int:
        """Return the index after the last slice that touches a signal of `n` samples."""
        n = as_index("n", n, 1)
        if self._slices is None:
            return cast(Float64Array, self._positions).size
        return self._slices.p_max(n)

    def p_num(self, n: int) -> int:
        """Return the number of slices for a signal of `n` samples."""
        return self.p_max(n) - self.p_min

    def p_range(self, n: int, p0: int | None = None, p1: int | None = None) -> tuple[int, int]:
        """Return the range of slices ``p0 <= p < p1``, checked against a signal of `n` samples."""
        low, high = self.p_min, self.p_max(n)
        first = low if p0 is None else as_index("p0", p0)
        last = high if p1 is None else as_index("p1", p1)
        if not low <= first < last <= high:
            raise ValueError(f"{p0=}, {p1=}: p_min={low} <= p0 < p1 <= p_max={high} does not hold for {n=} samples")
        return first, last

    @property
    def k_min(self) -> int:
        """First sample of the first slice, at most 0 for a transform with a hop."""
        return int(self._slot_starts(0, self.p_min, self.p_min + 1)[0])

    def k_max(self, n: int) -> int:
        """Return the sample after the last slice for a signal of `n` samples."""
        last = self.p_max(n)
        return int(self._slot_starts(0, last - 1, last)[0]) + self._m_num

    def _slot_starts(self, k_offset: int, p0: int, p1: int) -> Any:
        centres = self._times(p0, p1) + self._window_offset - self._m_num / 2
        return np.ceil(centres).astype(np.int64) + k_offset

    @property
    def lower_border_end(self) -> tuple[int, int]:
        """First sample and first slice that padding before the signal does not reach."""
        return self._need_hop("lower_border_end").lower_border_end

    def upper_border_begin(self, n: int) -> tuple[int, int]:
        """Return the first sample and slice that padding after `n` samples reaches."""
        return self._need_hop("upper_border_begin").upper_border_begin(as_index("n", n, 1))

    def _times(self, p0: int, p1: int) -> Float64Array:
        if self._positions is not None:
            return self._positions[p0:p1]
        return np.arange(p0, p1) * cast(float, self._hop)

    def t(self, n: int, p0: int | None = None, p1: int | None = None, k_offset: int = 0) -> Float64Array:
        """Return the times of the slices in seconds.

        Parameters
        ----------
        n : int
            Number of samples of the signal.
        p0, p1 : int, optional
            Range of slices; all that touch the signal by default.
        k_offset : int, optional
            Index of the sample at time 0.

        Returns
        -------
        ndarray of float64, shape (p1 - p0,)
            Times of the slices' centres.
        """
        k_offset = as_index("k_offset", k_offset)
        return self._times(*self.p_range(n, p0, p1)) * self.T + k_offset * self.T

    def extent(
        self, n: int, axes_seq: AxesSequence = "tf", center_bins: bool = False
    ) -> tuple[float, float, float, float]:
        """Return the corners of the time-frequency plane, for `matplotlib.pyplot.imshow`.

        Parameters
        ----------
        n : int
            Number of samples of the signal.
        axes_seq : {"tf", "ft"}, optional
            Time or frequency first.
        center_bins : bool, optional
            Shift by half a bin, so that bins are centred on their values.

        Returns
        -------
        tuple of float
            ``(t0, t1, f0, f1)`` in s and Hz, or frequencies first. For a transform
            made from positions a slice is as wide as they are apart on average.
        """
        check_option("axes_seq", axes_seq, get_args(AxesSequence))
        if self._fft_mode == "twosided":
            raise ValueError("fft_mode='twosided' has no extent: use 'centered', 'onesided' or 'onesided2X'")
        q0 = -(self._mfft // 2) if self._fft_mode == "centered" else 0
        shift = 0.5 if center_bins else 0.0
        p0, p1 = self.p_range(n)
        times = self._times(p0, p1)
        step = self._hop if self._hop is not None else (times[-1] - times[0]) / max(times.size - 1, 1)
        t = (times[0] - shift * step) * self.T, (times[-1] + (1 - shift) * step) * self.T
        f = (q0 - shift) * self.delta_f, (q0 + self.f_pts - shift) * self.delta_f
        corners = (*t, *f) if axes_seq == "tf" else (*f, *t)
        return cast(tuple[float, float, float, float], tuple(float(v) for v in corners))

    # ------------------------------------------------------------------ analysis

    def _frames(self, p0: int, p1: int, k_offset: int = 0) -> Frames:
        """Frames of slices ``p0 <= p < p1`` in the sample indices of the signal."""
        theta = self._win_length
        if theta.ndim:
            theta = theta[p0 - self.p_min : p1 - self.p_min]
        shift = -self.m_num_mid if self._phase_shift is None else self._phase_shift
        # SciPy rolls the windowed samples before it pads them to mfft, so its shift wraps at m_num.
        shift = (shift + self.m_num_mid) % self._m_num - self.m_num_mid
        times = self._times(p0, p1) + k_offset
        return make_frames(
            theta, times, mfft=self._mfft, window_offset=self._window_offset, phase_shift=shift
        )

    def _check_lengths(self, n: int) -> None:
        if self._win_length.ndim and self._win_length.size != self.p_num(n):
            raise ValueError(
                f"win_length has {self._win_length.size} entries, but a signal of {n} samples has "
                f"p_num={self.p_num(n)} slices for hop={self._hop}, max_length={self._m_num}"
            )

    def _analysis(
        self, x: Any, p0: int | None, p1: int | None, k_offset: int, padding: Padding, axis: int
    ) -> _Analysis:
        signal, axis = as_signal(x, axis, onesided=self.onesided_fft)
        check_option("padding", padding, get_args(Padding))
        n = signal.shape[-1]
        self._check_lengths(n)
        first, last = self.p_range(n, p0, p1)
        frames = self._frames(first, last, as_index("k_offset", k_offset))
        channels = np.ascontiguousarray(signal.reshape(-1, n))
        before, after = 0, 0
        if padding != "zeros":
            low, high = frames.covered()
            before, after = max(0, -low), max(0, high - n)
            channels = pad(channels, before, after, padding)
            frames = replace(frames, start=frames.start + before)
        return _Analysis(channels, frames, signal.shape[:-1], n, axis, before, after, padding, first)

    def stft(
        self,
        x: Any,
        p0: int | None = None,
        p1: int | None = None,
        *,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> ComplexArray:
        """Short-time Fourier transform.

        Parameters
        ----------
        x : array_like
            Real or complex signal of any number of dimensions; complex only in
            modes ``"twosided"`` and ``"centered"``.
        p0, p1 : int, optional
            Range of slices; all that touch the signal by default.
        k_offset : int, optional
            Index of the sample at time 0.
        padding : {"zeros", "edge", "even", "odd"}, optional
            What lies beyond the ends of the signal, as in SciPy.
        axis : int, optional
            Axis of time in `x`.

        Returns
        -------
        ndarray of complex128, shape (..., f_pts, p1 - p0)
            The transform; `axis` becomes frequency and time is last. complex64
            for float32 and complex64 signals.
        """
        a = self._analysis(x, p0, p1, k_offset, padding, axis)
        return a.to_public(forward(self._tf, a.channels, a.frames))

    def spectrogram(
        self,
        x: Any,
        y: Any = None,
        *,
        p0: int | None = None,
        p1: int | None = None,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> FloatArray | ComplexArray:
        """Spectrogram ``abs(Sx)**2``, or cross-spectrogram ``Sx * conj(Sy)``.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`.
        y : array_like, optional
            Second signal of the shape of `x`.
        p0, p1, k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        ndarray, shape (..., f_pts, p1 - p0)
            Real without `y`, complex with it.
        """
        if y is not None and np.shape(y) != np.shape(x):
            raise ValueError(f"x and y must have the same shape, got {np.shape(x)} and {np.shape(y)}")
        Sx = self.stft(x, p0, p1, k_offset=k_offset, padding=padding, axis=axis)
        if y is None or y is x:
            return cast(FloatArray, Sx.real**2 + Sx.imag**2)
        Sy = self.stft(y, p0, p1, k_offset=k_offset, padding=padding, axis=axis)
        return cast(ComplexArray, Sx * Sy.conj())

    # ------------------------------------------------------------------ synthesis

    @property
    def invertible(self) -> bool:
        """Whether every sample between the first and the last slice's centre can be reconstructed.

        For a transform with one window length and a hop this is so for every signal.
        """
        if self._positions is not None:
            times = self._positions
            p0, p1 = 0, times.size
        else:
            p0 = self.p_min
            reach = int(np.ceil(self._m_num / cast(float, self._hop))) + 1
            p1 = p0 + (self._win_length.size if self._win_length.ndim else 2 * reach + 64)
            times = self._times(p0, p1)
            if self._win_length.ndim == 0:  # away from both ends, where slices are missing
                times = times[reach:-reach]
        low, high = int(np.ceil(times[0])), int(np.floor(times[-1])) + 1
        if high <= low:
            return True
        overlap = inverse.window_overlap(self._tf, self._frames(p0, p1), low, high)
        return bool(np.all(inverse.is_covered(overlap)))

    def _signal_frames(self, n: int) -> Frames:
        self._check_lengths(as_index("n", n, 1))
        return self._frames(*self.p_range(n))

    def frame_bounds(self, n: int) -> tuple[float, float]:
        """Frame bounds of the two-sided transform for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples of the signal.

        Returns
        -------
        lower, upper : float
            Smallest and largest value of ``mfft * sum_p |w_p|**2`` over the
            samples. The transform is invertible if the lower one is positive;
            their ratio bounds how much noise the inverse can amplify.
        """
        overlap = self._mfft * inverse.window_overlap(self._tf, self._signal_frames(n), 0, n)
        return float(overlap.min()), float(overlap.max())

    def windows(self, n: int) -> Float64Array:
        """Sampled windows of all slices for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples of the signal.

        Returns
        -------
        ndarray of float64, shape (p_num, m_num)
            Row ``p - p_min`` holds the window of slice ``p``, scaled, at the
            samples from ``ceil(t_p + window_offset - m_num/2)`` on.
        """
        return self._window_rows(n, dual=False)

    def dual_windows(self, n: int) -> Float64Array:
        """Canonical dual windows ``w_p / sum_p |w_p|**2`` for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples of the signal.

        Returns
        -------
        ndarray of float64, shape (p_num, m_num)
            In the layout of `windows`.
        """
        return self._window_rows(n, dual=True)

    def _window_rows(self, n: int, *, dual: bool) -> Float64Array:
        frames = self._signal_frames(n)
        starts = self._slot_starts(0, *self.p_range(n))
        return inverse.dual_rows(self._tf, frames, starts, self._m_num, dual=dual)

    def istft(
        self, S: Any, k0: int = 0, k1: int | None = None, *, f_axis: int = -2, t_axis: int = -1
    ) -> AnyArray:
        """Inverse transform: the exact signal, or the least-squares one if `S` was modified.

        Parameters
        ----------
        S : array_like, shape (..., f_pts, p_num)
            Transform whose first slice is `p_min`.
        k0, k1 : int, optional
            Range of samples to return; `k1` is the end of the last slice by
            default. Give the signal's length to get the signal.
        f_axis, t_axis : int, optional
            Axes of frequency and time in `S`.

        Returns
        -------
        ndarray, shape (..., k1 - k0)
            Real for one-sided modes, else complex; float32 or complex64 for
            complex64 input.

        Raises
        ------
        ValueError
            If samples in the range are covered by no window; the message names
            them.
        """
        S = as_inexact("S", S)
        f_axis, t_axis = _check_axes(S, f_axis, t_axis, self.f_pts)
        check_finite("S", S)
        p_num = S.shape[t_axis]
        expected = self._positions if self._positions is not None else self._win_length
        if (self._positions is not None or self._win_length.ndim) and p_num != expected.size:
            raise ValueError(f"S has {p_num} slices along t_axis={t_axis}, but the transform has {expected.size}")
        frames = self._frames(self.p_min, self.p_min + p_num)
        low, high = frames.covered()
        k0 = as_index("k0", k0)
        k1 = high if k1 is None else as_index("k1", k1)
        if not low <= k0 < k1 <= high:
            raise ValueError(f"{k0=}, {k1=}: {low} <= k0 < k1 <= {high} does not hold for {p_num} slices")
        moved = np.moveaxis(S, (t_axis, f_axis), (-2, -1))
        if not np.iscomplexobj(moved):
            moved = moved.astype(np.result_type(moved.dtype, np.complex64))
        x = inverse.synthesize(self._tf, moved.reshape(-1, p_num, self.f_pts), frames, k0, k1)
        x = x.reshape(*moved.shape[:-2], k1 - k0)
        return np.moveaxis(x, -1, f_axis if f_axis < x.ndim else t_axis)

    # ------------------------------------------------------------------ gradients

    def vjp(
        self,
        x: Any,
        cotangent: Any,
        *,
        wrt: tuple[Parameter, ...] | None = None,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> Gradient:
        """Vector-Jacobian product: pull a cotangent of `stft` back to the parameters.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`.
        cotangent : array_like, shape of ``stft(x)``
            ``G = dC/dRe S + 1j dC/dIm S`` for a real loss ``C``, so that
            ``dC = Re sum conj(G) dS`` over the stored bins.
        wrt : tuple of str, optional
            Which derivatives to compute, of ``"win_length"``, ``"positions"``,
            ``"hop"``, ``"shape"`` and ``"x"``; all by default.
        k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        Gradient
            Derivatives of the loss.
        """
        chosen = self._check_wrt(wrt)
        a = self._analysis(x, None, None, k_offset, padding, axis)
        g = as_inexact("cotangent", cotangent)
        check_finite("cotangent", g)
        g = a.from_public(g, self.f_pts)
        back = pullback(
            self._tf,
            a.channels,
            a.frames,
            stored_cotangent(self._tf, g, a.frames),
            want_x="x" in chosen,
            shape="shape" in chosen,
        )
        return self._gradient(chosen, a, *_split(back))

    def value_and_grad(
        self,
        x: Any,
        criterion: Any,
        *,
        wrt: tuple[Parameter, ...] | None = None,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> tuple[float, Gradient]:
        """Value and gradient of a concentration criterion of ``stft(x)``.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`; not silent.
        criterion : str, Criterion or callable
            A name (its global scope), an object of `adaptstft.criteria`, or a
            function of ``spectrogram(x)`` written with ``autograd.numpy``. A
            local scope without a width takes twice the longest window.
        wrt : tuple of str, optional
            Which derivatives to compute, of ``"win_length"``, ``"positions"``,
            ``"hop"``, ``"shape"`` and ``"x"``; all by default. Without ``"x"``
            most criteria need two FFTs a slice, with it three.
        k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        value : float
            The criterion.
        gradient : Gradient
            Its derivatives.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> x = np.sin(0.1 * np.arange(400) + 0.002 * np.arange(400.0) ** 2)
        >>> short, long = (AdaptiveShortTimeFFT("hann", m, 4, 1.0, mfft=256) for m in (30, 200))
        >>> _, g_short = short.value_and_grad(x, "shannon")
        >>> _, g_long = long.value_and_grad(x, "shannon")
        >>> g_short.win_length < 0 < g_long.win_length  # the best length lies between
        np.True_
        """
        chosen = self._check_wrt(wrt)
        loss = criteria.resolve(criterion)
        a = self._analysis(x, None, None, k_offset, padding, axis)
        peak = check_not_silent(a.channels)
        free = isinstance(loss, criteria.Callable_)
        view = self._view(a, loss)
        if free and a.axis != len(a.lead):
            raise ValueError(f"{axis=}: with a callable criterion time must be the last axis of x")
        result = objective.evaluate(
            self._tf if free else objective.scale_free(self._tf, peak),
            a.channels,
            a.frames,
            loss,
            view,
            want_x="x" in chosen,
            shape="shape" in chosen,
            lead_shape=a.lead,
        )
        pulled = (result.theta, result.positions, result.shape, result.x)
        return result.value, self._gradient(chosen, a, *pulled)

    def _view(self, a: _Analysis, criterion: criteria.Criterion) -> FrameView:
        centres = a.frames.start - a.frames.lead  # in the indices of the padded signal
        neighbourhoods = None
        if criterion.scope == "local":
            width = 2.0 * self._m_num if criterion.width is None else criterion.width * self._fs
            neighbourhoods = Neighbourhoods.of_signal(a.channels, width)
        return FrameView(centres, np.ones(len(a.frames)), 1.0, neighbourhoods)

    def _check_wrt(self, wrt: tuple[Parameter, ...] | None) -> set[str]:
        chosen = set(get_args(Parameter) if wrt is None else wrt)
        if not chosen <= set(get_args(Parameter)):
            raise ValueError(f"{wrt=} must be a tuple of names among {get_args(Parameter)}")
        if chosen & {"win_length", "positions", "hop", "shape"}:
            self._window.check_tunable()
        return chosen

    def _gradient(
        self,
        chosen: set[str],
        a: _Analysis,
        theta: Float64Array,
        positions: Float64Array,
        shape: Float64Array,
        dx: AnyArray | None,
    ) -> Gradient:
        scalar = self._win_length.ndim == 0
        hop = None
        if "hop" in chosen and self._hop is not None:
            hop = float((a.first + np.arange(positions.size)) @ positions)
        return Gradient(
            win_length=(np.asarray(theta.sum()) if scalar else theta) if "win_length" in chosen else None,
            positions=positions if "positions" in chosen else None,
            hop=hop,
            shape=shape if "shape" in chosen and self._window.shape else None,
            x=a.signal_like(dx) if dx is not None else None,
        )

    # ------------------------------------------------------------------ SciPy

    @classmethod
    def from_scipy(
        cls,
        sft: _ScipyShortTimeFFT,
        window: Any,
        *,
        workers: int | None = None,
        backend: Backend = "auto",
    ) -> AdaptiveShortTimeFFT:
        """Make the transform that equals a `scipy.signal.ShortTimeFFT`.

        Parameters
        ----------
        sft : scipy.signal.ShortTimeFFT
            A transform with a named window.
        window : str, tuple, callable or Window
            The window it was made from, as for `scipy.signal.get_window`: the
            parameter of ``("gaussian", std)`` is the standard deviation in
            samples. Whether it is periodic or symmetric is found out.
        workers, backend
            As in the class.

        Returns
        -------
        AdaptiveShortTimeFFT
            With the same slices, phases and scaling.

        Raises
        ------
        ValueError
            If `window` does not reproduce ``sft.win``.

        Examples
        --------
        >>> from scipy.signal import ShortTimeFFT
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> SFT = ShortTimeFFT.from_window("hann", fs=1.0, nperseg=9, noverlap=6)
        >>> sft = AdaptiveShortTimeFFT.from_scipy(SFT, "hann")
        >>> sft.win_length, sft.window_offset
        (9.0, 0.5)
        """
        if not isinstance(sft, _ScipyShortTimeFFT):
            raise TypeError(f"{sft=} must be a scipy.signal.ShortTimeFFT")
        found, length, offset = scipy_window(sft, window)
        return cls(
            found,
            length,
            float(sft.hop),
            sft.fs,
            max_length=sft.m_num,
            fft_mode=cast(FFTMode, sft.fft_mode),
            mfft=sft.mfft,
            scale_to=cast("Scaling | None", sft.scaling),
            phase_shift=sft.phase_shift,
            window_offset=offset,
            workers=workers,
            backend=backend,
        )

    def to_scipy(self) -> _ScipyShortTimeFFT:
        """Make the `scipy.signal.ShortTimeFFT` that equals this transform.

        Returns
        -------
        scipy.signal.ShortTimeFFT
            With the same window samples, hop, scaling, FFT and phase.

        Raises
        ------
        ValueError
            If there is none: positions, a hop that is not an integer, or a window
            length for each slice.

        Examples
        --------
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> AdaptiveShortTimeFFT("hann", 8, 2, fs=1.0).to_scipy().win.shape
        (8,)
        """
        if self._hop is None or self._hop != round(self._hop) or self._win_length.ndim:
            raise ValueError(
                f"{self!r} has no equal in SciPy: that needs one window length and an integer hop"
            )
        win = window_samples(self._window, float(self._win_length), self._m_num, self._window_offset)
        return _ScipyShortTimeFFT(
            win,
            int(self._hop),
            self._fs,
            fft_mode=self._fft_mode,
            mfft=self._mfft,
            scale_to=self._scaling,
            phase_shift=self._phase_shift,
        )


# ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Analysis:
    """A checked signal as channels, its frames, and the way back to the caller's axes."""

    channels: AnyArray
    frames: Frames
    lead: tuple[int, ...]
    n: int
    axis: int
    before: int
    after: int
    padding: str
    first: int

    def to_public(self, spectra: AnyArray) -> AnyArray:
        """(channels, frames, f_pts) -> (..., f_pts, frames) with frequency where time was."""
        S = np.swapaxes(spectra, -1, -2).reshape(*self.lead, spectra.shape[2], spectra.shape[1])
        return np.moveaxis(S, -2, self.axis)

    def from_public(self, S: AnyArray, f_pts: int) -> AnyArray:
        """Inverse of `to_public`, with a check of the shape."""
        p_num = len(self.frames)
        expected = [*self.lead, p_num]
        expected.insert(self.axis, f_pts)
        if S.shape != tuple(expected):
            raise ValueError(f"cotangent has shape {S.shape}, but the transform has shape {tuple(expected)}")
        return np.swapaxes(np.moveaxis(S, self.axis, -2).reshape(-1, f_pts, p_num), -1, -2)

    def signal_like(self, channels: AnyArray) -> AnyArray:
        """Bring a gradient in the channels to the shape of the signal."""
        if self.padding != "zeros":
            channels = pad_adjoint(channels, self.before, self.n, self.padding)
        return np.moveaxis(channels.reshape(*self.lead, self.n), -1, self.axis)


def _split(back: Pullback) -> tuple[Float64Array, Float64Array, Float64Array, AnyArray | None]:
    return back.frames.theta, back.frames.centre + back.phase, back.frames.shape.sum(axis=1), back.x


def _check_times(
    hop: Any, positions: Any, win_length: Float64Array
) -> tuple[float | None, Float64Array | None]:
    if (hop is None) == (positions is None):
        raise ValueError(f"give either a hop or positions, got {hop=}, {positions=}")
    if positions is None:
        return check_positive("hop", hop, "samples"), None
    centres = as_positions(positions)
    if win_length.ndim and win_length.size != centres.size:
        raise ValueError(f"win_length has {win_length.size} entries for {centres.size} positions")
    return None, centres


def _check_phase_shift(phase_shift: Any, mfft: int) -> int | None:
    if phase_shift is None:
        return None
    shift = as_index("phase_shift", phase_shift)
    if not -mfft < shift < mfft:
        raise ValueError(f"{phase_shift=} must lie between -mfft and mfft, both excluded, with {mfft=}")
    return shift


def _check_axes(S: AnyArray, f_axis: int, t_axis: int, f_pts: int) -> tuple[int, int]:
    if S.ndim < 2:
        raise ValueError(f"S has shape {S.shape}: it needs an axis of frequency and one of time")
    axes = []
    for name, axis in (("f_axis", f_axis), ("t_axis", t_axis)):
        number = as_index(name, axis)
        if not -S.ndim <= number < S.ndim:
            raise ValueError(f"{name}={axis} must lie in [{-S.ndim}, {S.ndim - 1}] for an S of shape {S.shape}")
        axes.append(number % S.ndim)
    if axes[0] == axes[1]:
        raise ValueError(f"{f_axis=} and {t_axis=} must differ")
    if S.shape[axes[0]] != f_pts or S.shape[axes[1]] == 0:
        raise ValueError(f"S has shape {S.shape}: it must have {f_pts=} entries along {f_axis=} and some along {t_axis=}")
    return axes[0], axes[1]
