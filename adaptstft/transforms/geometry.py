"""Parameters of an adaptive transform, and its time and frequency axes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self, cast, get_args

import numpy as np
from scipy import fft as fft_lib

from adaptstft import kernels
from adaptstft.common.text import in_samples
from adaptstft.common.threads import count_workers
from adaptstft.common.typing import AxesSequence, Backend, FFTMode, Float64Array, IntArray, Scaling
from adaptstft.common.validation import (
    as_index,
    as_positions,
    as_real,
    as_win_length,
    as_workers,
    check_hop,
    check_option,
    check_positive,
    show,
)
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.frames import make_frames
from adaptstft.engine.operator import AnyFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.slices import HopSlices
from adaptstft.windows import Window, resolve


class TransformGeometry:
    """Base of `adaptstft.AdaptiveShortTimeFFT`: parameters, axes and frames, which need no signal but its length."""

    def __init__(
        self,
        window: Any,
        win_length: Any,
        hop: float | None,
        fs: float,
        *,
        positions: Any = None,
        samples: int | None = None,
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
        self._hop, self._positions = _check_positions(hop, positions, self._win_length)
        self._samples = None if samples is None else as_index("samples", samples, 1)
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
        self._requested_backend = backend
        self._backend, module = kernels.resolve(backend)
        self._slices = self._hop_slices()
        self._plan = FramePlan(
            self._mfft,
            fft_mode,
            scale_to,
            module,
            count_workers(self._workers),
            self._window,
            1 / self._fs,
            self._window_offset,
        )
        if self.per_bin and self._win_length.shape[0] != self.f_pts:
            raise ValueError(
                f"win_length has shape {self._win_length.shape}: with 2 dimensions the first must be "
                f"f_pts={self.f_pts}, which follows from {fft_mode=} and mfft={self._mfft}"
            )

    def _hop_slices(self) -> HopSlices | None:
        if self._hop is None:
            return None
        length = float(self._m_num) if self._win_length.ndim else float(self._win_length)
        return HopSlices(self._hop, length, self._window, self._m_num, self._window_offset)

    # a TypeError from a wrong call then names the public class
    __init__.__qualname__ = "AdaptiveShortTimeFFT.__init__"

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments of a constructor call that makes an equal transform."""
        return {
            "window": self._window,
            "win_length": self.win_length,
            "hop": self._hop,
            "fs": self._fs,
            "positions": self._positions,
            "samples": self._samples,
            "max_length": self._m_num,
            "fft_mode": self._fft_mode,
            "mfft": self._mfft,
            "scale_to": self._scaling,
            "phase_shift": self._phase_shift,
            "window_offset": self._window_offset,
            "workers": self._workers,
            "backend": self._requested_backend,
        }

    def remade(self, **changes: Any) -> Self:
        """Return a transform with some arguments changed.

        Parameters
        ----------
        **changes
            Arguments of the class, by name.

        Returns
        -------
        AdaptiveShortTimeFFT
            The new transform; this one does not change.

        Examples
        --------
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 64.5, 8, fs=1.0)
        >>> sft.remade(win_length=32.2).win_length
        32.2
        """
        return type(self)(**self._arguments() | changes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._arguments())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TransformGeometry) or type(self) is not type(other):
            return NotImplemented
        mine, theirs = self._arguments(), other._arguments()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    def __hash__(self) -> int:
        return hash((self._window, self._win_length.tobytes(), self._hop, self._fs, self._mfft))

    def __repr__(self) -> str:
        win_length = self._win_length
        count = " x ".join(str(size) for size in win_length.shape)
        lengths = (
            f"<{count} lengths from {win_length.min():g} to {win_length.max():g}>"
            if win_length.ndim
            else f"{float(win_length):g}"
        )
        positions = f"hop={self._hop:g}" if self._positions is None else f"positions=<{self._positions.size} positions>"
        return (
            f"AdaptiveShortTimeFFT({self._window.label}, {lengths}, {positions}, fs={self._fs:g}, "
            f"fft_mode={self._fft_mode!r}, mfft={self._mfft}, scale_to={self._scaling!r})"
        )

    # ------------------------------------------------------------------ parameters

    @property
    def window(self) -> Window:
        """The window family with its shape parameters."""
        return self._window

    @property
    def win_length(self) -> float | Float64Array:
        """Window length in samples: a float, or an array with one length per slice, frequency or bin."""
        return float(self._win_length) if self._win_length.ndim == 0 else self._win_length.copy()

    @property
    def per_bin(self) -> bool:
        """Whether window lengths differ between frequencies: `win_length` has two dimensions."""
        return self._win_length.ndim == 2

    @property
    def hop(self) -> float | None:
        """Distance between slices in samples; None if the transform was made from positions."""
        return self._hop

    @property
    def positions(self) -> Float64Array | None:
        """Positions of the slices in samples; None if the transform was made from a hop."""
        return None if self._positions is None else self._positions.copy()

    @property
    def samples(self) -> int | None:
        """Number of samples of the signals that the transform accepts; None for any number."""
        return self._samples

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
        """Whether the transform has no negative frequencies."""
        return self._plan.onesided

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
        """Index of the centre among the `m_num` samples."""
        return self._m_num // 2

    @property
    def scaling(self) -> Scaling | None:
        """Scaling of the windows: ``"magnitude"``, ``"psd"`` or None."""
        return self._scaling

    @property
    def phase_shift(self) -> int | None:
        """Shift of the phase origin in samples, as in SciPy."""
        return self._phase_shift

    @property
    def window_offset(self) -> float:
        """Offset of the window's centre from the position of its slice, in samples."""
        return self._window_offset

    @property
    def workers(self) -> int | None:
        """Number of threads, as passed to the constructor; None for all cores."""
        return self._workers

    @property
    def backend(self) -> str:
        """Implementation of the inner loops in use."""
        return self._backend

    # ------------------------------------------------------------------ axes

    @property
    def f_pts(self) -> int:
        """Number of frequency bins."""
        return self._plan.f_pts

    @property
    def delta_f(self) -> float:
        """Distance between frequency bins in Hz."""
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
        """Time between slices in seconds; a transform made from positions raises a ValueError."""
        return self._need_hop("delta_t").hop * self.T

    def _need_hop(self, name: str) -> HopSlices:
        """Return the slices of a transform with a hop; raise if it was made from positions."""
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
        self._check_samples(n)
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
        return int(self._first_samples(self.p_min, self.p_min + 1)[0])

    def k_max(self, n: int) -> int:
        """Return the sample after the last slice for a signal of `n` samples."""
        last = self.p_max(n)
        return int(self._first_samples(last - 1, last)[0]) + self._m_num

    def _first_samples(self, p0: int, p1: int) -> IntArray:
        """Return the first of the `m_num` samples of each slice ``p0 <= p < p1``."""
        starts = self._slice_positions(p0, p1) + self._window_offset - self._m_num / 2
        return cast(IntArray, np.ceil(starts).astype(np.int64))

    @property
    def lower_border_end(self) -> tuple[int, int]:
        """First sample and first slice that do not depend on the padding before the signal."""
        return self._need_hop("lower_border_end").lower_border_end

    def upper_border_begin(self, n: int) -> tuple[int, int]:
        """Return the first sample and the first slice that depend on the padding after `n` samples."""
        return self._need_hop("upper_border_begin").upper_border_begin(as_index("n", n, 1))

    def _slice_positions(self, p0: int, p1: int) -> Float64Array:
        """Return the positions of slices ``p0 <= p < p1`` in samples."""
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
            Range of slices ``p0 <= p < p1``; by default all slices that touch the
            signal.
        k_offset : int, optional
            Index of the sample at time 0.

        Returns
        -------
        ndarray of float64, shape (p1 - p0,)
            Positions of the slices, times the sampling interval.
        """
        k_offset = as_index("k_offset", k_offset)
        return self._slice_positions(*self.p_range(n, p0, p1)) * self.T + k_offset * self.T

    def extent(
        self, n: int, axes_seq: AxesSequence = "tf", center_bins: bool = False
    ) -> tuple[float, float, float, float]:
        """Return the corners of the time-frequency plane, for `matplotlib.pyplot.imshow`.

        Parameters
        ----------
        n : int
            Number of samples of the signal.
        axes_seq : {"tf", "ft"}, optional
            Order of the axes: time first (default) or frequency first.
        center_bins : bool, optional
            Shift by half a bin, so that each pixel is centred on its bin.

        Returns
        -------
        tuple of float
            ``(t0, t1, f0, f1)`` in s and Hz, or frequencies first. For a transform
            made from positions, the width of a slice is their mean distance.
        """
        check_option("axes_seq", axes_seq, get_args(AxesSequence))
        if self._fft_mode == "twosided":
            raise ValueError("fft_mode='twosided' has no extent: use 'centered', 'onesided' or 'onesided2X'")
        q0 = -(self._mfft // 2) if self._fft_mode == "centered" else 0
        shift = 0.5 if center_bins else 0.0
        p0, p1 = self.p_range(n)
        positions = self._slice_positions(p0, p1)
        step = self._hop if self._hop is not None else (positions[-1] - positions[0]) / max(positions.size - 1, 1)
        t = (positions[0] - shift * step) * self.T, (positions[-1] + (1 - shift) * step) * self.T
        f = (q0 - shift) * self.delta_f, (q0 + self.f_pts - shift) * self.delta_f
        corners = (*t, *f) if axes_seq == "tf" else (*f, *t)
        return cast(tuple[float, float, float, float], tuple(float(corner) for corner in corners))

    def _frames(self, p0: int, p1: int, k_offset: int = 0) -> AnyFrames:
        """Return the frames of slices ``p0 <= p < p1``; sample 0 of the signal has the index `k_offset`."""
        win_length = self._win_length
        if self._num_slice_lengths is not None:
            win_length = win_length[..., p0 - self.p_min : p1 - self.p_min]
        shift = -self.m_num_mid if self._phase_shift is None else self._phase_shift
        # SciPy rolls the windowed samples before it pads them to mfft, so its shift is periodic in m_num
        shift = (shift + self.m_num_mid) % self._m_num - self.m_num_mid
        positions = self._slice_positions(p0, p1) + k_offset
        if self.per_bin:
            rows = np.ascontiguousarray(np.broadcast_to(win_length.T, (positions.size, self.f_pts)))
            return BinFrames(rows, positions + self._window_offset, positions + shift)
        return make_frames(win_length, positions, mfft=self._mfft, window_offset=self._window_offset, phase_shift=shift)

    @property
    def _num_slice_lengths(self) -> int | None:
        """Number of window lengths along time; None if all slices have the same."""
        shape = self._win_length.shape
        return None if not shape or (len(shape) == 2 and shape[1] == 1) else shape[-1]

    def _plan_for(self, name: str, array: Any) -> FramePlan:
        """Return the plan with the kernels that can process `array`, the argument `name`."""
        backend, module = kernels.resolve_for(self._requested_backend, name, array)
        return self._plan if backend == self._backend else replace(self._plan, kernels=module)

    def _check_samples(self, n: int) -> None:
        """Raise if the transform belongs to signals of another length than `n` samples."""
        if self._samples is not None and n != self._samples:
            tied = "positions" if self._num_slice_lengths is None else "window lengths of slices"
            raise ValueError(
                f"the signal has {in_samples(n)}, but the transform has samples={self._samples}: its {tied} belong to "
                "one signal of that length; tune the other signal with adaptstft.optimize, or use one window length "
                "and a hop for all signals: sft.remade(win_length=..., hop=..., positions=None, samples=None)"
            )

    def _check_lengths(self, n: int) -> None:
        """Raise unless the number of window lengths along time fits a signal of `n` samples."""
        count = self._num_slice_lengths
        if count is not None and count != self.p_num(n):
            along = " along time" if self.per_bin else ""
            raise ValueError(
                f"win_length has {count} entries{along}, but a signal of {n} samples has p_num={self.p_num(n)} slices "
                f"for hop={self._hop}, max_length={self._m_num}"
            )


def _rebuild(cls: type[TransformGeometry], arguments: dict[str, Any]) -> TransformGeometry:
    return cls(**arguments)


def _check_positions(hop: Any, positions: Any, win_length: Float64Array) -> tuple[float | None, Float64Array | None]:
    if (hop is None) == (positions is None):
        raise ValueError(f"give either a hop or positions, got hop={show(hop)}, positions={show(positions)}")
    if positions is None:
        return check_hop(hop), None
    checked = as_positions(positions)
    allowed = (1, checked.size) if win_length.ndim == 2 else (checked.size,)
    if win_length.ndim and win_length.shape[-1] not in allowed:
        raise ValueError(f"win_length has {win_length.shape[-1]} entries for {checked.size} positions")
    return None, checked


def _check_phase_shift(phase_shift: Any, mfft: int) -> int | None:
    if phase_shift is None:
        return None
    shift = as_index("phase_shift", phase_shift)
    if not -mfft < shift < mfft:
        raise ValueError(f"{phase_shift=} must lie between -mfft and mfft, both excluded, with {mfft=}")
    return shift
