"""Long and live signals: transforms and their inverses block by block, in memory that does not grow with the signal.

Analysis keeps the samples that slices to come still need, synthesis keeps the sums that slices to come still add to.
What a block has to do with windows, hops and FFTs it leaves to an `Engine`, one for each class of transforms.
"""

from __future__ import annotations

import wave
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.common.validation import (
    as_axis,
    as_index,
    as_inexact,
    check_finite,
    check_finite_stretch,
    check_real,
    check_sample_range,
    show,
)
from adaptstft.engine import inverse
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.frames import Frames, make_frames
from adaptstft.engine.operator import analyse
from adaptstft.engine.slices import HopSlices, ListedSlices
from adaptstft.transforms.axes import check_axes, signal_to_public, spectra_to_channels, spectra_to_public

if TYPE_CHECKING:
    from adaptstft.transforms.geometry import TransformGeometry

#: Samples, over all channels, that are read at once by default.
_READ = 1 << 18
#: Entries of a block of the transform: it stays small for small hops and many channels, too.
_ENTRIES = 1 << 20


class Engine(Protocol):
    """What block processing needs of a transform, whose slices ``p`` are numbered as in its one-shot methods.

    Attributes
    ----------
    p_min : int
        First slice.
    p_stop : int or None
        One past the last slice if that does not depend on the signal.
    f_pts : int
        Number of frequency bins.
    slot : int
        Number of samples reserved for a window.
    onesided : bool
        Whether signals are real.
    """

    p_min: int
    p_stop: int | None
    f_pts: int
    slot: int
    onesided: bool

    def p_max(self, n: int) -> int:
        """Return one past the last slice of a signal of `n` samples."""

    def check_length(self, n: int, *, final: bool) -> None:
        """Raise if no signal of `n` samples, or of at least `n` if not `final`, can be transformed."""

    def complete(self, n: int) -> int:
        """Return one past the last slice that a signal has for certain, and in full, once `n` samples are known."""

    def start(self, p: int) -> int | None:
        """Return the first sample that slices from `p` on take; None if there is none."""

    def covered(self, p0: int, p1: int) -> tuple[int, int]:
        """Return the range of samples that the slices ``p0 <= p < p1`` take."""

    def analyze(self, x: AnyArray, first: int, p0: int, p1: int) -> AnyArray:
        """Transform channels `x` that begin at sample `first` to shape (channels, p1 - p0, f_pts)."""

    def check_synthesis(self, k0: int, k1: int | None, p_num: int | None) -> None:
        """Raise if the range of samples, and the number of slices unless None, cannot be had."""

    def used(self, k0: int, k1: int | None) -> tuple[int, int | None]:
        """Return the range of slices that the samples ``k0 <= k < k1`` are made from."""

    def add(self, spectra: AnyArray, p0: int, out: AnyArray, overlap: Float64Array, low: int) -> None:
        """Add slices from `p0` on to sums that begin at sample `low`, and their windows to the overlap."""

    def finish(self, out: AnyArray, overlap: Float64Array, low: int, peak: float) -> None:
        """Turn finished sums into samples in place; `peak` is the largest overlap so far."""


def adaptive_engine(sft: TransformGeometry) -> Engine:
    """Process blocks with one real-valued window for each slice."""
    return _AdaptiveEngine(sft)


