"""Value of a criterion for given frames, and its derivatives with respect to the frames, the window and the signal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.products import product
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria.base import Additive, Criterion
from adaptstft.criteria.gini import Gini
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import EnergyGradients, FrameView
from adaptstft.criteria.user_loss import UserLoss
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.frames import Frames
from adaptstft.engine.gradients import Gradients, ValueAndGradients
from adaptstft.engine.operator import analyse, energies, energies_and_vjp
from adaptstft.engine.plan import FFTPlan, FramePlan
from adaptstft.engine.statistics import Statistics, statistics, statistics_cotangent
from adaptstft.engine.vjp import frame_vjp

#: Bins with windows of their own that are transformed at once, if only their sums are needed.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class FrameLoss(ValueAndGradients):
    """Value of a criterion for given frames, and its derivatives; positions with constant weights.

    Attributes
    ----------
    weights : ndarray, shape (frames,)
        Derivative with respect to the weights of the frames.
    shares : ndarray, shape (groups,) or (1,)
        Derivative with respect to the share of the signal's energy in each neighbourhood, which is not contained in
        that with respect to the signal, see `adaptstft.criteria.energy_shares`; one zero without neighbourhoods.
    in_view : callable or None
        Returns the value in another view of the same frames, where that takes no transform.
    """

    weights: Float64Array
    shares: Float64Array = field(default_factory=lambda: np.zeros(1))
    in_view: Callable[[FrameView], float] | None = None


def scale_free(plan: FramePlan, peak: float) -> FramePlan:
    """Scale spectra to order one for a signal with this peak; the value of a criterion does not change."""
    unit = plan.T**0.5 if plan.scaling == "psd" else 1.0
    return replace(plan, amplitude=1 / (peak * unit))


def comparable_view(
    criterion: Criterion,
    positions: Float64Array,
    durations: Float64Array,
    mfft: int,
    neighbourhoods: Neighbourhoods | Tiles | None,
) -> FrameView:
    """Return the view with which values are comparable between hops and FFT lengths.

    The weights are the durations of the frames and the frequency step of the bins. A criterion that depends on the
    number of bins changes little with the framing; its weights are relative durations, and its bins have none.
    """
    if isinstance(criterion, Additive) and criterion.spread:
        return FrameView(positions, durations / durations.mean(), 1.0, neighbourhoods)
    return FrameView(positions, durations, 1 / mfft, neighbourhoods)


# ---------------------------------------------------------------------- from frames


def evaluate(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames | BinFrames,
    criterion: Criterion,
    view: FrameView,
    *,
    want_x: bool = False,
    parameters: bool = True,
    positions: bool = True,
    shape: bool = False,
    lead_shape: tuple[int, ...] | None = None,
) -> FrameLoss:
    """Evaluate a criterion and its derivatives.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    frames : Frames or BinFrames
        The frames.
    criterion : Criterion
        The criterion.
    view : FrameView
        Weights of the frames and bins.
    want_x, parameters, shape : bool, optional
        Whether to compute the derivatives with respect to the signal, to the
        window lengths and positions, and to the shape parameters.
    positions : bool, optional
        Whether to compute those with respect to the positions, which cost extra
        time with windows per bin, and extra memory with long signals.
    lead_shape : tuple of int, optional
        Leading dimensions of the signal, for user functions; by default
        ``(channels,)``.

    Returns
    -------
    FrameLoss
        Value and derivatives.
    """
    wanted = {"want_x": want_x, "parameters": parameters, "positions": positions, "shape": shape}
    if isinstance(criterion, Additive) and isinstance(frames, Frames) and not isinstance(view.neighbourhoods, Tiles):
        return _evaluate_sums(plan, x, frames, criterion, view, **wanted)
    energy, vjp = energies_and_vjp(plan, x, frames, **wanted)
    return _chain(energy_gradients(plan, criterion, energy, view, lead_shape), vjp)


def values_in_views(
    plan: FramePlan, x: AnyArray, frames: Frames | BinFrames, criterion: Additive, views: Sequence[FrameView]
) -> list[float]:
    """Return the values of a criterion in several views of one transform.

    The plane is not kept: its sums are taken from blocks of frames.
    """
    _, bands = views[0].banded()
    bands = bin_weights(criterion, bands, plan.f_pts)
    stats, size = criterion.statistics, max(1, _BLOCK // plan.f_pts)
    totals = np.empty((len(stats), len(bands), len(frames)))
    for first in range(0, len(frames), size):
        part = slice(first, first + size)
        at = views[0].positions[part]
        totals[..., part] = band_totals(plan, analyse(plan, x, frames.part(part)), stats, at, bands)
    counts = np.repeat(bands.sum(axis=1) * len(x), len(frames))
    flat = totals.reshape(len(stats), -1)
    return [criterion.value(flat, counts, view.banded()[0]) for view in views]


def bin_weights(criterion: Additive, bands: Float64Array | None, f_pts: int) -> Float64Array:
    """Return the weights of bins in bands; one band of all bins without bands."""
    if bands is None:
        return np.ones((1, f_pts))
    if criterion.spread:  # the weights of a band add up to its effective number of bins
        return np.asarray(bands * (bands.sum(axis=1) / (bands**2).sum(axis=1))[:, np.newaxis])
    return bands


def band_totals(
    plan: FramePlan, S: AnyArray, stats: Statistics, positions: Float64Array, bands: Float64Array
) -> Float64Array:
    """Return the statistics of each band and frame of a transform, shape (statistics, bands, frames)."""
    if plan.kernels.xp is not np:  # the energies stay on the device
        weights = plan.kernels.asarray(bands)
        found = stats.of_energies(plan, positions, energies(S))
        return np.array([to_host(weights @ values.sum(axis=0).T) for values, _, _ in found])
    sums, units = np.zeros((len(stats), *S.shape[1:])), stats.bin_units(plan, positions)
    for channel in S:  # each frame is a cell of its own
        plan.kernels.add_cell_sums(channel, stats.exponents, stats.kinds, units, np.arange(S.shape[1]), sums)
    return np.array([product(one, bands.T).T for one in sums])


def value_of(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames | BinFrames,
    criterion: Criterion,
    view: FrameView,
    lead_shape: tuple[int, ...] | None = None,
) -> float:
    """Return the value of a criterion; with one window for each frame it costs one FFT per frame."""
    if isinstance(criterion, Additive) and isinstance(frames, Frames) and not isinstance(view.neighbourhoods, Tiles):
        totals, _ = statistics(plan, x, frames, criterion.statistics)
        return criterion.value(totals, _counts(plan, x, frames), view)
    if isinstance(criterion, Additive):
        return values_in_views(plan, x, frames, criterion, [view])[0]
    energy = energies(analyse(plan, x, frames))
    return energy_gradients(plan, criterion, energy, view, lead_shape).value


def _chain(loss: EnergyGradients, vjp: Callable[[AnyArray], Gradients]) -> FrameLoss:
    """Apply the chain rule: derivatives with respect to the energies, then to the frames and the signal."""
    gradients = vjp(loss.energy)
    if gradients.positions.size:
        gradients = replace(gradients, positions=gradients.positions + loss.positions)
    return FrameLoss(loss.value, gradients, loss.weights, loss.shares)


def _evaluate_sums(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames,
    criterion: Additive,
    view: FrameView,
    *,
    want_x: bool,
    parameters: bool,
    positions: bool,
    shape: bool,
) -> FrameLoss:
    """Evaluate a function of sums over frames, whose spectra need not be stored."""
    stats = criterion.statistics
    totals, d = statistics(plan, x, frames, stats, gradient=not want_x, positions=positions, shape=shape)
    counts = _counts(plan, x, frames)
    reduced = criterion.reduce(totals, counts, view)
    if d is None:
        make = statistics_cotangent(plan, stats, frames.positions, reduced.totals)
        gradients = frame_vjp(plan, x, frames, make, want_x=True, parameters=parameters, shape=shape)
    else:
        gradients = Gradients(
            _sum_statistics(reduced.totals, d.win_length),
            _sum_statistics(reduced.totals, d.positions) if positions else np.zeros(1),
            np.array([_sum_statistics(reduced.totals, row).sum() for row in d.shape]),
        )
    gradients = replace(gradients, positions=gradients.positions + reduced.positions)
    return FrameLoss(
        reduced.value, gradients, reduced.weights, reduced.shares, partial(criterion.value, totals, counts)
    )


def _counts(plan: FramePlan, x: AnyArray, frames: Frames) -> Float64Array:
    """Return the number of bins of each frame."""
    return np.full(len(frames), float(plan.f_pts * x.shape[0]))


def _sum_statistics(by_totals: Float64Array, derivatives: Float64Array) -> Float64Array:
    """Return the sum of products over the statistics; in one pass, because there may be many frames."""
    return np.asarray(np.einsum("kp,kp->p", by_totals, derivatives))


# ---------------------------------------------------------------------- from the energies of all bins


def energy_gradients(
    plan: FFTPlan,
    criterion: Criterion,
    energy: AnyArray,
    view: FrameView,
    lead_shape: tuple[int, ...] | None = None,
) -> EnergyGradients:
    """Evaluate a criterion at ``|S|**2``, shape (channels, frames, f_pts), and its derivatives.

    `lead_shape` are the leading dimensions of the signal, for user functions; by default ``(channels,)``.
    If the energies are on a device, additive criteria are summed there and leave the derivatives there; all other
    criteria are evaluated on the host.
    """
    if isinstance(criterion, Additive):
        return _additive_gradients(plan, criterion, energy, view)
    energy = to_host(energy)
    if isinstance(criterion, Gini):
        return criterion.reduce_dense(energy, view)
    if not isinstance(criterion, UserLoss):
        raise TypeError(f"{criterion!r} must be an Additive criterion, Gini or a user function")
    channels, frames, f_pts = energy.shape
    lead = (channels,) if lead_shape is None else lead_shape
    value, gradient = criterion.evaluate(np.swapaxes(energy, -1, -2).reshape(*lead, f_pts, frames))
    by_energy = np.swapaxes(gradient.reshape(channels, f_pts, frames), -1, -2)
    return EnergyGradients(value, by_energy, np.zeros(frames), np.zeros(frames))


def _additive_gradients(plan: FFTPlan, criterion: Additive, energy: AnyArray, view: FrameView) -> EnergyGradients:
    channels, frames, f_pts = energy.shape
    stats, asarray = criterion.statistics, plan.kernels.asarray
    banded_view, bands = view.banded()
    bands = bin_weights(criterion, bands, f_pts)
    terms = list(stats.of_energies(plan, view.positions, energy))
    bands_on_device = asarray(bands)
    totals = np.array([to_host(bands_on_device @ values.sum(axis=0).T).ravel() for values, _, _ in terms])
    counts = np.repeat(bands.sum(axis=1) * channels, frames)
    reduced = criterion.reduce(totals, counts, banded_view)
    by_frame = (len(bands), frames)
    by_energy, by_positions = np.zeros_like(energy), reduced.positions.reshape(by_frame).sum(axis=0)
    for (_, rate, by_unit), by_totals in zip(terms, reduced.totals.reshape(len(stats), *by_frame), strict=True):
        weights = asarray(by_totals.T) @ bands_on_device
        by_energy += rate * weights
        if by_unit.ndim:
            by_positions = by_positions + to_host((by_unit * weights).sum(axis=(0, 2)))
    by_weights = reduced.weights.reshape(by_frame).sum(axis=0)
    return EnergyGradients(reduced.value, by_energy, by_weights, by_positions, reduced.shares)
