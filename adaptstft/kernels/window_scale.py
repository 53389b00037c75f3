"""Scale factor of a window, for NumPy and for compilation with Numba."""

from __future__ import annotations

from typing import Any

import numpy as np


def window_scale(magnitude: bool, T: float, theta: Any, total: Any, change: Any) -> Any:
    """Return the scale factor ``c`` of a window, and its derivative in ``theta``.

    For the scaling ``"magnitude"``, `total` is the sum of ``w`` over the window samples and `change` the sum of
    ``w' u``. For ``"psd"``, they are the sums of ``w**2`` and of ``w w' u``. The derivative follows from
    ``d omega(m / theta) / d theta = -omega' u / theta``; `T` is the sampling interval.
    """
    scale = 1 / np.abs(total) if magnitude else np.sqrt(T / total)
    return scale, scale * change / (total * theta)
