"""The public class `ShortTimeFFT`: `scipy.signal.ShortTimeFFT` with the fast loops of this package."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import numpy as np
from scipy.signal import ShortTimeFFT as _ScipyShortTimeFFT
from scipy.signal import detrend

from adaptstft import kernels
from adaptstft.common.threads import block_ranges, count_workers, run_blocks
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, IntArray, Padding
from adaptstft.common.validation import as_inexact, as_workers, check_option
from adaptstft.engine.padding import pad
from adaptstft.engine.plan import FFTPlan
from adaptstft.transforms.streaming.interface import BlockTransform
from adaptstft.transforms.streaming.processing import BlockProcessing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from adaptstft.display.spectrogram import FrequencyScale

__all__ = ["ShortTimeFFT"]

Precision: TypeAlias = Literal["input", "scipy"]


def _constructor(name: str) -> Any:
    """Wrap a constructor of SciPy: it also takes ``dtype=`` and ``workers=``, and copies the arrays passed to it."""
    original = getattr(_ScipyShortTimeFFT, name)

    def construct(
        cls: Any, *args: Any, dtype: Precision = "input", workers: int | None = None, **keywords: Any
    ) -> ShortTimeFFT:
        args = tuple(_copied(argument) for argument in args)
        sft: ShortTimeFFT = original.__func__(cls, *args, **{key: _copied(value) for key, value in keywords.items()})
        sft.dtype, sft.workers = dtype, workers
        return sft

    wrapped: Any = functools.wraps(original.__func__)(construct)
    return classmethod(wrapped)


def _copied(value: Any) -> Any:
    # SciPy makes window arrays read-only, so it gets copies
    return value.copy() if isinstance(value, np.ndarray) else value


class ShortTimeFFT(_ScipyShortTimeFFT, BlockProcessing):  # type: ignore[misc]
    """`scipy.signal.ShortTimeFFT` with batched slices on all cores.

    Constructors, properties, methods, results and errors are those of SciPy, with
    these differences:

    - The transform of a float32 or complex64 signal is complex64. The inverse of a
      complex64 transform is float32 or complex64. With ``dtype="scipy"`` both are in
      double precision, as in SciPy.
    - Window arrays are copied, so the caller's arrays stay writeable.
    - `istft` with a negative `k0` does not read slices beyond the ends of the transform.
    - `stft_blocks` and `istft_blocks` process long and live signals. They raise for NaN
      and infinite values.

    Parameters
    ----------
    win, hop, fs, fft_mode, mfft, dual_win, scale_to, phase_shift
        As in `scipy.signal.ShortTimeFFT`.
    dtype : {"input", "scipy"}, optional
        Precision of transforms and inverses: that of their input (default), or double
        for every input, as in SciPy.
    workers : int, optional
        Number of threads. None (default) uses all cores; negative numbers count
        back from the number of cores. `from_window`, `from_dual` and
        `from_win_equals_dual` take `dtype` and `workers` too.

    See Also
    --------
    adaptstft.AdaptiveShortTimeFFT : Real-valued window lengths and positions.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import ShortTimeFFT
    >>> SFT = ShortTimeFFT.from_window("hann", fs=1000.0, nperseg=256, noverlap=192)
    >>> x = np.random.default_rng(0).standard_normal(5000)
    >>> S = SFT.stft(x)
    >>> bool(np.allclose(SFT.istft(S, k1=5000), x))
    True
    """

    _workers: int | None = None
    _dtype: Precision = "input"

    def __init__(
        self,
        win: AnyArray,
        hop: int,
        fs: float,
        *,
        dual_win: AnyArray | None = None,
        dtype: Precision = "input",
        workers: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(_copied(win), hop, fs, dual_win=_copied(dual_win), **settings)
        self.dtype, self.workers = dtype, workers

    from_window = _constructor("from_window")
    from_dual = _constructor("from_dual")
    from_win_equals_dual = _constructor("from_win_equals_dual")

    @property
    def dtype(self) -> Precision:
        """Precision of transforms and inverses: ``"input"`` for that of their input, ``"scipy"`` for double."""
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: Precision) -> None:
        check_option("dtype", dtype, get_args(Precision))
        self._dtype = dtype

    def _in_precision(self, values: AnyArray) -> AnyArray:
        """Return an array in double precision, or as it is."""
        if self._dtype == "input":
            return values
        return values.astype(np.result_type(values.dtype, np.float64), copy=False)

    @property
    def workers(self) -> int | None:
        """Number of threads; None for all cores."""
        return self._workers

    @workers.setter
    def workers(self, workers: int | None) -> None:
        self._workers = as_workers(workers)

    def _repr_html_(self) -> str:
        from adaptstft.display.html import sampled_html

        return sampled_html(self)

    def plot(
        self,
        x: Any,
        ax: Axes | None = None,
        *,
        f_range: tuple[float, float] | None = None,
        t_range: tuple[float, float] | None = None,
        yscale: FrequencyScale = "linear",
        db: float = 60.0,
        axis: int = -1,
    ) -> Axes:
        """Draw the spectrogram of a signal.

        The picture has the resolution of the screen or file: where one zooms in, that part is computed again.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`; the power of its channels is averaged.
        ax : matplotlib Axes, optional
            Where to draw; None makes a figure.
        f_range, t_range : (float, float), optional
            Frequencies in Hz and times in s to show; by default all.
        yscale : {"linear", "log", "mel"}, optional
            Scale of the frequencies.
        db : float, optional
            Range of the colours in dB, below the maximum of what is shown.
        axis : int, optional
            Time axis of `x`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.

        Raises
        ------
        ValueError
            For ranges without any sample or frequency.
        ImportError
            Without matplotlib, with the command that installs it.
        """
        from adaptstft.display.plots import plot_transform

        view: dict[str, Any] = {"f_range": f_range, "t_range": t_range, "yscale": yscale, "db": db}
        axes: Axes = plot_transform(self, x, ax, axis=axis, **view)
        return axes

    def _fft_plan(self) -> FFTPlan:
        _, module = kernels.resolve("auto")
        return FFTPlan(self.mfft, self.fft_mode, self.scaling, module, count_workers(self.workers))

    def _first_column(self) -> int:
        """Return the index in the FFT input of the first sample of a slice."""
        if self.phase_shift is None:
            return 0
        return int(-((self.phase_shift + self.m_num_mid) % self.m_num) % self.mfft)

    def stft_detrend(
        self,
        x: Any,
        detr: Any,
        p0: int | None = None,
        p1: int | None = None,
        *,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> ComplexArray:
        """Short-time Fourier transform, with the trend of each slice removed first.

        Parameters
        ----------
        x, detr, p0, p1, k_offset, padding, axis
            As in `scipy.signal.ShortTimeFFT.stft_detrend`.

        Returns
        -------
        ndarray, shape (..., f_pts, p1 - p0)
            The transform; complex64 for float32 and complex64 signals, else complex128.
        """
        x = self._in_precision(as_inexact("x", x))
        n = x.shape[axis]
        invalid = (
            (self.onesided_fft and np.iscomplexobj(x))
            or not (detr is None or callable(detr) or detr in ("linear", "constant"))
            or n < self.m_num - self.m_num_mid
            or padding not in get_args(Padding)
        )
        if invalid:  # SciPy raises the error
            return cast(
                ComplexArray,
                super().stft_detrend(x, detr, p0, p1, k_offset=k_offset, padding=padding, axis=axis),
            )
        p0, p1 = self.p_range(n, p0, p1)
        moved = np.moveaxis(x, axis, -1)
        channels = np.ascontiguousarray(moved.reshape(_product(moved.shape[:-1]), n))
        starts = self._starts(p0, p1) + k_offset
        channels, starts = _padded(channels, starts, self.m_num, padding)
        if detr is None:
            S = self._transform(channels, starts)
        else:
            S = self._transform_detrended(channels.reshape(*moved.shape[:-1], channels.shape[1]), starts, detr)
        S = np.swapaxes(S, -1, -2).reshape(*moved.shape[:-1], self.f_pts, p1 - p0)
        return np.moveaxis(S, -2, axis if axis >= 0 else axis - 1)

    def _starts(self, p0: int, p1: int) -> IntArray:
        """Return the first sample of each slice ``p0 <= p < p1``."""
        return cast(IntArray, np.arange(p0, p1, dtype=np.int64) * self.hop - self.m_num_mid)

    def _window_row(self, window: AnyArray, dtype: Any) -> AnyArray:
        """Return a window in the precision of a signal, as the one row that all slices share."""
        single = np.finfo(dtype).dtype == np.float32
        if np.iscomplexobj(window):
            return window[np.newaxis].astype(np.complex64 if single else np.complex128)
        return window[np.newaxis].astype(np.float32 if single else np.float64)

    def _transform(self, channels: AnyArray, starts: IntArray) -> AnyArray:
        """Transform channels to shape (channels, slices, f_pts); slices have the first samples `starts`."""
        plan = self._fft_plan()
        row = self._window_row(self.win.conj(), channels.dtype)
        dtype = np.result_type(channels.dtype, row.dtype)
        out = np.empty((channels.shape[0], starts.size, plan.f_pts), dtype=np.result_type(dtype, np.complex64))
        ranges = block_ranges(starts.size, plan.mfft)

        def work(i: int) -> None:
            part = slice(*ranges[i])
            place = _places(starts[part], self.m_num, self._first_column())
            buffer = np.empty((place[0].size, plan.mfft), dtype=dtype)
            for channel, signal in enumerate(channels):
                plan.kernels.load_frames(signal, row, _ONE, *place, buffer)
                out[channel, part] = plan.store(plan.fft(buffer))

        run_blocks(len(ranges), work, plan.workers)
        return out

    def _transform_detrended(self, x: AnyArray, starts: IntArray, detr: Any) -> AnyArray:
        """Transform with `detr` applied to the samples of each slice, padding included."""
        plan = self._fft_plan()
        m = self.m_num
        before, after = max(0, -int(starts[0])), max(0, int(starts[-1]) + m - x.shape[-1])
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)])
        starts = starts + before
        row = self._window_row(self.win.conj(), x.dtype)
        dtype = np.result_type(x.dtype, row.dtype)
        channels = _product(x.shape[:-1])
        out = np.empty((channels, starts.size, plan.f_pts), dtype=np.result_type(dtype, np.complex64))
        columns = (self._first_column() + np.arange(m)) % plan.mfft
        ranges = block_ranges(starts.size * max(channels, 1), plan.mfft)
        size = max(1, (ranges[0][1] - ranges[0][0]) // max(channels, 1))
        ranges = [(b, min(b + size, starts.size)) for b in range(0, starts.size, size)]

        def work(i: int) -> None:
            part = slice(*ranges[i])
            if callable(detr):
                slices = np.stack([detr(x[..., k : k + m]) for k in starts[part]], axis=-2)
            else:
                slices = detrend(x[..., starts[part, None] + np.arange(m)], type=detr)
            buffer = np.zeros((channels, slices.shape[-2], plan.mfft), dtype=dtype)
            buffer[..., columns] = slices.reshape(channels, slices.shape[-2], m) * row
            for channel in range(channels):
                out[channel, part] = plan.store(plan.fft(buffer[channel]))

        # a user function may not be thread-safe
        run_blocks(len(ranges), work, 1 if callable(detr) else plan.workers)
        return out

    def istft(self, S: Any, k0: int = 0, k1: int | None = None, *, f_axis: int = -2, t_axis: int = -1) -> AnyArray:
        """Inverse short-time Fourier transform.

        Parameters
        ----------
        S, k0, k1, f_axis, t_axis
            As in `scipy.signal.ShortTimeFFT.istft`.

        Returns
        -------
        ndarray, shape (..., k1 - k0)
            The signal; single precision for complex64 and float32 input.
        """
        S = self._in_precision(as_inexact("S", S))
        f, t = f_axis % S.ndim, t_axis % S.ndim
        n_min = self.m_num - self.m_num_mid
        invalid = f_axis == t_axis or f == t or S.shape[f] != self.f_pts or S.shape[t] < self.p_num(n_min)
        if not invalid:
            k_max = (S.shape[t] + self.p_min - 1) * self.hop + n_min
            end = k_max if k1 is None else k1
            invalid = not (self.k_min <= k0 < end <= k_max and end - k0 >= n_min)
        if invalid:  # SciPy raises the error
            return cast(AnyArray, super().istft(S, k0, k1, f_axis=f_axis, t_axis=t_axis))
        moved = np.moveaxis(S, (t, f), (-2, -1))
        channels = moved.reshape(_product(moved.shape[:-2]), *moved.shape[-2:])
        x = self._synthesize(channels, k0, end).reshape(*moved.shape[:-2], end - k0)
        return np.moveaxis(x, -1, f if f < x.ndim else t)

    def _synthesize(self, S: AnyArray, k0: int, k1: int) -> AnyArray:
        """Return the samples ``k0 <= k < k1`` of the inverse of S, shape (channels, slices, f_pts)."""
        S = S.astype(np.result_type(S.dtype, np.complex64), copy=False)
        out = np.zeros((S.shape[0], k1 - k0), dtype=S.real.dtype if self.onesided_fft else S.dtype)
        first, last = self._first_contributing(k0), min(self.p_max(k1), S.shape[-2] + self.p_min)
        self._add_slices(S[:, first - self.p_min : last - self.p_min], self._starts(first, last), out, k0)
        return out

    def _first_contributing(self, k0: int) -> int:
        """Return the first slice that contributes to the samples from `k0` on."""
        return int(max(self.p_min, k0 // self.hop + self.p_min))

    def _add_slices(self, S: AnyArray, starts: IntArray, out: AnyArray, k0: int) -> None:
        """Add slices of S with first samples `starts` to `out`, shape (channels, samples), which begins at `k0`."""
        plan = self._fft_plan()
        dual = self._window_row(self.dual_win, S.dtype)
        k1 = k0 + out.shape[1]
        ranges = block_ranges(starts.size, plan.mfft)

        def work(i: int) -> Any:
            part = slice(*ranges[i])
            place = _places(starts[part], self.m_num, self._first_column())
            low, high = np.clip([place[0][0], place[0][-1] + self.m_num], k0, k1)
            stretch = np.zeros((S.shape[0], high - low), dtype=out.dtype)
            for channel in range(S.shape[0]):
                y = plan.inverse_fft(S[channel, part])
                plan.kernels.overlap_add(y, dual, _ONE, *place, low, stretch[channel])
            return low, high, stretch

        def merge(_: int, result: Any) -> None:
            low, high, stretch = result
            out[:, low - k0 : high - k0] += stretch

        run_blocks(len(ranges), work, plan.workers, merge)

    def istft_blocks(
        self, blocks: Iterable[Any], k0: int = 0, k1: int | None = None, *, f_axis: int = -2, t_axis: int = -1
    ) -> Iterator[AnyArray]:
        """Invert consecutive blocks of a transform; see `adaptstft.AdaptiveShortTimeFFT.istft_blocks`."""
        if self._dtype == "scipy" and not isinstance(blocks, str | bytes):
            blocks = (self._in_precision(as_inexact("a block of blocks", block)) for block in blocks)
        return super().istft_blocks(blocks, k0, k1, f_axis=f_axis, t_axis=t_axis)

    def _block_transform(self) -> BlockTransform:
        return _SampledBlocks(copy.copy(self))  # a copy, as the user can change the settings between blocks


class _SampledBlocks:
    """Implementation of `BlockTransform` for a window and a dual window given by their samples."""

    p_stop: int | None = None

    def __init__(self, sft: ShortTimeFFT) -> None:
        self._sft = sft
        self.p_min: int = sft.p_min
        self.f_pts: int = sft.f_pts
        self.m_num: int = sft.m_num
        self.onesided: bool = sft.onesided_fft
        self.fs: float = sft.fs
        self._shortest = sft.m_num - sft.m_num_mid  # length of the shortest signal that SciPy accepts

    def p_max(self, n: int) -> int:
        return int(self._sft.p_max(n))

    def check_length(self, n: int, *, final: bool) -> None:
        if final and n < self._shortest:
            raise ValueError(f"source has {n} samples, at least half a window is needed: {self._shortest}")

    def complete(self, n: int) -> int:
        if n < self._shortest:
            return self.p_min
        return int((n - self._shortest) // self._sft.hop) + 1

    def start(self, p: int) -> int:
        return int(self._sft._starts(p, p + 1)[0])

    def covered(self, p0: int, p1: int) -> tuple[int, int]:
        return self.start(p0), self.start(p1 - 1) + self.m_num

    def analyze(self, x: AnyArray, first: int, p0: int, p1: int) -> AnyArray:
        return self._sft._transform(self._sft._in_precision(x), self._sft._starts(p0, p1) - first)

    def check_synthesis(self, k0: int, k1: int | None, p_num: int | None) -> None:
        _ = self._sft.dual_win  # raises if there is none
        if k1 is not None and k1 - k0 < self._shortest:
            raise ValueError(f"{k0=}, {k1=}: at least half a window must lie between them, {self._shortest} samples")
        if p_num is not None and p_num < (least := self._sft.p_num(self._shortest)):
            raise ValueError(f"blocks have {p_num} slices, at least {least} are needed")

    def contributing(self, k0: int, k1: int | None) -> tuple[int, int | None]:
        return self._sft._first_contributing(k0), None if k1 is None else self.p_max(k1)

    def add_slices(self, spectra: AnyArray, p0: int, out: AnyArray, overlap: Float64Array, low: int) -> None:
        self._sft._add_slices(spectra, self._sft._starts(p0, p0 + spectra.shape[1]), out, low)

    def normalize(self, out: AnyArray, overlap: Float64Array, low: int, peak: float) -> None:
        """Do nothing: slices are added with dual windows, which are normalized."""


#: Scale of the windows, which SciPy's window samples already include.
_ONE = np.ones(1)


def _product(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=int))


def _places(starts: IntArray, m_num: int, column: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return the first sample, the number of samples and the first index in the FFT input of each slice."""
    return starts, np.full(starts.size, m_num), np.full(starts.size, column)


def _padded(channels: AnyArray, starts: IntArray, m_num: int, padding: Padding) -> tuple[AnyArray, IntArray]:
    """Return the padded part of the signal that the slices cover, and their first samples in it."""
    if padding == "zeros":  # the kernels do that
        return channels, starts
    low, high, n = int(starts[0]), int(starts[-1]) + m_num, channels.shape[1]
    inner = channels[:, max(low, 0) : min(high, n)]
    return np.ascontiguousarray(pad(inner, max(0, -low), max(0, high - n), padding)), starts - low
