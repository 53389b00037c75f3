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

        return np.asarray(signal.detrend(x, axis=-1, type="linear")).astype(x.dtype, copy=False)
    mean = x.mean(axis=-1, keepdims=True, dtype=np.result_type(x.dtype, np.float64))
    return np.asarray((x - mean).astype(x.dtype, copy=False))
