"""The value of a criterion for given frames, and its derivatives in all that defines them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft._typing import AnyArray, Float64Array
from adaptstft.criteria import Additive, Callable_, Criterion, Gini
from adaptstft.framing import Frames
from adaptstft.scopes import FrameView, Neighbourhoods
from adaptstft.transform import (
    Transform,
    forward,
    power_cotangent,
    pullback,
    statistics,
    statistics_cotangent,
)


@dataclass(frozen=True)
class FrameLoss:
    """A criterion's value and derivatives.

    Attributes
    ----------
    value : float
        The criterion.
    theta : ndarray, shape (frames,)
        Derivative in each window length.
    positions : ndarray, shape (frames,)
        Derivative in each frame's position, its weight held fixed.
    weights : ndarray, shape (frames,)
        Derivative in each frame's weight.
    shape : ndarray, shape (n_shape,)
        Derivative in the window's shape parameters.
    x : ndarray, shape (channels, n), or None
        Derivative in the signal.
    """

    value: float
    theta: Float64Array
    positions: Float64Array
    weights: Float64Array
    shape: Float64Array
    x: AnyArray | None


def scale_free(tf: Transform, peak: float) -> Transform:
    """Bring signal and window to order one, which no scale-free criterion sees."""
    unit = tf.T**0.5 if tf.scaling == "psd" else 1.0
    return replace(tf, amplitude=1 / (peak * unit))


def comparable_view(
    criterion: Criterion, times: Float64Array, durations: Float64Array, mfft: int, neighbourhoods: Neighbourhoods | None
) -> FrameView:
    """View in which values can be compared between hops and FFT lengths.

    Frames count for the time and bins for the frequency that they stand for. A measure of the number
    of bins itself hardly depends on the framing, and keeps that number.
    """
    if isinstance(criterion, Additive) and criterion.spread:
        return FrameView(times, durations / durations.mean(), 1.0, neighbourhoods)
    return FrameView(times, durations, 1 / mfft, neighbourhoods)


def evaluate(
    tf: Transform,
    x: AnyArray,
    frames: Frames,
    criterion: Criterion,
    view: FrameView,
    *,
    want_x: bool = False,
    parameters: bool = True,
    shape: bool = False,
    lead_shape: tuple[int, ...] | None = None,
) -> FrameLoss:
    """Evaluate a criterion and its derivatives.

    Parameters
    ----------
    tf : Transform
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    frames : Frames
        The frames.
    criterion : Criterion
        What to evaluate.
    view : FrameView
        Weights of the frames.
    want_x, parameters, shape : bool, optional
        Whether the derivatives in the signal, in the frames and in the shape
        parameters are wanted.
    lead_shape : tuple of int, optional
        Leading dimensions of the signal, for callables; those of `x` without
        the time axis by default.

    Returns
    -------
    FrameLoss
        Value and derivatives.
    """
    if isinstance(criterion, Additive):
        wanted = {"want_x": want_x, "parameters": parameters, "shape": shape}
        return _evaluate_additive(tf, x, frames, criterion, view, **wanted)
    value, slopes, weights, positions = _dense_value(tf, x, frames, criterion, view, lead_shape)
    back = pullback(tf, x, frames, power_cotangent(tf, slopes), want_x=want_x, parameters=parameters, shape=shape)
    d = back.frames
    return FrameLoss(value, d.theta, d.centre + positions, weights, d.shape.sum(axis=1), back.x)


def _dense_value(
    tf: Transform,
    x: AnyArray,
    frames: Frames,
    criterion: Criterion,
    view: FrameView,
    lead_shape: tuple[int, ...] | None,
) -> tuple[float, Float64Array, Float64Array, Float64Array]:
    """Value of a criterion that needs the whole spectrogram, and its slopes in |S|**2 and the frames."""
    spectra = forward(tf, x, frames)
    energy = spectra.real.astype(float) ** 2 + spectra.imag.astype(float) ** 2
    del spectra
    if isinstance(criterion, Gini):
        dense = criterion.reduce_dense(energy, view)
        return dense.value, dense.power, dense.weights, dense.positions
    if not isinstance(criterion, Callable_):
        raise TypeError(f"{criterion!r} is neither additive nor known to be evaluated as a whole")
    lead = (x.shape[0],) if lead_shape is None else lead_shape
    picture = np.swapaxes(energy, -1, -2).reshape(*lead, tf.f_pts, len(frames))
    value, slope = criterion.evaluate(picture)
    slopes = np.swapaxes(slope.reshape(x.shape[0], tf.f_pts, len(frames)), -1, -2)
    return value, slopes, np.zeros(len(frames)), np.zeros(len(frames))


def _evaluate_additive(
    tf: Transform,
    x: AnyArray,
    frames: Frames,
    criterion: Additive,
    view: FrameView,
    *,
    want_x: bool,
    parameters: bool,
    shape: bool,
) -> FrameLoss:
    stats = criterion.statistics
    counts = np.full(len(frames), float(tf.f_pts * x.shape[0]))
    totals, d = statistics(tf, x, frames, stats, gradient=not want_x, shape=shape)
    reduced = criterion.reduce(totals, counts, view)
    slopes = reduced.totals
    if d is None:
        make = statistics_cotangent(tf, stats, slopes)
        back = pullback(tf, x, frames, make, want_x=True, parameters=parameters, shape=shape)
        theta, centre, d_shape, d_x = back.frames.theta, back.frames.centre, back.frames.shape, back.x
    else:
        theta, centre = np.sum(slopes * d.theta, axis=0), np.sum(slopes * d.centre, axis=0)
        d_shape, d_x = np.sum(slopes * d.shape, axis=1), None
    return FrameLoss(reduced.value, theta, centre + reduced.positions, reduced.weights, d_shape.sum(axis=1), d_x)


def value_of(
    tf: Transform,
    x: AnyArray,
    frames: Frames,
    criterion: Criterion,
    view: FrameView,
    lead_shape: tuple[int, ...] | None = None,
) -> float:
    """Value alone: one FFT a frame."""
    if not isinstance(criterion, Additive):
        return _dense_value(tf, x, frames, criterion, view, lead_shape)[0]
    totals, _ = statistics(tf, x, frames, criterion.statistics)
    counts = np.full(len(frames), float(tf.f_pts * x.shape[0]))
    return criterion.reduce(totals, counts, view).value
