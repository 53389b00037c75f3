"""Positions, lengths and durations of frames, and the samples of the signal that they take.

All are in samples. A frame has a real position ``t_p``, from which its phase counts, and a window of real length
``theta_p`` centred at ``t_p + window_offset``. It takes the samples of the half-open range
``-theta_p/2 <= n - centre < theta_p/2``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from adaptstft.common.typing import Float64Array, IntArray

#: Number of frames that are laid out at once where a property of all frames is computed.
_PIECE = 1 << 14


@dataclass(frozen=True)
class PlacedFrames:
    """Sample ranges of a block of frames and their columns in the FFT's input; arrays have one entry for each frame.

    Attributes
    ----------
    win_length : ndarray of float64
        Window lengths.
    lead : ndarray of float64
        First sample of the frame relative to the centre of the window.
    start, count : ndarray of int64
        First sample in the signal, and number of samples.
    offset : ndarray of int64
        Column of the first sample in the FFT's input. Column 0 holds the sample from which the FFT counts the phase.
    delta : ndarray of float64
        Real origin of the phase relative to that sample.
    """

    win_length: Float64Array
    lead: Float64Array
    start: IntArray
    count: IntArray
    offset: IntArray
    delta: Float64Array

    def __len__(self) -> int:
        return self.win_length.size

    def __getitem__(self, part: slice) -> PlacedFrames:
        return PlacedFrames(
            self.win_length[part],
            self.lead[part],
            self.start[part],
            self.count[part],
            self.offset[part],
            self.delta[part],
        )

    @property
    def place(self) -> tuple[IntArray, IntArray, IntArray]:
        """First sample, number of samples and column of each frame: arguments of the kernels."""
        return self.start, self.count, self.offset

    @property
    def share_window(self) -> bool:
        """True if all frames have the same window samples."""
        return bool((self.win_length == self.win_length[:1]).all() and (self.lead == self.lead[:1]).all())

    def covered(self) -> tuple[int, int]:
        """Range of samples from the first to one past the last of all frames."""
        return int(self.start.min()), int((self.start + self.count).max())


def _lay_out(
    win_length: Float64Array, positions: Float64Array, mfft: int, window_offset: float, phase_shift: int, moved: int
) -> PlacedFrames:
    """Compute sample ranges and columns; `moved` is added to the indices of the samples."""
    centre, half = positions + window_offset, win_length / 2
    start = np.ceil(centre - half).astype(np.int64)
    lead = start - centre
    # from the lead and not from the centre, so that frames with the same lead and length have the same window samples
    count = np.ceil(half - lead).astype(np.int64)
    count = np.minimum(count, mfft)  # a rounded centre must not make a frame longer than the FFT
    anchor = np.floor(positions + 0.5).astype(np.int64)
    offset = (start - anchor - phase_shift) % mfft
    return PlacedFrames(win_length, lead, start + moved, count, offset, positions - anchor)


@dataclass(frozen=True)
class Frames:
    """Lengths and positions of the frames of a transform with one window for each frame.

    A slice of them is a `PlacedFrames`. It is computed block by block: for hours of sound its six arrays would take
    more memory than all others.

    Attributes
    ----------
    win_length, positions : ndarray of float64
        Window lengths and real positions.
    mfft : int
        Length of the FFT.
    window_offset : float
        Centre of a window relative to the position of its frame.
    phase_shift : int
        Origin of the phase relative to the position.
    shift : int
        Number added to the indices of all samples.
    """

    per_bin: ClassVar[bool] = False

    win_length: Float64Array
    positions: Float64Array
    mfft: int
    window_offset: float
    phase_shift: int
    shift: int = 0

    def __len__(self) -> int:
        return self.positions.size

    def __getitem__(self, part: slice) -> PlacedFrames:
        # copies, since kernels warn about read-only views
        win_length, positions = self.win_length[part].copy(), self.positions[part].copy()
        return _lay_out(win_length, positions, self.mfft, self.window_offset, self.phase_shift, self.shift)

    def part(self, part: slice) -> Frames:
        """Return some of the frames."""
        return replace(self, win_length=self.win_length[part], positions=self.positions[part])

    def _pieces(self) -> Iterator[PlacedFrames]:
        return (self[low : low + _PIECE] for low in range(0, len(self), _PIECE))

    @property
    def share_window(self) -> bool:
        """True if all frames have the same window samples."""
        if not (self.win_length == self.win_length[:1]).all():
            return False
        first = self[:1].lead
        return all(bool((piece.lead == first).all()) for piece in self._pieces())

    @property
    def centre(self) -> Float64Array:
        """Centres of the windows, in the indices of the signal."""
        return self.positions + (self.window_offset + self.shift)

    def moved(self, samples: int) -> Frames:
        """Return the frames of the signal with `samples` more samples before its first."""
        return replace(self, shift=self.shift + samples) if samples else self

    @property
    def length_rows(self) -> Float64Array:
        """Window lengths for products with arrays (frames, f_pts): shape (frames, 1)."""
        return np.asarray(self.win_length)[:, np.newaxis]

    @property
    def phase_lag(self) -> Float64Array:
        """Distance from the origin of the phase to the centre of the window: shape (1,)."""
        return np.full(1, self.window_offset - self.phase_shift)

    def covered(self) -> tuple[int, int]:
        """Range of samples from the first to one past the last of all frames."""
        lows, highs = zip(*(piece.covered() for piece in self._pieces()), strict=True)
        return min(lows), max(highs)


def make_frames(
    win_length: Float64Array, positions: Float64Array, *, mfft: int, window_offset: float = 0.0, phase_shift: int = 0
) -> Frames:
    """Make frames with window lengths `win_length` at real `positions`.

    The phase counts from ``positions + phase_shift``.
    """
    win_length, positions = np.asarray(win_length, dtype=float), np.asarray(positions, dtype=float)
    if win_length.shape != positions.shape:
        size = np.broadcast_shapes(win_length.shape, positions.shape)
        win_length, positions = np.broadcast_to(win_length, size), np.broadcast_to(positions, size)
    return Frames(win_length, positions, mfft, window_offset, phase_shift)


def frame_count(n: int, hop: float) -> int:
    """Return the number of frames at ``p * hop`` that span ``n`` samples."""
    return int(np.ceil((n - 1) / hop)) + 1


def durations(positions: Float64Array, n: int) -> Float64Array:
    """Duration of each frame in samples: from midpoint to midpoint of the positions, within the signal."""
    if positions.size == 1 or n == 1:
        return np.full(positions.size, n / positions.size)
    edges = np.empty(positions.size + 1)
    edges[0], edges[-1] = 0.0, n - 1.0
    edges[1:-1] = np.minimum(np.maximum((positions[1:] + positions[:-1]) / 2, 0.0), n - 1.0)
    return np.asarray(edges[1:] - edges[:-1])


def durations_adjoint(positions: Float64Array, n: int, gradients: Float64Array) -> Float64Array:
    """Adjoint of `durations`: bring gradients with respect to the durations to the positions."""
    out = np.zeros(positions.size)
    if positions.size == 1 or n == 1:
        return out
    middle = (positions[1:] + positions[:-1]) / 2
    edge = np.where((middle > 0) & (middle < n - 1), gradients[:-1] - gradients[1:], 0.0) / 2
    out[1:] += edge
    out[:-1] += edge
    return out
