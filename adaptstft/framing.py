"""Where frames lie: slices of a hop, sample ranges of real windows, padding, and their adjoints.

Times here are in samples. A frame has a real time ``t_p``, from which its
phase counts, and a window of real length ``theta_p`` centred at
``t_p + window_offset``; its samples are the half-open range
``-theta_p/2 <= n - centre < theta_p/2``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from adaptstft._typing import AnyArray, Float64Array, IntArray
from adaptstft.windows import Window

#: PlacedFrames that are laid out at once to look through all of them.
_PIECE = 1 << 14


@dataclass(frozen=True)
class PlacedFrames:
    """Sample ranges and FFT layout of a block of frames; every array has one entry a frame.

    Attributes
    ----------
    theta : ndarray of float64
        Window lengths.
    lead : ndarray of float64
        First sample of the frame relative to the window's centre.
    start, count : ndarray of int64
        First sample in the signal, and number of samples.
    offset : ndarray of int64
        Column of the first sample in the FFT's input, whose column 0 is the
        sample from which the phase counts.
    delta : ndarray of float64
        What the real phase origin exceeds that sample by.
    """

    theta: Float64Array
    lead: Float64Array
    start: IntArray
    count: IntArray
    offset: IntArray
    delta: Float64Array

    def __len__(self) -> int:
        return self.theta.size

    def __getitem__(self, part: slice) -> PlacedFrames:
        return PlacedFrames(
            self.theta[part],
            self.lead[part],
            self.start[part],
            self.count[part],
            self.offset[part],
            self.delta[part],
        )

    @property
    def width(self) -> int:
        """Largest number of samples of a frame."""
        return int(self.count.max(initial=1))

    def covered(self) -> tuple[int, int]:
        """Range of samples from the first to one past the last that any frame takes."""
        return int(self.start.min()), int((self.start + self.count).max())


def _lay_out(
    theta: Float64Array, times: Float64Array, mfft: int, window_offset: float, phase_shift: int, moved: int
) -> PlacedFrames:
    """Lay out frames; `moved` is added to the indices of their samples."""
    centre = times + window_offset
    start = np.ceil(centre - theta / 2).astype(np.int64)
    count = np.ceil(centre + theta / 2).astype(np.int64) - start
    # rounding of centre +- theta/2 far from the origin must not let a frame outgrow the FFT
    count = np.minimum(count, mfft)
    anchor = np.floor(times + 0.5).astype(np.int64)
    offset = (start - anchor - phase_shift) % mfft
    return PlacedFrames(theta, start - centre, start + moved, count, offset, times - anchor)


@dataclass(frozen=True)
class Frames:
    """Lengths and times of the frames of a transform; a slice of them is laid out as `PlacedFrames`.

    All frames laid out at once would be six arrays, which exceed all else for hours of sound.

    Attributes
    ----------
    theta, times : ndarray of float64
        Window lengths and real times.
    mfft : int
        Length of the FFT.
    window_offset : float
        Centre of a window relative to its frame's time.
    phase_shift : int
        Origin of the phase relative to the frame's time.
    shift : int
        What is added to the indices of all samples.
    """

    theta: Float64Array
    times: Float64Array
    mfft: int
    window_offset: float
    phase_shift: int
    shift: int = 0

    def __len__(self) -> int:
        return self.times.size

    def __getitem__(self, part: slice) -> PlacedFrames:
        # copies, as kernels warn of views from broadcasting
        theta, times = self.theta[part].copy(), self.times[part].copy()
        return _lay_out(theta, times, self.mfft, self.window_offset, self.phase_shift, self.shift)

    def _pieces(self) -> Iterator[PlacedFrames]:
        return (self[low : low + _PIECE] for low in range(0, len(self), _PIECE))

    @property
    def centre(self) -> Float64Array:
        """Centres of the windows, in the indices of the signal."""
        return self.times + (self.window_offset + self.shift)

    def moved(self, samples: int) -> Frames:
        """Return the frames in the indices of a signal with `samples` more before its first."""
        return replace(self, shift=self.shift + samples)

    @property
    def share_window(self) -> bool:
        """Whether every frame has the same window samples."""
        if not len(self) or not np.all(self.theta == self.theta[0]):
            return False
        first = self[:1].lead
        return all(bool(np.all(piece.lead == first)) for piece in self._pieces())

    def covered(self) -> tuple[int, int]:
        """Range of samples from the first to one past the last that any frame takes."""
        lows, highs = zip(*(piece.covered() for piece in self._pieces()), strict=True)
        return min(lows), max(highs)


def make_frames(
    theta: Float64Array, times: Float64Array, *, mfft: int, window_offset: float = 0.0, phase_shift: int = 0
) -> Frames:
    """Make frames with window lengths `theta` at real `times`.

    `phase_shift` moves the origin of the phase to ``times + phase_shift``.
    """
    theta, times = np.asarray(theta, dtype=float), np.asarray(times, dtype=float)
    size = np.broadcast_shapes(theta.shape, times.shape)
    return Frames(np.broadcast_to(theta, size), np.broadcast_to(times, size), mfft, window_offset, phase_shift)


# ---------------------------------------------------------------------------------------
# Slices of a constant hop, by SciPy's rules


@dataclass(frozen=True)
class HopSlices:
    """Slices ``p`` at times ``p * hop``, numbered as `scipy.signal.ShortTimeFFT` does.

    Attributes
    ----------
    hop : float
        Time increment.
    length : float
        Window length that decides which slices touch the signal.
    window : Window
        Its shape: a window that is zero at its first sample does not touch with it.
    slot : int
        Number of samples reserved for a window, ``m_num``.
    window_offset : float
        Centre of the window relative to the slice's time.
    """

    hop: float
    length: float
    window: Window
    slot: int
    window_offset: float

    def start(self, p: int) -> int:
        """First sample of slice `p`'s window."""
        return math.ceil(p * self.hop + self.window_offset - self.length / 2)

    def first_nonzero(self, p: int) -> int:
        """First sample of slice `p` where its window is not zero."""
        first = self.start(p)
        on_edge = first == p * self.hop + self.window_offset - self.length / 2
        return first + 1 if on_edge and float(self.window(-0.5)) == 0 else first

    def stop_nonzero(self, p: int) -> int:
        """One past the last sample of slice `p`'s window."""
        return math.ceil(p * self.hop + self.window_offset + self.length / 2)

    def slot_start(self, p: int) -> int:
        """First sample of the ``m_num`` samples reserved for slice `p`."""
        return math.ceil(p * self.hop + self.window_offset - self.slot / 2)

    def complete(self, n: int) -> int:
        """One past the last slice that takes no sample from `n` on and that every longer signal has as well."""
        p = math.floor((n - self.window_offset - self.length / 2) / self.hop) + 2
        while self.stop_nonzero(p - 1) > n:
            p -= 1
        # windows far ahead of their slices' times may be complete before the signal is sure to reach those slices
        return p if p <= math.floor(n / self.hop) + 1 else min(p, self.p_max(n))

    @property
    def p_min(self) -> int:
        """First slice that reaches into the signal; slice 0 always counts."""
        p = min(0, math.floor(-(self.length / 2 + self.window_offset) / self.hop) - 2)
        # SciPy's symmetric windows have one sample more, and it counts here even where it is zero
        symmetric = self.slot - self.length == 1
        while p < 0 and (self.slot_start(p) + self.slot if symmetric else self.stop_nonzero(p)) <= 0:
            p += 1
        return p

    def p_max(self, n: int) -> int:
        """One past the last slice that touches a signal of `n` samples."""
        at_least = math.floor(n / self.hop) + 1
        p = max(at_least, math.ceil((n + self.length / 2 - self.window_offset) / self.hop) + 1)
        while p > at_least and self.first_nonzero(p - 1) >= n:
            p -= 1
        return p

    def longest_signal(self, p_max: int) -> int:
        """Largest number of samples for which the slices end before `p_max`."""
        return max(1, min(self.first_nonzero(p_max), math.ceil(p_max * self.hop) - 1))

    @property
    def lower_border_end(self) -> tuple[int, int]:
        """First sample and slice that padding before the signal does not reach."""
        p = 0
        while self.first_nonzero(p + 1) < 0:
            p += 1
        return self.first_nonzero(p) + self.slot, p + 1

    def upper_border_begin(self, n: int) -> tuple[int, int]:
        """First sample and slice that padding after a signal of `n` samples reaches."""
        p = math.floor(n / self.hop) + 1
        while p >= self.p_min and self.stop_nonzero(p) > n:
            p -= 1
        return self.slot_start(p + 1), p + 1


