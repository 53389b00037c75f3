r"""Sums over the bins of each frame, of which additive criteria are made, and their derivatives in one pass.

For a sum :math:`C = \sum_q \phi(E_q)` the first of the sums over a frame that `adaptstft.engine.vjp` derives takes no
adjoint frame: :math:`c \sum v\,\omega(u)` is the derivative in the logarithm of the scale, and as every energy grows
with :math:`c^2`,

.. math::

    \partial C/\partial\theta_p = \frac{c'}{c} \sum_q 2 E_q \phi'(E_q) - (c/\theta_p) \sum v\,\omega'(u)\,u .
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.blocks import Blocks, FrameBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.vjp import CotangentMaker, Reducer
from adaptstft.engine.window_samples import WindowRows
from adaptstft.windows.chebyshev import Series


@dataclass(frozen=True)
class Statistics:
    """The sums ``sum E**a`` or ``sum E**a log E`` that an additive criterion is made of.

    Attributes
    ----------
    exponents : ndarray of float64
        ``a`` of each statistic.
    logs : ndarray of bool
        Whether it has the factor ``log E``.
    """

    exponents: Float64Array
    logs: Any

    @classmethod
    def of(cls, *terms: tuple[float, bool]) -> Statistics:
        """Make them from pairs ``(a, log)``."""
        return cls(np.array([a for a, _ in terms], dtype=float), np.array([log for _, log in terms], dtype=bool))

    @property
    def pairs(self) -> list[tuple[float, bool]]:
        """The pairs ``(a, log)`` they are made from."""
        return [(float(a), bool(log)) for a, log in zip(self.exponents, self.logs, strict=True)]

    def __len__(self) -> int:
        return self.exponents.size

    def only(self, k: int) -> Statistics:
        """Return statistic `k` alone."""
        return Statistics(self.exponents[k : k + 1], self.logs[k : k + 1])

    def terms(self, k: int, energy: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Terms of statistic `k` and their slopes in ``E``; a slope that is infinite at ``E = 0`` is left at zero."""
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
        """Whether statistic `k` is the energy ``sum |S|**2``."""
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
    """Sum the statistics over bins and channels, for each frame.

    One FFT a frame and channel, and one more for the derivatives of each
    statistic that is not the energy.

    Parameters
    ----------
    plan : Transform
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    frames : Frames
        The frames.
    stats : Statistics
        What to sum.
    gradient : bool, optional
        Whether to return the derivatives as well.
    positions, shape : bool, optional
        Whether those with respect to the positions and the shape parameters are among them; arrays without frames
        otherwise.

    Returns
    -------
    values : ndarray, shape (len(stats), frames)
        The sums.
    gradients : Gradients or None
        Those of each sum, shape (len(stats), frames); those with respect to the shape parameters have the shape
        (n_shape, len(stats), frames).
    """
    n_stats, n_frames = len(stats), len(frames)
    values = np.zeros((n_stats, n_frames))
    if not gradient:
        _sum_alone(plan, x, frames, stats, values)
        return values, None
    d_shape = np.zeros((len(plan.window.shape) if shape else 0, n_stats, n_frames))
    d = Gradients(np.zeros((n_stats, n_frames)), np.zeros((n_stats, n_frames if positions else 0)), d_shape)
    series = plan.window.series_in(x.real.dtype)
    if series is None or d_shape.size:
        _sum_with_rows(plan, x, frames, stats, values, d)
    else:
        _Fused(plan, x, stats, series).run(frames, values, d)
    return values, d


def _sum_alone(plan: FramePlan, x: AnyArray, frames: Frames, stats: Statistics, values: Float64Array) -> None:
    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        sums = np.zeros((len(stats), len(block)))
        for signal in x:
            spectra = windowed_spectra(plan, signal, block, rows, blocks)
            plan.kernels.statistics(spectra, *plan.bin_layout(), stats.exponents, stats.logs, sums)
        values[:, part] = sums

    blocks = FrameBlocks(plan, frames, x.real.dtype)
    blocks.run(work)


