"""Removal of the mean or the linear trend from signals."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray


def remove_trend(x: AnyArray, kind: str | None) -> AnyArray:
    """Remove the mean or the linear trend of a signal along the last axis.

    Parameters
    ----------
    x : ndarray, shape (..., n)
        Real or complex signals. Signals of one sample are returned unchanged.
    kind : {"constant", "linear"} or None
        ``"constant"`` subtracts the mean, ``"linear"`` the least-squares line. None returns `x`.

    Returns
    -------
    ndarray
        Array of the shape and dtype of `x`.
    """
    if kind is None or x.shape[-1] < 2:
        return x
    if kind == "linear":
        if x.shape[-1] == 2:  # a line through both samples leaves no rounding errors
            return np.zeros_like(x)
        from scipy import signal  # a large import that nothing else in this module needs

        # of order one, as the sums of squares in the line fit would overflow; a power of two does not round
        peak = float(np.abs(x).max(initial=0.0))
        unit = np.ldexp(1.0, int(np.frexp(peak)[1]) - 1) if peak > 1e100 else 1.0
        line_removed = np.asarray(signal.detrend(x / x.real.dtype.type(unit), axis=-1, type="linear"))
        return (line_removed * unit).astype(x.dtype, copy=False)
    mean = x.mean(axis=-1, keepdims=True, dtype=np.result_type(x.dtype, np.float64))
    return np.asarray((x - mean).astype(x.dtype, copy=False))