class _AdaptiveEngine:
    def __init__(self, sft: TransformGeometry) -> None:
        self._sft = sft
        self._plan = sft._plan
        self.p_min = sft.p_min
        self.f_pts = sft.f_pts
        self.slot = sft.m_num
        self.onesided = sft.onesided_fft
        self._spans: HopSlices | ListedSlices
        listed = sft._num_slice_lengths if sft._positions is None else sft._positions.size
        if sft._slices is None or listed is not None:
            self._spans = ListedSlices(self.p_min, self._widest(self.p_min, self.p_min + cast(int, listed)))
            self.p_stop: int | None = self._spans.p_stop
        else:
            self._spans, self.p_stop = sft._slices, None

    def _frames(self, p0: int, p1: int, first: int = 0) -> Frames | BinFrames:
        """Frames of slices, in a signal that begins at sample `first`."""
        return self._sft._frames(p0, p1).moved(-first)

    def _widest(self, p0: int, p1: int) -> Frames:
        """Frames of slices with the longest window of each."""
        frames = self._frames(p0, p1)
        if isinstance(frames, Frames):
            return frames
        centre = frames.centre - self._plan.window_offset
        return make_frames(
            frames.win_length.max(axis=1), centre, mfft=self._plan.mfft, window_offset=self._plan.window_offset
        )

    def p_max(self, n: int) -> int:
        return self._sft.p_max(n)

    def check_length(self, n: int, *, final: bool) -> None:
        if final or (self.p_stop is not None and self._sft.p_max(n) > self.p_stop):
            self._sft._check_lengths(n)

    def complete(self, n: int) -> int:
        return self._spans.complete(n)

    def start(self, p: int) -> int | None:
        return self._spans.start(p)

    def covered(self, p0: int, p1: int) -> tuple[int, int]:
        return self._frames(p0, p1).covered()

    def analyze(self, x: AnyArray, first: int, p0: int, p1: int) -> AnyArray:
        return np.asarray(to_host(analyse(self._plan, self._plan.kernels.asarray(x), self._frames(p0, p1, first))))

    def check_synthesis(self, k0: int, k1: int | None, p_num: int | None) -> None:
        if self._sft.per_bin:
            raise ValueError(
                f"win_length has shape {self._sft._win_length.shape}: with a window for each frequency every sample "
                "depends on all slices, so that blocks cannot be inverted one by one; collect them and call istft"
            )
        if self.p_stop is not None and p_num is not None and p_num != self.p_stop - self.p_min:
            raise ValueError(f"blocks have {p_num} slices, but the transform has {self.p_stop - self.p_min}")

    def used(self, k0: int, k1: int | None) -> tuple[int, int | None]:
        return self.p_min, self.p_stop

    def add(self, spectra: AnyArray, p0: int, out: AnyArray, overlap: Float64Array, low: int) -> None:
        frames = cast(Frames, self._frames(p0, p0 + spectra.shape[1]))
        xp = self._plan.kernels.xp
        if xp is np:
            inverse.add_synthesis(self._plan, spectra, frames, out, low)
            inverse.add_overlap(self._plan, frames, overlap, low)
            return
        more, windows = xp.zeros(out.shape, out.dtype), xp.zeros(overlap.shape)
        inverse.add_synthesis(self._plan, self._plan.kernels.asarray(spectra), frames, more, low)
        inverse.add_overlap(self._plan, frames, windows, low)
        out += to_host(more)
        overlap += to_host(windows)

    def finish(self, out: AnyArray, overlap: Float64Array, low: int, peak: float) -> None:
        inverse.check_covered(overlap, low, peak)
        inverse.normalize(out, overlap)


