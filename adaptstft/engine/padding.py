"""Extension of a signal at its ends as in SciPy, and its adjoint."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, IntArray


def _odd_extension(k: IntArray, n: int) -> tuple[IntArray, Float64Array, Float64Array]:
    """Return ``index``, ``sign`` and ``turns`` of the samples `k` of the odd extension of ``x[0], ..., x[n-1]``.

    A sample is ``sign * x[index] + (1 - sign) * x[n-1] + turns * (x[n-1] - x[0])``: two point reflections are a shift
    by twice the distance of their centres.
    """
    period = 2 * (n - 1)
    turns, rest = np.divmod(k, period)
    back = rest > n - 1
    return np.where(back, period - rest, rest), np.where(back, -1.0, 1.0), 2.0 * turns


def pad(x: AnyArray, before: int, after: int, padding: str) -> AnyArray:
    """Extend the last axis of `x` as in `scipy.signal.ShortTimeFFT.stft`, for all `padding` but ``"zeros"``."""
    n = x.shape[-1]
    k = np.arange(-before, n + after)
    if padding == "edge" or n == 1:
        return x[..., np.clip(k, 0, n - 1)]
    index, sign, turns = _odd_extension(k, n)
    if padding == "even":
        return x[..., index]
    real = x.real.dtype
    sign, turns = sign.astype(real), turns.astype(real)
    first, last = x[..., :1], x[..., -1:]
    padded: AnyArray = sign * x[..., index] + (1 - sign) * last + turns * (last - first)
    return padded


def pad_adjoint(y: AnyArray, before: int, n: int, padding: str) -> AnyArray:
    """Adjoint of `pad` for an extended array whose samples ``before <= k < before + n`` are the signal."""
    k = np.arange(-before, y.shape[-1] - before)
    out = np.zeros((*y.shape[:-1], n), dtype=y.dtype)

    def gather(index: IntArray, values: AnyArray) -> None:
        np.add.at(np.moveaxis(out, -1, 0), index, np.moveaxis(values, -1, 0))

    if padding == "edge" or n == 1:
        gather(np.clip(k, 0, n - 1), y)
        return out
    index, sign, turns = _odd_extension(k, n)
    if padding == "even":
        gather(index, y)
        return out
    gather(index, sign * y)
    out[..., -1] += (y * (1 - sign + turns)).sum(axis=-1)
    out[..., 0] -= (y * turns).sum(axis=-1)
    return out
