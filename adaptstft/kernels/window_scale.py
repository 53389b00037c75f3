"""The factor that scaling puts on a window, in a form that Numba compiles and NumPy takes as it is."""

from __future__ import annotations

from typing import Any

import numpy as np


def window_scale(magnitude: bool, T: float, theta: Any, total: Any, change: Any) -> Any:
    """Scale ``c`` of a window and its derivative in ``theta``.

    `total` and `change` are the sums of ``w`` and ``w' u`` over its samples for the scaling ``"magnitude"``, and
    those of ``w**2`` and ``w w' u`` otherwise: ``d omega(m/theta)/d theta = -omega' u / theta``.
    """
    scale = 1 / np.abs(total) if magnitude else np.sqrt(T / total)
    return scale, scale * change / (total * theta)
