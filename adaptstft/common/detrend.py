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
        ``"constant"`` subtracts the mean, ``"linear"`` the least-squares line; two samples, which are always on a line,
        lose their mean only. None returns `x`.

    Returns
    -------
    ndarray
        Array of the shape and dtype of `x`.
    """
    n = x.shape[-1]
    if kind is None or n < 2:
        return x
    mean = x.mean(axis=-1, keepdims=True, dtype=np.result_type(x.dtype, np.float64))
    centred = x - mean
    if kind == "linear" and n > 2:
        # sums along each row, so that no channel depends on the others, and no squares, which could overflow
        place = (np.arange(n) - (n - 1) / 2) / n
        slope = np.sum(centred * place, axis=-1, keepdims=True) / ((n**2 - 1) / (12 * n))
        centred -= slope * place
    return np.asarray(centred.astype(x.dtype, copy=False))
