"""The value of a criterion for given frames, and its derivatives in all that defines them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.energies import energies, energy_gradients
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.bins import BinFrames, BinSpectra, bin_adjoint, bin_forward, bin_gradients
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics, statistics_cotangent
from adaptstft.engine.vjp import frame_vjp, power_cotangent


@dataclass(frozen=True)
class FrameLoss:
    """A criterion's value and derivatives.

    Attributes
    ----------
    value : float
        The criterion.
    win_length : ndarray, shape (frames,) or (frames, f_pts)
        Derivative in each window length; empty if the parameters' were not asked for.
    positions : ndarray, shape (frames,)
        Derivative in each frame's position, its weight held fixed; without meaning if it was not asked for.
    weights : ndarray, shape (frames,)
        Derivative in each frame's weight.
    shape : ndarray, shape (n_shape,)
        Derivative in the window's shape parameters.
    x : ndarray, shape (channels, n), or None
        Derivative in the signal.
    """

    value: float
    win_length: Float64Array
    positions: Float64Array
    weights: Float64Array
    shape: Float64Array
    x: AnyArray | None


def scale_free(plan: FramePlan, peak: float) -> FramePlan:
    """Bring signal and window to order one, which no scale-free criterion sees."""
    unit = plan.T**0.5 if plan.scaling == "psd" else 1.0
    return replace(plan, amplitude=1 / (peak * unit))


def comparable_view(
    criterion: Criterion,
    positions: Float64Array,
    durations: Float64Array,
    mfft: int,
    neighbourhoods: Neighbourhoods | Tiles | None,
) -> FrameView:
    """View in which values can be compared between hops and FFT lengths.

    Frames count for the time and bins for the frequency that they stand for. A measure of the number
    of bins itself hardly depends on the framing, and keeps that number.
    """
    if isinstance(criterion, Additive) and criterion.spread:
        return FrameView(positions, durations / durations.mean(), 1.0, neighbourhoods)
    return FrameView(positions, durations, 1 / mfft, neighbourhoods)


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
    plan : Transform
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    frames : Frames or BinFrames
        The frames.
    criterion : Criterion
        What to evaluate.
    view : FrameView
        Weights of the frames.
    want_x, parameters, shape : bool, optional
        Whether the derivatives in the signal, in the frames and in the shape
        parameters are wanted.
    positions : bool, optional
        Whether those in the positions are, which take time of their own with
        windows per bin, and memory with long signals.
    lead_shape : tuple of int, optional
        Leading dimensions of the signal, for callables; those of `x` without
        the time axis by default.

    Returns
    -------
    FrameLoss
        Value and derivatives.
    """
    if isinstance(frames, BinFrames):
        spectra = bin_forward(plan, x, frames, gradient=parameters, centre=positions, shape=shape)
        return bin_loss(plan, x, frames, spectra, criterion, view, want_x=want_x, lead_shape=lead_shape)
    if isinstance(criterion, Additive):
        wanted = {"want_x": want_x, "parameters": parameters, "positions": positions, "shape": shape}
        return _evaluate_additive(plan, x, frames, criterion, view, **wanted)
    dense = energy_gradients(
        criterion, energies(forward(plan, x, frames)), view, lead_shape, asarray=plan.kernels.asarray
    )
    make = power_cotangent(plan, dense.energy)
    back = frame_vjp(plan, x, frames, make, want_x=want_x, parameters=parameters, shape=shape)
    positions_too = back.positions + dense.positions
    return FrameLoss(dense.value, back.win_length, positions_too, dense.weights, back.shape, back.data)


def bin_loss(
    plan: FramePlan,
    x: AnyArray,
    frames: BinFrames,
    spectra: BinSpectra,
    criterion: Criterion,
    view: FrameView,
    *,
    want_x: bool = False,
    lead_shape: tuple[int, ...] | None = None,
) -> FrameLoss:
    """Evaluate a criterion for windows per bin, from their `spectra` with the derivatives that are wanted."""
    found = energy_gradients(criterion, energies(spectra.S), view, lead_shape, asarray=plan.kernels.asarray)
    g = plan.kernels.asarray(2 * found.energy) * spectra.S
    d_x = None
    if want_x:
        d_x = bin_adjoint(plan, g, frames, 0, x.shape[-1], real=not np.iscomplexobj(x)).astype(x.dtype)
    if spectra.win_length is None:
        none = np.zeros(0)
        return FrameLoss(found.value, none, none, found.weights, none, d_x)
    d = bin_gradients(plan, spectra, g, phase=False)  # a loss of |S| has no phase
    return FrameLoss(found.value, d.win_length, d.positions + found.positions, found.weights, d.shape, d_x)


def _evaluate_additive(
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
    stats = criterion.statistics
    totals, d = statistics(plan, x, frames, stats, gradient=not want_x, positions=positions, shape=shape)
    counts = np.broadcast_to(float(plan.f_pts * x.shape[0]), len(frames))
    reduced = criterion.reduce(totals, counts, view)
    gradients = reduced.totals
    if d is None:
        make = statistics_cotangent(plan, stats, gradients)
        back = frame_vjp(plan, x, frames, make, want_x=True, parameters=parameters, shape=shape)
        win_length, centre, d_shape, d_x = back.win_length, back.positions, back.shape, back.data
    else:
        win_length, d_shape, d_x = (
            _along(gradients, d.win_length),
            np.array([_along(gradients, row).sum() for row in d.shape]),
            None,
        )
        centre = _along(gradients, d.positions) if positions else np.zeros(1)
    return FrameLoss(reduced.value, win_length, centre + reduced.positions, reduced.weights, d_shape, d_x)


def _along(gradients: Float64Array, derivatives: Float64Array) -> Float64Array:
    """Sum over the statistics, in one pass: there may be many frames."""
    return np.asarray(np.einsum("kp,kp->p", gradients, derivatives))


def value_of(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames | BinFrames,
    criterion: Criterion,
    view: FrameView,
    lead_shape: tuple[int, ...] | None = None,
) -> float:
    """Value alone: one FFT a frame."""
    if isinstance(frames, BinFrames) or not isinstance(criterion, Additive) or isinstance(view.neighbourhoods, Tiles):
        S = bin_forward(plan, x, frames).S if isinstance(frames, BinFrames) else forward(plan, x, frames)
        return energy_gradients(criterion, energies(S), view, lead_shape, asarray=plan.kernels.asarray).value
    totals, _ = statistics(plan, x, frames, criterion.statistics)
    counts = np.broadcast_to(float(plan.f_pts * x.shape[0]), len(frames))
    return criterion.reduce(totals, counts, view).value
