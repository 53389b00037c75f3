"""Derivative in the signal of the shares of energy that weight the neighbourhoods of a local criterion."""

from __future__ import annotations

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria.bands import tile_energy_gradient
from adaptstft.criteria.neighbourhoods import EnergyCells, Neighbourhoods, Tiles, sample_power
from adaptstft.engine.plan import FramePlan


def share_gradient(
    plan: FramePlan, x: AnyArray, places: Neighbourhoods | Tiles, by_share: Float64Array, first: float = 0.0
) -> AnyArray:
    """Return the gradient of a loss in the signal, as far as it comes from the shares of energy of neighbourhoods.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    x : ndarray, shape (channels, n)
        The signal that the neighbourhoods were made of, on the device of the kernels.
    places : Neighbourhoods or Tiles
        The neighbourhoods.
    by_share : ndarray, shape (groups,)
        Derivative of the loss in the share of each neighbourhood.
    first : float, optional
        Number of the first sample, as in `Neighbourhoods.of_signal`.

    Returns
    -------
    ndarray, shape (channels, n)
        The gradient, on the device of the kernels: ``dC/dRe x + 1j dC/dIm x``.
    """
    if isinstance(places, Tiles):
        return tile_energy_gradient(plan, x, places, by_share)
    cells = EnergyCells(x.shape[-1], places.width, first)
    unit = max(float(np.abs(x).max()), np.finfo(float).tiny)  # keeps the squares finite
    power, ones = sample_power(to_host(x), unit), cells.adjoint(np.ones(places.energy.size))
    total = float(power @ ones)
    # the shares are relative to the total, in which every sample has the weight `ones`
    by_power = (cells.adjoint(by_share) - ones * (places.energy @ by_share)) / total
    factor = plan.kernels.asarray(2 / unit * by_power, dtype=x.real.dtype)
    gradient: AnyArray = x / unit * factor
    return gradient
