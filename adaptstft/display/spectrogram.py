"""The spectrogram of a signal at the resolution of a picture, for the part of the plane that is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_bounds, as_real, check_option, check_positive, show
from adaptstft.display.protocols import Frames, Spectrograms

FrequencyScale: TypeAlias = Literal["linear", "log", "mel"]

#: Range of colours of a spectrogram, in dB below its maximum.
RANGE_DB = 60.0
#: Colours of spectrograms: lightness increases with the level, so that they survive a grey print and colour blindness.
COLOURS = "magma"
#: Columns and rows of a spectrogram for each pixel of its axes. Less than one, because a colour bar may still make the
#: axes narrower, and matplotlib drops columns narrower than a pixel.
_PER_PIXEL = 0.5
_FEWEST_CELLS = 100
#: Number of spectrogram values that are computed at once.
_ENTRIES = 1 << 21
#: Most frames of a picture with a `hop` of the user.
_MOST_FRAMES = 1 << 20


@dataclass(frozen=True)
class View:
    """How a spectrogram is drawn.

    Attributes
    ----------
    f_range, t_range : (float, float) or None
        Frequencies in Hz and times in s that are shown at first; None for all.
    yscale : {"linear", "log", "mel"}
        Scale of the frequencies.
    db : float
        Range of the colours in dB below the maximum.
    """

    f_range: tuple[float, float] | None = None
    t_range: tuple[float, float] | None = None
    yscale: FrequencyScale = "linear"
    db: float = RANGE_DB

    @classmethod
    def checked(cls, f_range: Any, t_range: Any, yscale: Any, db: Any) -> View:
        """Check the arguments of a picture that do not depend on its signal."""
        check_option("yscale", yscale, get_args(FrequencyScale))
        ranges = [
            None if given is None else as_bounds(name, given, -np.inf, unit)
            for name, given, unit in (("f_range", f_range, "Hz"), ("t_range", t_range, "s"))
        ]
        return cls(ranges[0], ranges[1], yscale, check_positive("db", db, "dB"))

    def forward(self, f: Float64Array) -> Float64Array:
        """Return the place of frequencies on the axis."""
        if self.yscale == "log":
            return np.log(np.maximum(f, np.finfo(float).tiny))
        return to_mel(f) if self.yscale == "mel" else f


def to_mel(f: Any) -> Float64Array:
    """Return the place of frequencies in Hz on the mel scale."""
    # D. O'Shaughnessy, Speech Communication, 1987; odd, so that spectra of complex signals have it too
    return np.asarray(np.sign(f) * 2595.0 * np.log10(1 + np.abs(f) / 700.0))


def from_mel(m: Any) -> Float64Array:
    """Return the frequencies in Hz at places on the mel scale."""
    return np.asarray(np.sign(m) * 700.0 * (10.0 ** (np.abs(m) / 2595.0) - 1))


@dataclass(frozen=True)
class Cells:
    """A part of a spectrogram, reduced to the cells of a picture.

    Attributes
    ----------
    t_edges, f_edges : ndarray, shape (columns + 1,) and (rows + 1,)
        Edges of the cells in s and Hz, ascending.
    power : ndarray, shape (rows, columns)
        Largest power in each cell.
    """

    t_edges: Float64Array
    f_edges: Float64Array
    power: Float64Array


@dataclass(frozen=True)
class Source:
    """A signal and its transform, of which any part can be drawn.

    Attributes
    ----------
    sft : Spectrograms
        The transform.
    x : ndarray, shape (..., n)
        The signal; channels are averaged.
    """

    sft: Spectrograms
    x: AnyArray
    _frames: tuple[int, Float64Array] = field(init=False, repr=False)
    _order: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n = self.x.shape[-1]
        first, last = self.sft.p_range(n)
        times = np.asarray(self.sft.t(n, first, last))
        # a transform with a hop also has frames before and after the signal, of which one on each side is enough
        before = int(np.searchsorted(times, 1e-9 / self.sft.fs, "right")) - 1
        after = int(np.searchsorted(times, (n - 1 - 1e-9) / self.sft.fs))
        kept = slice(max(before, 0), max(min(after + 1, times.size), 1))
        object.__setattr__(self, "_frames", (first + kept.start, times[kept]))
        object.__setattr__(self, "_order", np.argsort(self.sft.f, kind="stable"))

    @property
    def times(self) -> Float64Array:
        """Times of the frames in s."""
        return self._frames[1]

    @property
    def duration(self) -> float:
        """Time of the last sample in s, at least one sample."""
        return float(max(self.x.shape[-1] - 1, 1) / self.sft.fs)

    @property
    def frequencies(self) -> Float64Array:
        """Frequencies of the bins in Hz, ascending."""
        return np.asarray(np.asarray(self.sft.f)[self._order])

    def limits(self, view: View) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the ranges of times and frequencies of a view; raise a ValueError if nothing is in one of them."""
        f = self.frequencies
        lowest = float(f[0])
        if view.yscale == "log":
            positive = f[f > 0]
            if not positive.size:
                raise ValueError(f"yscale={view.yscale!r} needs a frequency above 0 Hz; the transform has none")
            lowest = float(positive[0])
        t_low, t_high = _common("t_range", view.t_range, (0.0, self.duration), "s")
        return (t_low, t_high), _common("f_range", view.f_range, (lowest, float(f[-1])), "Hz")

    def cells(
        self, view: View, times: tuple[float, float], frequencies: tuple[float, float], columns: int, rows: int
    ) -> Cells:
        """Return a part of the spectrogram; each cell is the largest of several frames and bins.

        Thus short events and narrow lines stay visible.
        """
        f = self.frequencies
        half = self.sft.delta_f / 2
        within = np.flatnonzero((f + half > frequencies[0]) & (f - half < frequencies[1]))
        if view.yscale == "log":
            within = within[f[within] > 0]
        if not within.size:
            within = np.array([np.abs(f - frequencies[0]).argmin()])
        starts = _row_starts(view.forward(f[within]), rows, even=view.yscale == "linear")
        f_edges = np.append(f[within][starts], f[within[-1]] + self.sft.delta_f) - half
        if view.yscale == "log":
            f_edges[0] = max(f_edges[0], half)
        edges = edges_between(self.times, 0.0, self.duration)
        first = max(int(np.searchsorted(edges, times[0], "right")) - 1, 0)
        last = min(int(np.searchsorted(edges, times[1], "left")), self.times.size)
        groups = _column_groups(min(first, self.times.size - 1), max(last, first + 1), columns)
        power = self._power(groups, self._order[within], starts)
        middles = np.array([self.times[group.start : group.stop].mean() for group in groups])
        return Cells(edges_between(middles, edges[groups[0].start], edges[groups[-1].stop]), f_edges, power)

    def _power(self, groups: list[range], bins: AnyArray, starts: AnyArray) -> Float64Array:
        """Return the largest power of groups of frames and of the bins from each start."""
        first, channels = self._frames[0], self.x.size // self.x.shape[-1]
        total = groups[-1].stop - groups[0].start
        # several groups in each call, because calls have an overhead
        at_once = max(1, int(_ENTRIES / (channels * self.sft.f_pts * (total / len(groups)))))
        columns = []
        for i in range(0, len(groups), at_once):
            batch = groups[i : i + at_once]
            low = batch[0].start
            power = np.asarray(self.sft.spectrogram(self.x, p0=first + low, p1=first + batch[-1].stop), dtype=float)
            power = power.reshape(-1, *power.shape[-2:]).mean(axis=0)[bins]
            power = np.maximum.reduceat(power, starts, axis=0)
            columns += [power[:, group.start - low : group.stop - low].max(axis=1) for group in batch]
        return np.array(columns).T