class ListedSlices:
    """Slices from `p_min` on whose frames are all known; an earlier one may reach further than a later one.

    Parameters
    ----------
    p_min : int
        Index of the first slice.
    frames : Frames
        The frames of all of them.
    """

    def __init__(self, p_min: int, frames: Frames) -> None:
        self.p_min = p_min
        placed = frames[:]
        self._starts = np.minimum.accumulate(placed.start[::-1])[::-1]
        self._stops = np.maximum.accumulate(placed.start + placed.count)

    @property
    def p_stop(self) -> int:
        """One past the last slice."""
        return self.p_min + self._stops.size

    def start(self, p: int) -> int | None:
        """First sample that slice `p` or a later one takes; None if there is none."""
        return int(self._starts[p - self.p_min]) if p < self.p_stop else None

    def complete(self, n: int) -> int:
        """One past the last slice that, as all before it, takes no sample from `n` on."""
        return self.p_min + int(np.searchsorted(self._stops, n, side="right"))


# ---------------------------------------------------------------------------------------
# Padding


def _odd_extension(k: IntArray, n: int) -> tuple[IntArray, Float64Array, Float64Array]:
    """Express sample ``k`` of the odd extension of ``x[0..n-1]``.

    It is ``sign * x[index] + (1 - sign) * x[n-1] + turns * (x[n-1] - x[0])``:
    two reflections on points make a shift by twice the increment.
    """
    period = 2 * (n - 1)
    turns, rest = np.divmod(k, period)
    back = rest > n - 1
    return np.where(back, period - rest, rest), np.where(back, -1.0, 1.0), 2.0 * turns


