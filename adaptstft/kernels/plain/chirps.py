"""Short sums over a signal in NumPy: a window, a power of time and the conjugate of a chirp."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, IntArray


def chirp_sums(
    x: AnyArray, w: Float64Array, centre: IntArray, f: Float64Array, rate: Float64Array, out: AnyArray
) -> None:
    """Write ``sum_k x[centre[p] + k] w[M + k] k**j exp(-2i pi (f[p] k + rate[p] k**2 / 2))``, j = 0, 1, 2, to `out`."""
    half = w.size // 2
    for p, (c, frequency, slope) in enumerate(zip(centre.tolist(), f, rate, strict=True)):
        k = np.arange(max(-half, -c), min(half + 1, x.size - c))
        terms = x[c + k] * w[half + k] * np.exp(-2j * np.pi * (frequency * k + slope * k**2 / 2))
        out[:, p] = terms.sum(), terms @ k, terms @ k.astype(float) ** 2