def _common(name: str, given: tuple[float, float] | None, whole: tuple[float, float], unit: str) -> tuple[float, float]:
    """Return the part of a range that there is."""
    if given is None:
        return whole
    low, high = max(given[0], whole[0]), min(given[1], whole[1])
    if low >= high:
        raise ValueError(
            f"{name}={show(given)} must overlap {whole[0]:g} to {whole[1]:g} {unit}, in which the signal is"
        )
    return low, high


def _row_starts(places: Float64Array, rows: int, *, even: bool) -> AnyArray:
    """Return the first bin of each row of a picture with at most about `rows` rows."""
    if even:  # rows of equally many bins, because the largest of more bins of noise would be brighter
        return np.arange(0, places.size, -(-places.size // rows))
    span = places[-1] - places[0]
    row = np.floor((places - places[0]) / span * rows) if span > 0 else np.zeros(places.size)
    return np.flatnonzero(np.diff(row, prepend=-1))


def _column_groups(first: int, last: int, most: int) -> list[range]:
    """Return the frames of each column, for the frames ``first <= p < last``."""
    count = last - first
    # of equal size, so neighbours share frames: the largest of more frames of noise would be brighter
    together = -(-count // most)
    firsts = np.linspace(first, last - together, min(count, most)).round().astype(int)
    return [range(int(low), int(low) + together) for low in firsts]


def edges_between(centres: Float64Array, first: float, last: float) -> Float64Array:
    """Return the edges of columns with these centres; the outer edges are at `first` and `last`, or further out."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[min(first, centres[0])], middle, [max(last, centres[-1])]])


def at_hop(sft: Any, n: int, hop: float) -> Any:
    """Return a transform with frames at the multiples of a hop in a signal of `n` samples.

    Lengths of frames are interpolated in their logarithm.
    """
    hop = as_real("hop", hop)
    least = max(n - 1, 1) / _MOST_FRAMES
    if not least <= hop:
        raise ValueError(
            f"{hop=} must be at least {least:.3g} samples, so that the picture has at most {_MOST_FRAMES} frames"
        )
    positions = np.arange(int(np.ceil((n - 1) / hop)) + 1) * hop
    lengths = np.asarray(sft.win_length)
    if is_tied(sft):
        lengths = _interpolated(lengths, np.asarray(sft.t(n)) * sft.fs, positions)
    return sft.remade(hop=None, positions=positions, win_length=lengths, samples=None)


def _interpolated(lengths: Float64Array, old: Float64Array, new: Float64Array) -> Float64Array:
    """Return lengths at other positions, the last axis, interpolated in their logarithm."""
    if old.size == 1:
        return np.broadcast_to(lengths, (*lengths.shape[:-1], new.size))
    right = np.clip(np.searchsorted(old, new), 1, old.size - 1)
    gap = old[right] - old[right - 1]
    share = np.clip((new - old[right - 1]) / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
    logs = np.log(lengths)
    return np.asarray(np.exp((1 - share) * logs[..., right - 1] + share * logs[..., right]))


def cell_counts(ax: Any) -> tuple[int, int]:
    """Return the number of columns and rows that axes of this size can show."""
    area = ax.get_window_extent()
    columns, rows = (max(_FEWEST_CELLS, int(_PER_PIXEL * size)) for size in (area.width, area.height))
    return columns, rows


def is_tied(sft: Frames) -> bool:
    """Return whether window lengths belong to frames."""
    shape = np.shape(sft.win_length)
    return len(shape) == 1 or (len(shape) == 2 and shape[1] > 1)