class _Fused:
    """Sums and their derivatives in lengths and centres, in as few calls of kernels as there are FFTs between them.

    The windows are polynomials, and evaluated frame by frame within the kernels.
    """

    def __init__(self, plan: FramePlan, x: AnyArray, stats: Statistics, series: Series) -> None:
        self.plan, self.x, self.stats, self.series = plan, x, stats, series
        self.energies = [k for k in range(len(stats)) if stats.is_energy(k)]
        self.through_fft = [k for k in range(len(stats)) if not stats.is_energy(k)]
        self.bin_layout = plan.bin_layout()
        scaling = {None: 0, "magnitude": 1, "psd": 2}[plan.scaling]
        self.scaling = (scaling, plan.T, plan.amplitude, plan.window_offset, plan.power_gain, plan.onesided)

    def run(self, frames: Frames, values: Float64Array, d: Gradients) -> None:
        """Write the sums of all frames to `values` and the derivatives to `d`."""
        stats = self.stats

        def work(part: slice, block: PlacedFrames) -> None:
            sums, gradients = np.zeros((len(stats), len(block))), np.zeros((len(stats), 2, len(block)))
            for signal in self.x:
                self._add(signal, block, blocks, sums, gradients)
            values[:, part] = sums
            d.win_length[:, part] = gradients[:, 0]
            if d.positions.size:
                d.positions[:, part] = gradients[:, 1]

        blocks = Blocks(self.plan, frames, self.x.real.dtype)
        blocks.each(work)

    def _add(
        self, x: AnyArray, block: PlacedFrames, blocks: Blocks, sums: Float64Array, gradients: Float64Array
    ) -> None:
        """Add the sums of one channel, and the derivatives, shape (len(stats), 2, frames)."""
        plan, series, stats, n = self.plan, self.series, self.stats, len(block)
        scales, growth, energy = np.empty((2, n)), np.empty(n), np.zeros((2, n))
        place = (block.win_length, block.lead, block.start, block.count, block.offset)
        buffer = blocks.scratch("frames", (n, plan.mfft), x.dtype)
        table = (series.value, series.derivative, series.plateau)
        plan.kernels.load_frames_and_energy_gradient(x, *table, *place, *self.scaling, buffer, scales, energy)
        spectra = plan.fft(buffer)
        for k in self.energies:
            gradients[k] += energy
        for k in self.through_fft:
            last = k == self.through_fft[-1]  # and then the spectra make room for it
            g = spectra if last else blocks.scratch("cotangent", spectra.shape, spectra.dtype)
            first = k == self.through_fft[0]
            some, chosen, out = (stats, k, sums) if first else (stats.only(k), 0, np.zeros((1, n)))
            terms = (some.exponents, some.logs, chosen)
            plan.kernels.statistics_and_cotangent(spectra, *self.bin_layout, *terms, out, growth, g)
            y = plan.adjoint_fft(g)
            plan.kernels.window_gradient(y, x, series.derivative, series.plateau, *place, scales, growth, gradients[k])


def _sum_with_rows(
    plan: FramePlan, x: AnyArray, frames: Frames, stats: Statistics, values: Float64Array, d: Gradients
) -> None:
    """Do it for windows of every kind and their shapes, with the windows of a block held in rows."""
    n_stats = len(stats)

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        sums = np.zeros((n_stats, len(block)))
        reducers = [Reducer(plan, block, rows) for _ in range(n_stats)]
        for signal in x:
            spectra = windowed_spectra(plan, signal, block, rows, blocks)
            plan.kernels.statistics(spectra, *plan.bin_layout(), stats.exponents, stats.logs, sums)
            for k, reducer in enumerate(reducers):
                _add_derivatives(plan, signal, spectra, stats.only(k), reducer, blocks)
        values[:, part] = sums
        for k, reducer in enumerate(reducers):
            d.win_length[k, part], centre, d.shape[:, k, part] = reducer.derivatives()
            if d.positions.size:
                d.positions[k, part] = centre

    blocks = FrameBlocks(plan, frames, x.real.dtype, gradient=True, shape=bool(d.shape.size))
    blocks.run(work)


def _add_derivatives(
    plan: FramePlan, x: AnyArray, spectra: AnyArray, one: Statistics, reducer: Reducer, blocks: FrameBlocks
) -> None:
    """Add the sums of one statistic's adjoint frames to the `reducer`."""
    if one.is_energy(0):
        reducer.add_energy(x, spectra)
        return
    g = blocks.scratch("cotangent", spectra.shape, spectra.dtype)
    ones = np.ones((1, len(spectra)))
    plan.kernels.cotangent(spectra, *plan.bin_layout(), one.exponents, one.logs, ones, g)
    reducer.add(plan.adjoint_fft(g), x)


def statistics_cotangent(plan: FramePlan, stats: Statistics, weights: Float64Array) -> CotangentMaker:
    """Cotangents of ``sum_kp weights[k, p] * statistic_k[p]``; a loss of ``|S|`` has no phase."""

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        own = spectra()
        g = plan.kernels.xp.empty_like(own)
        block = np.ascontiguousarray(weights[:, part])
        plan.kernels.cotangent(own, *plan.bin_layout(), stats.exponents, stats.logs, block, g)
        return g, np.zeros(block.shape[1])

    return make