def pad(x: AnyArray, before: int, after: int, padding: str) -> AnyArray:
    """Extend the last axis of `x` as `scipy.signal.ShortTimeFFT.stft` does, zeros excepted."""
    n = x.shape[-1]
    k = np.arange(-before, n + after)
    if padding == "edge" or n == 1:
        return x[..., np.clip(k, 0, n - 1)]
    index, sign, turns = _odd_extension(k, n)
    if padding == "even":
        return x[..., index]
    real = x.real.dtype
    sign, turns = sign.astype(real), turns.astype(real)
    first, last = x[..., :1], x[..., -1:]
    padded: AnyArray = sign * x[..., index] + (1 - sign) * last + turns * (last - first)
    return padded


def pad_adjoint(y: AnyArray, before: int, n: int, padding: str) -> AnyArray:
    """Adjoint of `pad`: fold an extended array of which `n` samples from `before` on are the signal."""
    k = np.arange(-before, y.shape[-1] - before)
    out = np.zeros((*y.shape[:-1], n), dtype=y.dtype)

    def gather(index: IntArray, values: AnyArray) -> None:
        np.add.at(np.moveaxis(out, -1, 0), index, np.moveaxis(values, -1, 0))

    if padding == "edge" or n == 1:
        gather(np.clip(k, 0, n - 1), y)
        return out
    index, sign, turns = _odd_extension(k, n)
    if padding == "even":
        gather(index, y)
        return out
    gather(index, sign * y)
    out[..., -1] += (y * (1 - sign + turns)).sum(axis=-1)
    out[..., 0] -= (y * turns).sum(axis=-1)
    return out
