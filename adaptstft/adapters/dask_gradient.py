"""Tasks of Dask for the value and the gradient of a criterion.

An additive criterion is a function of sums over all frames, which add up over the stretches of a signal. A first pass
finds the largest magnitude, a second one the sums, from which the value and its derivatives in the sums follow. The
passes for the gradient evaluate, on each stretch, the sums weighted by these derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np

from adaptstft import criteria
from adaptstft.adapters.dask_slices import StretchSlices, divide_slices, window_reach
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_inexact, check_finite_stretch, check_has_derivatives
from adaptstft.criteria.evaluate import evaluate, scale_free
from adaptstft.criteria.scopes import FrameView, Reduction, Sums
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.frames import Frames
from adaptstft.engine.operator import sum_statistics
from adaptstft.engine.statistics import Statistics
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.transforms.gradient import Gradient, hop_gradient
from adaptstft.tuning.shared.dask_signals import samples, stretches_of, tree
from adaptstft.tuning.shared.partial_sums import sum_frames
from adaptstft.tuning.shared.signals import reduce_totals

#: Value of a criterion, and its derivatives in the sums.
Conclusion: TypeAlias = tuple[float, Float64Array]


def check_sums(loss: criteria.Criterion) -> criteria.Additive:
    """Require a criterion that is a function of sums over the whole signal or over each frame."""
    if isinstance(loss, criteria.DescriptionLength):
        raise ValueError(
            f"criterion={loss.name!r} is not available for a signal in chunks, because its distortion is measured over "
            "the whole signal: take another criterion of sums, such as 'renyi'"
        )
    if not isinstance(loss, criteria.Additive) or loss.scope == "local":
        scope = f", scope={loss.scope!r}" if loss.scope == "local" else ""
        raise ValueError(
            f"criterion={loss.name!r}{scope}: for a signal in chunks it must be a function of sums, which add up over "
            "the chunks, of scope 'global' or 'frame'"
        )
    return loss


# ---------------------------------------------------------------------------------------
# One stretch


@dataclass(frozen=True, kw_only=True)
class _WeightedSums(criteria.Additive):
    """The sums of a criterion over the frames of one stretch, with given weights.

    If the weights are the derivatives of the criterion in its sums over the whole signal, the gradient of this
    criterion is the part of one stretch in the gradient of the whole.

    Attributes
    ----------
    loss : Additive
        The criterion.
    sum_weights : ndarray
        Weight of each sum that `frame_rows` returns.
    """

    loss: criteria.Additive
    sum_weights: Float64Array

    @property
    def statistics(self) -> Statistics:
        return self.loss.statistics

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        return self.loss.combine(sums)

    def reduce(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
        rows, zeros = sum_frames(self.loss, totals, counts, view), np.zeros(totals.shape[1])
        gradients = np.asarray(np.einsum("j,jkp->kp", self.sum_weights, rows.gradients))
        return Reduction(float(self.sum_weights @ rows.sums), gradients, zeros, zeros)


def _view(frames: Frames | BinFrames) -> FrameView:
    return FrameView(np.zeros(len(frames)), np.ones(len(frames)))


def _largest(block: AnyArray, low: int) -> float:
    x = as_inexact("x", block).reshape(-1, block.shape[-1])
    check_finite_stretch("x", x, low)
    return float(np.abs(x).max())


def _check_peak(peak: float, dtype: Any) -> float:
    if peak == 0:
        raise ValueError("x is silent: all its samples are zero, so no window is better than another")
    return check_has_derivatives(peak, dtype)


def _sums(block: AnyArray, part: StretchSlices, loss: criteria.Additive, peak: float) -> tuple[Float64Array, float]:
    """Return the sums of the criterion over the frames of a stretch, and their number of bins."""
    plan, x = part.channels(block)
    plan, frames, stats = scale_free(plan, peak), part.frames(), loss.statistics
    if not len(frames):
        return np.zeros(2 if loss.scope == "frame" else len(stats)), 0.0
    totals = sum_statistics(plan, x, frames, stats)
    counts = np.full(len(frames), float(plan.f_pts * len(x)))
    return sum_frames(loss, totals, counts, _view(frames)).sums, float(counts.sum())


def _add_sums(parts: list[tuple[Float64Array, float]]) -> tuple[Float64Array, float]:
    sums, counts = zip(*parts, strict=True)
    return np.sum(sums, axis=0), float(np.sum(counts))


def _conclude(loss: criteria.Additive, total: tuple[Float64Array, float]) -> Conclusion:
    """Return the value of the criterion and its derivatives in the sums."""
    return reduce_totals(loss, *total, 1.0, 1.0)


def _first(pair: tuple[Any, Any]) -> Any:
    return np.asarray(pair[0])


def _parameter_gradient(
    block: AnyArray,
    part: StretchSlices,
    loss: criteria.Additive,
    peak: float,
    conclusion: Conclusion,
    chosen: frozenset[str],
) -> Gradient:
    """Return the gradient in the parameters, as far as it comes from the slices of one stretch."""
    plan, x = part.channels(block)
    frames, weighted = part.frames(), _WeightedSums(loss=loss, sum_weights=conclusion[1])
    d = evaluate(
        scale_free(plan, peak),
        x,
        frames,
        weighted,
        _view(frames),
        positions=bool(chosen & {"positions", "hop"}),
        shape="shape" in chosen,
    ).gradients
    # the transform of one part may have positions where that of the whole signal has a hop
    hop = hop_gradient(part.first, d.positions) if "hop" in chosen else None
    return replace(part.sft._gradient(set(chosen), part.first, d), hop=hop)


def _signal_gradient(
    block: AnyArray,
    part: StretchSlices,
    own: tuple[int, int],
    loss: criteria.Additive,
    peak: float,
    conclusion: Conclusion,
) -> AnyArray:
    """Return the gradient in the samples ``own[0] <= n < own[1]``, from all slices whose windows reach them."""
    plan, x = part.channels(block)
    d_x: Any = np.zeros_like(x)
    if part.count:
        frames, weighted = part.frames(), _WeightedSums(loss=loss, sum_weights=conclusion[1])
        plan = scale_free(plan, peak)
        loss_of_part = evaluate(
            plan, x, frames, weighted, _view(frames), want_x=True, parameters=False, positions=False
        )
        d_x = loss_of_part.gradients.data
    inside = d_x[:, own[0] - part.low : own[1] - part.low]
    return cast(AnyArray, plan.kernels.to_host(inside)).reshape(*block.shape[:-1], own[1] - own[0])


# ---------------------------------------------------------------------------------------
# All stretches


class GradientTasks:
    """Tasks of Dask that compute a value and its gradient.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform.
    x : dask.array.Array, shape (..., n)
        The signal.
    loss : Additive
        The criterion.
    delayed : callable
        ``dask.delayed``.
    da : module
        ``dask.array``.
    """

    def __init__(self, sft: AdaptiveShortTimeFFT, x: Any, loss: criteria.Additive, delayed: Any, da: Any) -> None:
        self._sft, self._x, self._loss, self._delayed, self._da = sft, x, loss, delayed, da
        self._stretches = stretches_of(x)
        self._parts = divide_slices(sft, x)
        self._inputs = [self._input(part) for part in self._parts]
        largest = [delayed(_largest)(samples(x, a, b), a) for a, b in self._stretches]
        self._peak = delayed(_check_peak)(tree(delayed, max, largest), x.dtype)
        sums = [delayed(_sums)(*own, loss, self._peak) for own in self._inputs]
        self._conclusion = delayed(_conclude)(loss, tree(delayed, _add_sums, sums))

    def _input(self, part: StretchSlices) -> tuple[Any, Any]:
        """Return the samples and the slices of one stretch as inputs of a task."""
        return samples(self._x, part.low, part.high), self._delayed(part, traverse=False)

    def value(self) -> Any:
        """Return the value as an array of shape ()."""
        return self._da.from_delayed(self._delayed(_first)(self._conclusion), (), float)

    def parameter_gradient(self, chosen: frozenset[str]) -> Gradient:
        """Return the gradient in the chosen parameters of the transform."""
        parts = [part for part in self._parts if part.count]
        gradients = [
            self._delayed(_parameter_gradient)(*own, self._loss, self._peak, self._conclusion, chosen)
            for own, part in zip(self._inputs, self._parts, strict=True)
            if part.count
        ]
        arrays = {}
        for name, shape in self._shapes(chosen, sum(part.count for part in parts)).items():
            values = [self._delayed(getattr)(gradient, name) for gradient in gradients]
            if name == "positions" or (name == "win_length" and self._sft._num_slice_lengths is not None):
                shared = [
                    self._da.from_delayed(value, (*shape[:-1], part.count), float)
                    for value, part in zip(values, parts, strict=True)
                ]
                arrays[name] = self._da.concatenate(shared, axis=-1)
            else:
                arrays[name] = self._da.from_delayed(tree(self._delayed, _sum_all, values), shape, float)
        return Gradient(**arrays)

    def _shapes(self, chosen: frozenset[str], p_num: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the chosen derivatives that the transform has."""
        sft = self._sft
        shapes: dict[str, tuple[int, ...]] = {"win_length": np.asarray(sft.win_length).shape, "positions": (p_num,)}
        if sft.hop is not None:
            shapes["hop"] = ()
        if sft.window.shape:
            shapes["shape"] = (len(sft.window.shape),)
        return {name: shape for name, shape in shapes.items() if name in chosen}

    def signal_gradient(self) -> Any:
        """Return the gradient in the signal, time last."""
        arrays = []
        parts = divide_slices(self._sft, self._x, window_reach(self._sft))
        for (a, b), part in zip(self._stretches, parts, strict=True):
            own = self._input(part)
            gradient = self._delayed(_signal_gradient)(*own, (a, b), self._loss, self._peak, self._conclusion)
            arrays.append(self._da.from_delayed(gradient, (*self._x.shape[:-1], b - a), self._x.dtype))
        return self._da.concatenate(arrays, axis=-1)


def _sum_all(values: list[Any]) -> Any:
    return np.sum(np.array(values, dtype=float), axis=0)
