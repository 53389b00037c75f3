r"""Sums over the bins of each frame, of which additive criteria are made, and their gradients.

For a sum :math:`C = \sum_q \phi(E_q)` of the energies ``E_q = |S[q, p]|**2`` the first sum of `adaptstft.engine.vjp`
needs no adjoint frame: :math:`c \sum v\,\omega(u)` is the derivative with respect to :math:`\log c`, and every energy
is proportional to :math:`c^2`, so

.. math::

    \partial C/\partial\theta_p = \frac{c'}{c} \sum_q 2 E_q \phi'(E_q) - (c/\theta_p) \sum v\,\omega'(u)\,u .
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.blocks import FrameBlocks, WindowedBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.vjp import CotangentMaker, Reducer
from adaptstft.windows.chebyshev import Series


@dataclass(frozen=True)
class Statistics:
    """Sums ``sum_q E_q**a`` or ``sum_q E_q**a log E_q``, of which an additive criterion is made.

    Attributes
    ----------
    exponents : ndarray of float64
        Exponent ``a`` of each statistic.
    logs : ndarray of bool
        True for each statistic with the factor ``log E``.
    """

    exponents: Float64Array
    logs: Any

    @classmethod
    def of(cls, *terms: tuple[float, bool]) -> Statistics:
        """Make statistics from pairs ``(a, log)``."""
        return cls(np.array([a for a, _ in terms], dtype=float), np.array([log for _, log in terms], dtype=bool))

    @property
    def pairs(self) -> list[tuple[float, bool]]:
        """Pairs ``(a, log)``, as `of` takes them."""
        return [(float(a), bool(log)) for a, log in zip(self.exponents, self.logs, strict=True)]

    def __len__(self) -> int:
        return self.exponents.size

    def only(self, k: int) -> Statistics:
        """Return statistic `k` alone."""
        return Statistics(self.exponents[k : k + 1], self.logs[k : k + 1])

    def terms(self, k: int, energy: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Terms of statistic `k` and their derivatives in ``E``, zero where a derivative is infinite at ``E = 0``."""
        a, log = float(self.exponents[k]), bool(self.logs[k])
        if not log and a in (1.0, 2.0, 3.0):
            return energy ** int(a), a * energy ** int(a - 1)
        alive = energy > 0
        safe = np.where(alive, energy, 1.0)
        power = np.where(alive, safe ** (a - 1), 0.0)
        if not log:
            return power * energy, a * power
        logarithm = np.log(safe)
        return power * energy * logarithm, power * (a * logarithm + 1)

    def is_energy(self, k: int) -> bool:
        """Return True if statistic `k` is the energy ``sum_q E_q``."""
        return bool(self.exponents[k] == 1 and not self.logs[k])


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
    if not gradient:
        windowed = WindowedBlocks(plan, frames, x.real.dtype)
        windowed.run(_Values(plan, x, stats, values, windowed).work)
        return values, None
    d_shape = np.zeros((len(plan.window.shape) if shape else 0, *size))
    gradients = Gradients(np.zeros(size), np.zeros((size[0], size[1] if positions else 0)), d_shape)
    series = plan.window.series_in(x.real.dtype)
    if series is None or d_shape.size:
        windowed = WindowedBlocks(plan, frames, x.real.dtype, gradient=True, shape=bool(d_shape.size))
        windowed.run(_RowGradients(plan, x, stats, values, windowed, gradients).work)
    else:
        blocks = FrameBlocks(plan, frames, x.real.dtype)
        blocks.run(_FusedGradients(plan, x, stats, values, blocks, gradients, series).work)
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
    windowed.run(_ValuesAndEdges(plan, x, stats, values, windowed, edges).work)
    kept = edges.sum(axis=0) if mfft % 2 == 0 else edges[0]
    return np.asarray((values - edges.sum(axis=0)) * (mfft / plan.mfft) + kept)


@dataclass(frozen=True)
class _Values:
    """Computes the statistics of a block of frames, and writes them to `values`."""

    plan: FramePlan
    x: AnyArray
    stats: Statistics
    values: Float64Array
    blocks: WindowedBlocks

    def work(self, i: int) -> None:
        """Compute block `i`."""
        plan, stats, (part, block) = self.plan, self.stats, self.blocks[i]
        rows = self.blocks.windows(block)
        sums = np.zeros((len(stats), len(block)))
        for signal in self.x:
            spectra = windowed_spectra(plan, signal, block, rows, self.blocks)
            plan.kernels.statistics(spectra, *plan.bin_layout(), stats.exponents, stats.logs, sums)
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
            power = np.abs(self.plan.kernels.to_host(spectra[:, [0, -1]])).T.astype(float) ** 2
            for k in range(len(self.stats)):
                terms, doubled = (self.stats.terms(k, factor * power)[0] for factor in (1.0, gain))
                self.edges[:, k, part] += terms - doubled / 2


