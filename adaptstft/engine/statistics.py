r"""Sums over the bins of each frame, of which additive criteria are made, and their gradients.

For a sum :math:`C = \sum_q \phi(E_q)` of the energies ``E_q = |S[q, p]|**2`` the first sum of `adaptstft.engine.vjp`
needs no adjoint frame: :math:`c \sum v\,\omega(u)` is the derivative with respect to :math:`\log c`, and every energy
is proportional to :math:`c^2`, so

.. math::

    \partial C/\partial\theta_p = \frac{c'}{c} \sum_q 2 E_q \phi'(E_q) - (c/\theta_p) \sum v\,\omega'(u)\,u .
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from adaptstft.common.precision import FEW_SAMPLES
from adaptstft.common.typing import AnyArray, BoolArray, Float64Array, IntArray
from adaptstft.engine.blocks import FrameBlocks, WindowedBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FFTPlan, FramePlan
from adaptstft.engine.vjp import CotangentMaker, Reducer
from adaptstft.kernels.terms import POWER, POWER_LOG, terms
from adaptstft.windows.chebyshev import Series


class EnergyUnits(Protocol):
    """Units in which energies are measured: they depend on the time and the frequency, but not on the window.

    Times are those of `Frames.positions` with one window for each frame, and of `BinFrames.centre` with one for each
    bin, whose positions are not known.
    """

    def of_frames(self, positions: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return the unit of each frame, and the derivative of its logarithm in the position."""

    def of_bins(self, plan: FFTPlan, positions: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return the unit of each bin, and the derivative of its logarithm in the position of the frame.

        Both have the shape (frames, f_pts), or one column.
        """


@dataclass(frozen=True)
class Statistics:
    """Sums over the bins of a frame, of which an additive criterion is made; `adaptstft.kernels.terms` has the terms.

    Attributes
    ----------
    exponents : ndarray of float64
        Exponent ``a`` of each statistic.
    kinds : ndarray of int64
        Kind of each statistic.
    units : EnergyUnits or None
        Units of the energies; None for one.
    """

    exponents: Float64Array
    kinds: IntArray
    units: EnergyUnits | None = None

    @classmethod
    def of(cls, *terms: tuple[float, int]) -> Statistics:
        """Make statistics from pairs of exponent and kind."""
        return cls(np.array([a for a, _ in terms], dtype=float), np.array([kind for _, kind in terms], dtype=np.int64))

    @property
    def pairs(self) -> list[tuple[float, int]]:
        """Pairs of exponent and kind, as `of` takes them."""
        return [(float(a), int(kind)) for a, kind in zip(self.exponents, self.kinds, strict=True)]

    @property
    def logs(self) -> BoolArray:
        """Whether each statistic has the factor ``log E``."""
        return np.asarray(self.kinds == POWER_LOG)

    def __len__(self) -> int:
        return self.exponents.size

    def only(self, k: int) -> Statistics:
        """Return statistic `k` alone."""
        return Statistics(self.exponents[k : k + 1], self.kinds[k : k + 1], self.units)

    def of_energies(
        self, plan: FFTPlan, positions: Float64Array, energy: AnyArray
    ) -> Iterator[tuple[AnyArray, AnyArray, AnyArray]]:
        """Yield the terms of each statistic and their derivatives in the energies, and in the positions of the frames.

        The last axes of `energy` are (frames, f_pts).
        """
        if self.units is None:
            for a, kind in self.pairs:
                yield (*terms(energy, a, kind), np.zeros(()))
            return
        unit, slope = (plan.kernels.asarray(one) for one in self.units.of_bins(plan, positions))
        for a, kind in self.pairs:
            term, rate = terms(energy / unit, a, kind)
            rate = rate / unit
            yield term, rate, -rate * energy * slope

    def bin_units(self, plan: FFTPlan, positions: Float64Array) -> Float64Array:
        """Return the unit of each bin for the kernels, with length one along an axis on which they do not depend."""
        return np.ones((1, 1)) if self.units is None else np.ascontiguousarray(self.units.of_bins(plan, positions)[0])

    def is_energy(self, k: int) -> bool:
        """Return True if statistic `k` is the energy ``sum_q |S|**2``, whose gradient needs no adjoint FFT."""
        return bool(self.exponents[k] == 1 and self.kinds[k] == POWER and self.units is None)

    def units_of(self, positions: Float64Array) -> tuple[Float64Array, Float64Array | None]:
        """Return the unit of each frame, and the derivative of its logarithm in the position; None for zero."""
        return (np.ones(positions.size), None) if self.units is None else self.units.of_frames(positions)


def statistics(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames,
    stats: Statistics,
    *,
    gradient: bool = False,
    positions: bool = True,
    shape: bool = False,
) -> tuple[Float64Array, Gradients | None]:
    """Compute the statistics of each frame, summed over bins and channels.

    This takes one FFT for each frame and channel, and with `gradient` one more for each statistic that is not the
    energy.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    frames : Frames
        The frames.
    stats : Statistics
        The statistics.
    gradient : bool, optional
        True to return the gradients as well.
    positions, shape : bool, optional
        True to include those with respect to the positions and the shape parameters; the arrays are empty otherwise.

    Returns
    -------
    values : ndarray, shape (len(stats), frames)
        The sums.
    gradients : Gradients or None
        Derivative of each sum with respect to its frame, shape (len(stats), frames); for the shape parameters
        (n_shape, len(stats), frames).
    """
    size = (len(stats), len(frames))
    values = np.zeros(size)
    units, slopes = stats.units_of(frames.positions)
    if not gradient:
        windowed = WindowedBlocks(plan, frames, x.real.dtype)
        windowed.run(_Values(plan, x, stats, units, values, windowed).work)
        return values, None
    d_shape = np.zeros((len(plan.window.shape) if shape else 0, *size))
    gradients = Gradients(np.zeros(size), np.zeros((size[0], size[1] if positions else 0)), d_shape)
    series = plan.window.series_in(x.real.dtype)
    # The fused kernels save a tenth of the time, and a short signal does not repay the seconds of their compilation.
    simple = x.shape[-1] <= FEW_SAMPLES and frames.share_window
    if series is None or d_shape.size or simple:
        windowed = WindowedBlocks(plan, frames, x.real.dtype, gradient=True, shape=bool(d_shape.size))
        windowed.run(_RowGradients(plan, x, stats, units, slopes, values, gradients, windowed).work)
    else:
        blocks = FrameBlocks(plan, frames, x.real.dtype)
        blocks.run(_FusedGradients(plan, x, stats, units, slopes, values, gradients, blocks, series).work)
    return values, gradients


def sums_of_longer_fft(plan: FramePlan, x: AnyArray, frames: Frames, stats: Statistics, mfft: int) -> Float64Array:
    r"""Compute the statistics of each frame for an FFT of `mfft` points from the shorter one of a plan.

    :math:`E_q` is a trigonometric polynomial in :math:`q` of degree below the window length :math:`\theta`, so that
    sums of :math:`E^a` over all :math:`m \ge a\theta` bins of the circle, times the step :math:`1/m`, are exact
    integrals for integer :math:`a`; other terms are interpolated well from :math:`4\theta` bins. In a one-sided
    spectrum the bins at zero and at the Nyquist frequency have another gain than the others, and are no part of this:
    they are taken out before the sums are scaled, and added after.

    Parameters
    ----------
    plan : FramePlan
        The transform; its FFT length must be even if it is shorter than `mfft`.
    x, frames, stats
        As in `statistics`.
    mfft : int
        Length of the longer FFT.

    Returns
    -------
    ndarray, shape (len(stats), frames)
        The sums.
    """
    if plan.mfft == mfft:
        return statistics(plan, x, frames, stats)[0]
    values = np.zeros((len(stats), len(frames)))
    edges = np.zeros((2, len(stats), len(frames)))
    windowed = WindowedBlocks(plan, frames, x.real.dtype)
    units, _ = stats.units_of(frames.positions)
    windowed.run(_ValuesAndEdges(plan, x, stats, units, values, windowed, edges).work)
    kept = edges.sum(axis=0) if mfft % 2 == 0 else edges[0]
    return np.asarray((values - edges.sum(axis=0)) * (mfft / plan.mfft) + kept)


@dataclass(frozen=True)
class _Values:
    """Computes the statistics of a block of frames, and writes them to `values`."""

    plan: FramePlan
    x: AnyArray
    stats: Statistics
    units: Float64Array
    values: Float64Array
    blocks: WindowedBlocks

    def work(self, i: int) -> None:
        """Compute block `i`."""
        plan, stats, (part, block) = self.plan, self.stats, self.blocks[i]
        rows = self.blocks.windows(block)
        sums = np.zeros((len(stats), len(block)))
        for signal in self.x:
            spectra = windowed_spectra(plan, signal, block, rows, self.blocks)
            plan.kernels.statistics(spectra, *plan.bin_layout(), stats.exponents, stats.kinds, self.units[part], sums)
            self.look_at(spectra, part)
        self.values[:, part] = sums

    def look_at(self, spectra: AnyArray, part: slice) -> None:
        """Do nothing; `_ValuesAndEdges` takes the bins at zero and at the Nyquist frequency."""


@dataclass(frozen=True)
class _ValuesAndEdges(_Values):
    """Computes statistics, and those parts of bins at zero and Nyquist that the other bins do not have.

    A bin between them stands for two bins of the circle with ``E = gain * |S|**2``, one of these for one with
    ``E = |S|**2``: its part is ``phi(|S|**2) - phi(gain * |S|**2) / 2`` for terms ``phi(E)``.
    """

    edges: Float64Array

    def look_at(self, spectra: AnyArray, part: slice) -> None:
        """Add the parts of the two bins to `edges`."""
        gain, mirrored, _ = self.plan.bin_layout()
        if mirrored:
            both = self.plan.kernels.to_host(spectra[:, [0, -1]]).T
            power = (both.real.astype(float) ** 2 + both.imag.astype(float) ** 2) / self.units[part]
            for k, (a, kind) in enumerate(self.stats.pairs):
                own, doubled = (terms(factor * power, a, kind)[0] for factor in (1.0, gain))
                self.edges[:, k, part] += own - doubled / 2


@dataclass(frozen=True)
class _Gradients:
    """Computes the statistics of a block of frames and their derivatives; subclasses apply the windows."""

    plan: FramePlan
    x: AnyArray
    stats: Statistics
    units: Float64Array
    slopes: Float64Array | None
    values: Float64Array
    gradients: Gradients

    # These are computed once for all blocks: between two blocks Python is slow, because arrays fill the cache.
    @cached_property
    def energies(self) -> list[int]:
        """Numbers of the statistics that are energies."""
        return [k for k in range(len(self.stats)) if self.stats.is_energy(k)]

    @cached_property
    def others(self) -> list[int]:
        """Numbers of the other statistics."""
        return [k for k in range(len(self.stats)) if k not in self.energies]

    @cached_property
    def layout(self) -> tuple[float, bool, bool]:
        """Arguments of the kernels."""
        return self.plan.bin_layout()

    @cached_property
    def fft(self) -> Callable[[AnyArray], AnyArray]:
        """FFT of frames."""
        return self.plan.fft

    @cached_property
    def adjoint_fft(self) -> Callable[[AnyArray], AnyArray]:
        """Inverse FFT of cotangents."""
        return self.plan.adjoint_fft

    def cotangents(
        self, spectra: AnyArray, units: Float64Array, sums: Float64Array, blocks: FrameBlocks
    ) -> Iterator[tuple[int, AnyArray, Float64Array]]:
        """Yield the number of each statistic but energies, its cotangent, and its derivative with respect to ``log c``.

        All statistics are added to `sums`. A cotangent is valid until the next one; the last overwrites the spectra.
        """
        plan, stats, others = self.plan, self.stats, self.others
        if not others:
            plan.kernels.statistics(spectra, *self.layout, stats.exponents, stats.kinds, units, sums)
        for k in others:
            first, growth = k == others[0], np.empty(len(spectra))
            g = spectra if k == others[-1] else blocks.scratch("cotangent", spectra.shape, spectra.dtype)
            own, row, out = (stats, k, sums) if first else (stats.only(k), 0, np.zeros((1, len(spectra))))
            sums_of = (own.exponents, own.kinds, units, row)
            plan.kernels.statistics_and_cotangent(spectra, *self.layout, *sums_of, out, growth, g)
            yield k, g, growth


@dataclass(frozen=True)
class _RowGradients(_Gradients):
    """Computes statistics and gradients of a block for any window, whose samples and derivatives are in rows."""

    blocks: WindowedBlocks

    def work(self, i: int) -> None:
        """Compute block `i`."""
        plan, stats, out, (part, block) = self.plan, self.stats, self.gradients, self.blocks[i]
        rows = self.blocks.windows(block)
        sums, by_units = np.zeros((2, len(stats), len(block)))
        reducers = [Reducer(plan, block, rows) for _ in range(len(stats))]
        for signal in self.x:
            spectra = windowed_spectra(plan, signal, block, rows, self.blocks)
            for k, reducer in enumerate(reducers):
                if stats.is_energy(k):
                    reducer.add_energy(signal, spectra)
            for k, g, growth in self.cotangents(spectra, self.units[part], sums, self.blocks):
                reducers[k].add(self.adjoint_fft(g), signal)
                if self.slopes is not None:
                    by_units[k] += _by_units(growth, self.slopes[part])
        self.values[:, part] = sums
        for k, reducer in enumerate(reducers):
            out.win_length[k, part], centre, out.shape[:, k, part] = reducer.derivatives()
            if out.positions.size:
                out.positions[k, part] = centre + by_units[k]


@dataclass(frozen=True)
class _FusedGradients(_Gradients):
    """Computes statistics and gradients of a block with one kernel before and one after each FFT.

    The windows are polynomials, which the kernels evaluate frame by frame.
    """

    blocks: FrameBlocks
    series: Series

    def work(self, i: int) -> None:
        """Compute block `i`."""
        out, (part, block) = self.gradients, self.blocks[i]
        n, size = len(self.stats), len(block)
        sums, gradients, scales = np.zeros((n, size)), np.zeros((n, 2, size)), np.empty((2, size))
        units, slopes = self.units[part], None if self.slopes is None else self.slopes[part]
        for signal in self.x:
            energy = np.zeros((2, size if self.energies else 0))
            spectra = self.fft(self._windowed_frames(signal, block, scales, energy))
            for k in self.energies:
                gradients[k] += energy
            for k, g, growth in self.cotangents(spectra, units, sums, self.blocks):
                self._add_gradients(self.adjoint_fft(g), signal, block, scales, growth, gradients[k])
                if slopes is not None:
                    gradients[k, 1] += _by_units(growth, slopes)
        self.values[:, part] = sums
        out.win_length[:, part] = gradients[:, 0]
        if out.positions.size:
            out.positions[:, part] = gradients[:, 1]

    def _windowed_frames(
        self, x: AnyArray, block: PlacedFrames, scales: Float64Array, energy: Float64Array
    ) -> AnyArray:
        """Return windowed frames of one channel; write the scales of the windows and the gradients of the energy."""
        buffer = self.blocks.scratch("frames", (len(block), self.plan.mfft), x.dtype)
        series, plan = self.series, self.plan
        table = (series.value, series.derivative, series.plateau)
        place = (block.win_length, block.lead, *block.place)
        scaling = {None: 0, "magnitude": 1, "psd": 2}[plan.scaling]
        settings = (scaling, plan.T, plan.amplitude, plan.window_offset, plan.power_gain, plan.onesided)
        plan.kernels.load_frames_and_energy_gradient(x, *table, *place, *settings, buffer, scales, energy)
        return buffer

    def _add_gradients(
        self,
        y: AnyArray,
        x: AnyArray,
        block: PlacedFrames,
        scales: Float64Array,
        growth: Float64Array,
        out: Float64Array,
    ) -> None:
        """Add the derivatives with respect to lengths and centres from the adjoint frames `y` to `out`."""
        series, place = self.series, (block.win_length, block.lead, *block.place)
        self.plan.kernels.window_gradient(y, x, series.derivative, series.plateau, *place, scales, growth, out)


def _by_units(growth: Float64Array, slopes: Float64Array) -> Float64Array:
    """Return the derivatives in the positions by the units, from those in the logarithms of the frames' scales."""
    return -growth / 2 * slopes


def statistics_cotangent(
    plan: FramePlan, stats: Statistics, positions: Float64Array, weights: Float64Array
) -> CotangentMaker:
    """Cotangents of ``sum_kp weights[k, p] * statistic_k[p]``, a loss without phase and with constant units."""
    units, _ = stats.units_of(positions)

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        own = spectra()
        g = plan.kernels.xp.empty_like(own)
        block = np.ascontiguousarray(weights[:, part])
        plan.kernels.cotangent(own, *plan.bin_layout(), stats.exponents, stats.kinds, units[part], block, g)
        return g, np.zeros(block.shape[1])

    return make
