"""Criteria as functions of the energy of every bin: those of the whole plane, and all with windows per bin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft._device import to_host
from adaptstft._typing import ComplexArray, Float64Array
from adaptstft.criteria import Additive, Callable_, Criterion, Gini
from adaptstft.scopes import FrameView


@dataclass(frozen=True)
class EnergySlopes:
    """Value of a criterion and its slopes.

    Attributes
    ----------
    value : float
        The criterion.
    energy : ndarray, shape (channels, frames, f_pts)
        Slope in ``|S|**2`` of every bin.
    weights, positions : ndarray, shape (frames,)
        Slopes in the weights and positions of the frames.
    """

    value: float
    energy: Float64Array
    weights: Float64Array
    positions: Float64Array


def energy_slopes(
    criterion: Criterion, energy: Float64Array, view: FrameView, lead_shape: tuple[int, ...] | None = None
) -> EnergySlopes:
    """Evaluate a criterion at ``|S|**2``, shape (channels, frames, f_pts).

    `lead_shape` are the leading dimensions of the signal, for callables; the channels by default.
    """
    if isinstance(criterion, Additive):
        return _additive_slopes(criterion, energy, view)
    if isinstance(criterion, Gini):
        dense = criterion.reduce_dense(energy, view)
        return EnergySlopes(dense.value, dense.power, dense.weights, dense.positions)
    if not isinstance(criterion, Callable_):
        raise TypeError(f"{criterion!r} is neither additive nor known to be evaluated as a whole")
    channels, frames, f_pts = energy.shape
    lead = (channels,) if lead_shape is None else lead_shape
    value, slope = criterion.evaluate(np.swapaxes(energy, -1, -2).reshape(*lead, f_pts, frames))
    slopes = np.swapaxes(slope.reshape(channels, f_pts, frames), -1, -2)
    return EnergySlopes(value, slopes, np.zeros(frames), np.zeros(frames))


def _additive_slopes(criterion: Additive, energy: Float64Array, view: FrameView) -> EnergySlopes:
    channels, frames, f_pts = energy.shape
    stats = criterion.statistics
    wide, bands = view.banded()
    if bands is None:
        bands = np.ones((1, f_pts))
    elif criterion.spread:  # weights that add up to the number of bins they effectively spread over
        bands = bands * (bands.sum(axis=1) / (bands**2).sum(axis=1))[:, np.newaxis]
    terms = [stats.terms(k, energy) for k in range(len(stats))]
    totals = np.array([(bands @ values.sum(axis=0).T).ravel() for values, _ in terms])
    counts = np.repeat(bands.sum(axis=1) * channels, frames)
    reduced = criterion.reduce(totals, counts, wide)
    per_bin = reduced.totals.reshape(len(stats), len(bands), frames)
    slope = np.zeros_like(energy)
    for (_, rate), weight in zip(terms, per_bin, strict=True):
        slope += rate * (weight.T @ bands)
    by_frame = (len(bands), frames)
    return EnergySlopes(
        reduced.value,
        slope,
        reduced.weights.reshape(by_frame).sum(axis=0),
        reduced.positions.reshape(by_frame).sum(axis=0),
    )


def energies(S: ComplexArray) -> Float64Array:
    """``|S|**2`` in double precision, on the host."""
    return np.asarray(to_host(S.real.astype(float) ** 2 + S.imag.astype(float) ** 2))
