"""Arrays and FFTs of the backends that run on the host: NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft.common.threads import BLOCK_ELEMENTS
from adaptstft.common.typing import AnyArray
from adaptstft.kernels import host_fft as fft

__all__ = ["BLOCK_ELEMENTS", "BLOCK_SAMPLES", "WORKERS", "asarray", "fft", "to_host", "xp"]

xp = np
#: Samples in the halves of one block of frames, for windows that differ from bin to bin: few enough to stay in a
#: core's cache while the sums of all bins are computed.
BLOCK_SAMPLES = 1 << 17
#: Number of threads: None for the number that the caller sets.
WORKERS: int | None = None


def asarray(a: Any, dtype: Any = None) -> AnyArray:
    """Return a contiguous array, without a copy if `a` is contiguous."""
    return np.ascontiguousarray(a, dtype=dtype)


def to_host(a: AnyArray) -> AnyArray:
    """Return `a`, which is on the host."""
    return a