@dataclass(frozen=True)
class _RowGradients:
    """Computes statistics and gradients of a block for any window, whose samples and derivatives are in rows."""

    plan: FramePlan
    x: AnyArray
    stats: Statistics
    values: Float64Array
    blocks: WindowedBlocks
    gradients: Gradients

    def work(self, i: int) -> None:
        """Compute block `i`."""
        plan, stats, out, (part, block) = self.plan, self.stats, self.gradients, self.blocks[i]
        rows = self.blocks.windows(block)
        sums = np.zeros((len(stats), len(block)))
        reducers = [Reducer(plan, block, rows) for _ in range(len(stats))]
        for signal in self.x:
            spectra = windowed_spectra(plan, signal, block, rows, self.blocks)
            plan.kernels.statistics(spectra, *plan.bin_layout(), stats.exponents, stats.logs, sums)
            for k, reducer in enumerate(reducers):
                if stats.is_energy(k):
                    reducer.add_energy(signal, spectra)
                else:
                    reducer.add(plan.adjoint_fft(self._cotangent(spectra, stats.only(k))), signal)
        self.values[:, part] = sums
        for k, reducer in enumerate(reducers):
            out.win_length[k, part], centre, out.shape[:, k, part] = reducer.derivatives()
            if out.positions.size:
                out.positions[k, part] = centre

    def _cotangent(self, spectra: AnyArray, one: Statistics) -> AnyArray:
        g = self.blocks.scratch("cotangent", spectra.shape, spectra.dtype)
        weights = np.ones((1, len(spectra)))
        self.plan.kernels.cotangent(spectra, *self.plan.bin_layout(), one.exponents, one.logs, weights, g)
        return g


@dataclass(frozen=True)
class _FusedGradients:
    """Computes statistics and gradients of a block with one kernel before and one after each FFT.

    The windows are polynomials, which the kernels evaluate frame by frame.
    """

    plan: FramePlan
    x: AnyArray
    stats: Statistics
    values: Float64Array
    blocks: FrameBlocks
    gradients: Gradients
    series: Series

    def work(self, i: int) -> None:
        """Compute block `i`."""
        plan, out, (part, block) = self.plan, self.gradients, self.blocks[i]
        sums, gradients = np.zeros((len(self.stats), len(block))), np.zeros((len(self.stats), 2, len(block)))
        energies = [k for k in range(len(self.stats)) if self.stats.is_energy(k)]
        others = [k for k in range(len(self.stats)) if k not in energies]
        scales = np.empty((2, len(block)))
        for signal in self.x:
            energy = np.zeros((2, len(block)))
            spectra = plan.fft(self._windowed_frames(signal, block, scales, energy))
            gradients[energies] += energy
            if not others:
                plan.kernels.statistics(spectra, *plan.bin_layout(), self.stats.exponents, self.stats.logs, sums)
            for k in others:
                g, growth = self._cotangent(spectra, k, sums, first=k == others[0], last=k == others[-1])
                self._add_gradients(plan.adjoint_fft(g), signal, block, scales, growth, gradients[k])
        self.values[:, part] = sums
        out.win_length[:, part] = gradients[:, 0]
        if out.positions.size:
            out.positions[:, part] = gradients[:, 1]

    def _windowed_frames(
        self, x: AnyArray, block: PlacedFrames, scales: Float64Array, energy: Float64Array
    ) -> AnyArray:
        """Windowed frames of one channel; write the scales of the windows and the gradients of the energy."""
        buffer = self.blocks.scratch("frames", (len(block), self.plan.mfft), x.dtype)
        series, plan = self.series, self.plan
        table = (series.value, series.derivative, series.plateau)
        place = (block.win_length, block.lead, *block.place)
        scaling = {None: 0, "magnitude": 1, "psd": 2}[plan.scaling]
        settings = (scaling, plan.T, plan.amplitude, plan.window_offset, plan.power_gain, plan.onesided)
        plan.kernels.load_frames_and_energy_gradient(x, *table, *place, *settings, buffer, scales, energy)
        return buffer

    def _cotangent(
        self, spectra: AnyArray, k: int, sums: Float64Array, *, first: bool, last: bool
    ) -> tuple[AnyArray, Float64Array]:
        """Cotangent of statistic `k` and its derivative with respect to ``log c``.

        The first call adds all statistics to `sums`, the last overwrites the spectra.
        """
        growth = np.empty(len(spectra))
        g = spectra if last else self.blocks.scratch("cotangent", spectra.shape, spectra.dtype)
        stats, row, out = (self.stats, k, sums) if first else (self.stats.only(k), 0, np.zeros((1, len(spectra))))
        terms = (stats.exponents, stats.logs, row)
        self.plan.kernels.statistics_and_cotangent(spectra, *self.plan.bin_layout(), *terms, out, growth, g)
        return g, growth

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


def statistics_cotangent(plan: FramePlan, stats: Statistics, weights: Float64Array) -> CotangentMaker:
    """Cotangents of ``sum_kp weights[k, p] * statistic_k[p]``, a loss without phase."""

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        own = spectra()
        g = plan.kernels.xp.empty_like(own)
        block = np.ascontiguousarray(weights[:, part])
        plan.kernels.cotangent(own, *plan.bin_layout(), stats.exponents, stats.logs, block, g)
        return g, np.zeros(block.shape[1])

    return make