class BlockProcessing(ABC):
    """The two methods that process a signal by blocks, for transforms that have an `Engine`."""

    @abstractmethod
    def _block_engine(self) -> Engine:
        """Make what processes the blocks of this transform."""

    def stft_blocks(self, source: Any, *, block: int | None = None, axis: int = -1) -> Iterator[ComplexArray]:
        """Short-time Fourier transform of a long or live signal, block by block.

        Parameters
        ----------
        source : ndarray, wave.Wave_read or iterable of array_like
            - An array, also a `numpy.memmap`, with time along `axis`. It is read
              piece by piece.
            - A WAV file that the standard library's `wave.open` opened, read
              from where it stands. Its PCM is scaled to the range from -1 to 1,
              in float64, and has the shape (channels, n).
            - Chunks of a signal, arrays that differ in nothing but their number
              of samples along `axis`, which may be 0.
        block : int, optional
            Number of samples taken at once. By default ``2**18`` over all
            channels, and no less than a window.
        axis : int, optional
            Axis of time in the array or in every chunk.

        Returns
        -------
        iterator of ndarray, each of shape (..., f_pts, k) with k >= 1
            Consecutive slices. Joined along the last axis they are
            ``stft(x, axis=axis)`` of the whole signal ``x``, slices at its borders
            included. Slices come as soon as all samples of their windows, and of
            the windows of all slices before, have arrived.

        Raises
        ------
        TypeError
            If `source` is none of these, or not numeric.
        ValueError
            If the signal is empty, or complex with a one-sided mode; later, by the
            iterator, if there are NaN or infinite samples, if chunks change their
            shape, if they need more precision than the first one, or if the number
            of slices turns out not to be that of the transform's window lengths.

        See Also
        --------
        istft_blocks : The inverse.

        Notes
        -----
        Memory is bounded by the window, `block` and the number of channels,
        whatever the length of the signal. There is no padding but zeros.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 100.5, 25, fs=1000.0, mfft=128)
        >>> x = np.random.default_rng(0).standard_normal(1000)
        >>> [S.shape for S in sft.stft_blocks(x[k : k + 400] for k in range(0, 1000, 400))]
        [(65, 16), (65, 16), (65, 8), (65, 4)]
        >>> bool(np.allclose(np.concatenate(list(sft.stft_blocks(x)), axis=-1), sft.stft(x)))
        True
        """
        engine = self._block_engine()
        size = None if block is None else as_index("block", block, 1)
        axis = as_index("axis", axis)
        if isinstance(source, np.ndarray):
            pieces, axis = _array_pieces(engine, source, size, axis)
        elif isinstance(source, wave.Wave_read):
            pieces, axis = _wave_pieces(engine, source, size, axis)
        else:
            pieces = _chunk_pieces(engine, _as_iterable("source", source), size, axis)
        return _analyze(engine, pieces, axis)

    def istft_blocks(
        self, blocks: Iterable[Any], k0: int = 0, k1: int | None = None, *, f_axis: int = -2, t_axis: int = -1
    ) -> Iterator[AnyArray]:
        """Inverse transform of blocks, such as `stft_blocks` gives.

        Parameters
        ----------
        blocks : iterable of array_like, each of shape (..., f_pts, k) with k >= 1
            Consecutive slices from `p_min` on, in any division.
        k0, k1 : int, optional
            Range of samples to return; `k1` is the end of the last slice by
            default. Give the signal's length to get the signal.
        f_axis, t_axis : int, optional
            Axes of frequency and time in the blocks.

        Returns
        -------
        iterator of ndarray, each of shape (..., m) with m >= 1
            Consecutive samples. Joined along time they are ``istft(S, k0, k1)`` of
            the joined blocks ``S``. Samples come as soon as no later slice can
            contribute to them; `blocks` are used up even if no more samples are due.

        Raises
        ------
        TypeError
            If `blocks` is not an iterable of numeric arrays.
        ValueError
            If `k0` and `k1` are out of range; later, by the iterator, if a block is
            not a part of such a transform or not finite, if samples are covered by
            no window, or if the slices do not reach to `k1`; with a window for each
            frequency or bin, where only all slices together have an inverse.

        Examples
        --------
        An array or a file on disk through a filter, into another one:

        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 100.5, 25, fs=1000.0, mfft=128)
        >>> x = np.random.default_rng(0).standard_normal(1000)
        >>> y, k = np.empty(1000), 0
        >>> for piece in sft.istft_blocks((0.5 * S for S in sft.stft_blocks(x)), k1=x.size):
        ...     y[k : k + piece.size] = piece
        ...     k += piece.size
        >>> bool(np.allclose(y, 0.5 * x))
        True
        """
        engine = self._block_engine()
        if isinstance(blocks, np.ndarray):
            raise TypeError("blocks must be an iterable of arrays, got an array: use istft, or put it into a list")
        k0 = as_index("k0", k0)
        k1 = None if k1 is None else as_index("k1", k1)
        axes = as_index("f_axis", f_axis), as_index("t_axis", t_axis)
        synthesis = _Synthesis(engine, k0, k1)
        return _synthesize(engine, synthesis, _as_iterable("blocks", blocks), axes)


