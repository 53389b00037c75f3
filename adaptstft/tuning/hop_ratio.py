"""The hop as a fraction of the window length: the default of `optimize`, and the one with the least loss."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from adaptstft.windows import Window

#: Default hop of `optimize` as a fraction of the window length.
DEFAULT_HOP_RATIO = 1 / 8
#: Smallest tuned hop as a fraction of the window length.
LEAST_HOP_RATIO = 0.02
#: Penalty in nats on a factor e in the number of transforms.
_TRANSFORM_PENALTY = 0.01


def hop_loss(window: Window, ratio: float) -> tuple[float, float]:
    """Return the loss of a hop of ``ratio`` window lengths, and its derivative in ``log(ratio)``.

    A criterion is an integral over time that is sampled at the hop. For a click, the Rényi entropy of order 3
    integrates ``|w|**6``; the loss is the logarithm of ``mean(D**2) / mean(D)**2`` for the sum ``D`` of ``|w|**6``
    over frames as a function of the position of the click, plus 0.01 for a factor e in the number of transforms.
    """
    reach = int(np.ceil(0.5 / ratio)) + 1
    shift = np.linspace(0, 1, 64, endpoint=False)[:, None] - np.arange(-reach, reach + 2)
    u = ratio * shift
    w = window(u)
    d, gradient = np.sum(w**6, axis=1), np.sum(6 * w**5 * window.derivative(u) * u, axis=1)
    value = np.log(np.mean(d**2)) - 2 * np.log(np.mean(d))
    d_value = 2 * np.mean(d * gradient) / np.mean(d**2) - 2 * np.mean(gradient) / np.mean(d)
    return float(value - _TRANSFORM_PENALTY * np.log(ratio)), float(d_value - _TRANSFORM_PENALTY)


def best_hop_ratio(window: Window, bounds: tuple[float, float]) -> float:
    """Return the hop as a fraction of the window length with the least `hop_loss`, by L-BFGS-B from a grid."""
    grid = np.linspace(np.log(bounds[0]), np.log(bounds[1]), 200)
    start = grid[np.argmin([hop_loss(window, float(np.exp(z)))[0] for z in grid])]
    result = minimize(
        lambda z: hop_loss(window, float(np.exp(z[0]))), start, jac=True, method="L-BFGS-B", bounds=[np.log(bounds)]
    )
    return float(np.clip(np.exp(result.x[0]), *bounds))
