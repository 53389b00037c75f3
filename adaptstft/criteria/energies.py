"""Criteria as functions of the energy of every bin: those of the whole plane, and all with windows per bin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.criteria import Additive, Criterion, Gini, UserLoss
from adaptstft.criteria.scopes import EnergyGradients, FrameView


def energy_gradients(
    criterion: Criterion,
    energy: AnyArray,
    view: FrameView,
    lead_shape: tuple[int, ...] | None = None,
    *,
    asarray: Callable[[Any], Any] = np.asarray,
) -> EnergyGradients:
    """Evaluate a criterion at ``|S|**2``, shape (channels, frames, f_pts).

    `lead_shape` are the leading dimensions of the signal, for callables; the channels by default. With energies on a
    device, `asarray` brings arrays there: sums over bins are taken, and slopes of additive criteria left, where the
    energies are. All other criteria are evaluated on the host.
    """
    if isinstance(criterion, Additive):
        return _additive_gradients(criterion, energy, view, asarray)
    energy = to_host(energy)
    if isinstance(criterion, Gini):
        return criterion.reduce_dense(energy, view)
    if not isinstance(criterion, UserLoss):
        raise TypeError(f"{criterion!r} is neither additive nor known to be evaluated as a whole")
    channels, frames, f_pts = energy.shape
    lead = (channels,) if lead_shape is None else lead_shape
    value, gradient = criterion.evaluate(np.swapaxes(energy, -1, -2).reshape(*lead, f_pts, frames))
    gradients = np.swapaxes(gradient.reshape(channels, f_pts, frames), -1, -2)
    return EnergyGradients(value, gradients, np.zeros(frames), np.zeros(frames))


def _additive_gradients(
    criterion: Additive, energy: AnyArray, view: FrameView, asarray: Callable[[Any], Any]
) -> EnergyGradients:
    channels, frames, f_pts = energy.shape
    stats = criterion.statistics
    wide, bands = view.banded()
    if bands is None:
        bands = np.ones((1, f_pts))
    elif criterion.spread:  # weights that add up to the number of bins they effectively spread over
        bands = bands * (bands.sum(axis=1) / (bands**2).sum(axis=1))[:, np.newaxis]
    terms = [stats.terms(k, energy) for k in range(len(stats))]
    there = asarray(bands)
    totals = np.array([to_host(there @ values.sum(axis=0).T).ravel() for values, _ in terms])
    counts = np.repeat(bands.sum(axis=1) * channels, frames)
    reduced = criterion.reduce(totals, counts, wide)
    per_bin = reduced.totals.reshape(len(stats), len(bands), frames)
    gradient = np.zeros_like(energy)
    for (_, rate), weight in zip(terms, per_bin, strict=True):
        gradient += rate * (asarray(weight.T) @ there)
    by_frame = (len(bands), frames)
    return EnergyGradients(
        reduced.value,
        gradient,
        reduced.weights.reshape(by_frame).sum(axis=0),
        reduced.positions.reshape(by_frame).sum(axis=0),
    )


def energies(S: ComplexArray) -> AnyArray:
    """``|S|**2`` in double precision."""
    power: AnyArray = S.real.astype(float) ** 2 + S.imag.astype(float) ** 2
    return power