def _as_iterable(name: str, value: Any) -> Iterable[Any]:
    if hasattr(value, "__array__"):
        raise TypeError(f"{name} is a {type(value).__name__}: pass an ndarray, or an iterable of pieces of it")
    if isinstance(value, str | bytes | bytearray | memoryview | dict) or not isinstance(value, Iterable):
        wanted = "an ndarray, an open wave.Wave_read or an iterable of arrays" if name == "source" else "an iterable"
        raise TypeError(f"{name}={show(value)} must be {wanted}")
    return value


# ---------------------------------------------------------------------------------------
# Sources: iterators over arrays of shape (..., m) with time on the last axis


def _piece_size(size: int | None, lead: tuple[int, ...], slot: int) -> int:
    return max(_READ // int(np.prod(lead, dtype=int)), slot) if size is None else size


def _array_pieces(engine: Engine, x: AnyArray, size: int | None, axis: int) -> tuple[Iterator[AnyArray], int]:
    if x.ndim == 0:
        raise ValueError(f"source must have at least one dimension, got the scalar {x!r}")
    axis = as_axis(axis, x.ndim)
    if x.size == 0:
        raise ValueError(f"source is empty: its shape is {x.shape}, at least one sample is needed")
    moved = np.moveaxis(x, axis, -1)
    n = moved.shape[-1]
    if engine.onesided:
        check_real("source", as_inexact("source", moved[..., :0]))
    else:
        as_inexact("source", moved[..., :0])
    engine.check_length(n, final=True)
    step = _piece_size(size, moved.shape[:-1], engine.slot)
    return (as_inexact("source", moved[..., k : k + step]) for k in range(0, n, step)), axis


def _wave_pieces(engine: Engine, file: wave.Wave_read, size: int | None, axis: int) -> tuple[Iterator[AnyArray], int]:
    axis = as_axis(axis, 2)
    if axis != 1:
        raise ValueError(f"{axis=}: the samples of a WAV file have the shape (channels, n), time is axis -1 or 1")
    if file.getfp() is None:
        raise ValueError("source is a WAV file that has been closed")
    if file.getsampwidth() not in (1, 2, 3, 4):
        raise ValueError(f"source has {8 * file.getsampwidth()} bits a sample, legal are 8, 16, 24 and 32")
    n = file.getnframes() - file.tell()
    if n <= 0:
        raise ValueError("source is empty: the WAV file has no samples from where it stands on")
    engine.check_length(n, final=True)
    return _read_wave(file, n, _piece_size(size, (file.getnchannels(),), engine.slot)), axis


def _read_wave(file: wave.Wave_read, n: int, step: int) -> Iterator[AnyArray]:
    from adaptstft.recordings import decode_pcm  # and with it SciPy's readers, which nothing else here needs

    width, channels = file.getsampwidth(), file.getnchannels()
    for k in range(0, n, step):
        m = min(step, n - k)
        data = file.readframes(m)
        if len(data) != m * width * channels:
            raise ValueError(f"source is a truncated WAV file: it ends between samples {k} and {k + m} of {n}")
        yield decode_pcm(data, width, channels)


def _chunk_pieces(engine: Engine, chunks: Iterable[Any], size: int | None, axis: int) -> Iterator[AnyArray]:
    lead: tuple[int, ...] | None = None
    dtype: Any = None
    for i, chunk in enumerate(chunks):
        x = as_inexact(f"chunk {i} of source", chunk)
        if x.ndim == 0:
            raise ValueError(f"chunk {i} of source is the scalar {x!r}: chunks are arrays with an axis of time")
        x = np.moveaxis(x, as_axis(axis, x.ndim), -1)
        if lead is None:
            lead = x.shape[:-1]
        if x.shape[:-1] != lead or 0 in lead:
            expected = f"{lead} as chunk 0 has" if i else "without a 0"
            raise ValueError(f"chunk {i} of source has the shape {x.shape[:-1]} beside time, it must be {expected}")
        if x.shape[-1] == 0:
            continue
        if engine.onesided:
            check_real(f"chunk {i} of source", x)
        dtype = _same_precision(f"chunk {i} of source", x, dtype)
        step = _piece_size(size, lead, engine.slot)
        for k in range(0, x.shape[-1], step):
            yield x[..., k : k + step]


def _same_precision(name: str, x: AnyArray, dtype: Any) -> Any:
    """Return the dtype of the first array of a stream, which the others must fit."""
    if dtype is not None and not np.can_cast(x.dtype, dtype, "safe"):
        raise ValueError(f"{name} is {x.dtype}, which does not fit in the {dtype} that those before it have")
    return x.dtype if dtype is None else dtype


# ---------------------------------------------------------------------------------------
# Analysis


class _Recent:
    """The latest samples of a signal, shape (channels, m): those that slices to come still take.

    Attributes
    ----------
    first, stop : int
        The range of samples held.
    """

    def __init__(self, channels: int, dtype: Any) -> None:
        self.first = self.stop = 0
        self._held: AnyArray = np.empty((channels, 0), dtype)
        self._used = 0

    @property
    def samples(self) -> AnyArray:
        return self._held[:, self._used - (self.stop - self.first) : self._used]

    def append(self, piece: AnyArray) -> None:
        old, m = self.samples, piece.shape[1]
        if self._used + m > self._held.shape[1]:
            # twice what is needed, so that tiny pieces do not move the samples every time
            self._held = np.empty((len(old), 2 * (old.shape[1] + m)), old.dtype)
            self._used = old.shape[1]
            self._held[:, : self._used] = old
        self._held[:, self._used : self._used + m] = piece
        self._used += m
        self.stop += m

    def forget(self, before: int | None) -> None:
        """Let go of the samples before one, or of all for None."""
        self.first = self.stop if before is None else min(max(before, self.first), self.stop)


def _analyze(engine: Engine, pieces: Iterator[AnyArray], axis: int) -> Iterator[ComplexArray]:
    recent: _Recent | None = None
    lead: tuple[int, ...] = ()
    p, start = engine.p_min, engine.start(engine.p_min)
    for piece in pieces:
        if recent is None:
            lead = piece.shape[:-1]
            recent = _Recent(int(np.prod(lead, dtype=int)), piece.dtype)
        channels = piece.reshape(-1, piece.shape[-1])
        check_finite_stretch("source", channels, recent.stop)
        recent.append(channels)
        engine.check_length(recent.stop, final=False)
        until = engine.complete(recent.stop)
        if until > p:
            yield from _blocks(engine, recent, p, until, lead, axis)
            p, start = until, engine.start(until)
        recent.forget(start)  # each time: a long way may lie between two slices
    if recent is None:
        raise ValueError("source is empty: at least one sample is needed")
    engine.check_length(recent.stop, final=True)
    yield from _blocks(engine, recent, p, engine.p_max(recent.stop), lead, axis)


def _blocks(
    engine: Engine, recent: _Recent, p0: int, p1: int, lead: tuple[int, ...], axis: int
) -> Iterator[ComplexArray]:
    """Blocks of the slices ``p0 <= p < p1``, all of whose samples are at hand."""
    samples = recent.samples
    most = max(1, _ENTRIES // (len(samples) * engine.f_pts))
    axis %= len(lead) + 1  # a negative one counts from the end of the signal's axes, not of the transform's
    for p in range(p0, p1, most):
        spectra = engine.analyze(samples, recent.first, p, min(p + most, p1))
        yield spectra_to_public(spectra, lead, axis)


# ---------------------------------------------------------------------------------------
# Synthesis


class _Synthesis:
    """Running sums of a synthesis, from the first sample that is still to come.

    Parameters
    ----------
    engine : Engine
        Of the transform.
    k0, k1 : int
        Range of samples; None for `k1` is the end of the last slice.
    """

    def __init__(self, engine: Engine, k0: int, k1: int | None) -> None:
        self._engine, self._k0, self._k1 = engine, k0, k1
        self.p = engine.p_min
        self._low, self._reached = engine.covered(self.p, self.p + 1)
        self._check_range()
        self._used = engine.used(k0, k1)
        self._first = k0
        self._out: AnyArray | None = None
        self._overlap: Float64Array = np.zeros(0)
        self._peak = 0.0

    def _check_range(self) -> None:
        engine, k0, k1 = self._engine, self._k0, self._k1
        if engine.p_stop is not None:
            self._low, high = engine.covered(engine.p_min, engine.p_stop)
            check_sample_range(k0, high if k1 is None else k1, self._low, high, engine.p_stop - engine.p_min)
        elif not (self._low <= k0 and (k1 is None or k0 < k1)):
            raise ValueError(f"{k0=}, {k1=}: {self._low} <= k0 < k1 does not hold")
        engine.check_synthesis(k0, k1, None)

    def add(self, spectra: AnyArray) -> AnyArray | None:
        """Add the next slices, shape (channels, slices, f_pts), and return the samples that are then finished."""
        engine, p0, p1 = self._engine, self.p, self.p + spectra.shape[1]
        if engine.p_stop is not None and p1 > engine.p_stop:
            engine.check_synthesis(self._k0, self._k1, p1 - engine.p_min)
        self.p = p1
        self._reached = max(self._reached, engine.covered(p0, p1)[1])
        out = self._widened(spectra)
        begin, end = max(p0, self._used[0]), p1 if self._used[1] is None else min(p1, self._used[1])
        if begin < end and out.shape[1]:
            engine.add(spectra[:, begin - p0 : end - p0], begin, out, self._overlap, self._first)
            # the largest of all is not known yet; next to any sample there is a whole window
            self._peak = max(self._peak, float(self._overlap.max()))
        start = engine.start(p1)
        return self._take(self._reached if start is None else start)

    def _widened(self, spectra: AnyArray) -> AnyArray:
        """Let the sums reach as far as the slices do, and no further than `k1`."""
        if self._out is None:
            self._out = np.zeros((len(spectra), 0), spectra.real.dtype if self._engine.onesided else spectra.dtype)
        stop = self._reached if self._k1 is None else min(self._reached, self._k1)
        more = max(0, stop - self._first - self._overlap.size)
        self._out = np.pad(self._out, ((0, 0), (0, more)))
        self._overlap = np.pad(self._overlap, (0, more))
        return self._out

    def _take(self, until: int) -> AnyArray | None:
        """Finish the samples before `until` and take them out of the sums."""
        count = min(until - self._first, self._overlap.size)
        if self._out is None or count <= 0:
            return None
        piece, overlap = self._out[:, :count], self._overlap[:count]
        self._out, self._overlap = self._out[:, count:].copy(), self._overlap[count:].copy()
        self._engine.finish(piece, overlap, self._first, self._peak)
        self._first += count
        return piece

    def rest(self) -> AnyArray | None:
        """Check that the slices were all there, and return the samples that are left."""
        p_num = self.p - self._engine.p_min
        if p_num == 0:
            raise ValueError("blocks is empty: at least one slice is needed")
        high = self._reached
        check_sample_range(self._k0, high if self._k1 is None else self._k1, self._low, high, p_num)
        self._engine.check_synthesis(self._k0, self._k1, p_num)
        return self._take(high)


def _synthesize(
    engine: Engine, synthesis: _Synthesis, blocks: Iterable[Any], axes: tuple[int, int]
) -> Iterator[AnyArray]:
    lead: tuple[int, ...] | None = None
    dtype: Any = None
    where = axes
    for i, block in enumerate(blocks):
        S = as_inexact(f"block {i} of blocks", block)
        where = check_axes(S, *axes, engine.f_pts)
        check_finite(f"block {i} of blocks, which begins with slice {synthesis.p},", S)
        spectra, others = spectra_to_channels(S, *where)
        if lead is not None and others != lead:
            raise ValueError(f"block {i} of blocks has shape {S.shape}: all must agree in all axes but that of time")
        lead, dtype = others, _same_precision(f"block {i} of blocks", spectra, dtype)
        piece = synthesis.add(spectra.astype(dtype, copy=False))
        if piece is not None:
            yield signal_to_public(piece, lead, *where)
    piece = synthesis.rest()
    if piece is not None and lead is not None:
        yield signal_to_public(piece, lead, *where)
