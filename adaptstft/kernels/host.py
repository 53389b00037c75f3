"""Arrays and FFTs of the backends that run on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft

from adaptstft.common.threads import BLOCK_ELEMENTS
from adaptstft.common.typing import AnyArray

__all__ = ["BLOCK_ELEMENTS", "BLOCK_SAMPLES", "WORKERS", "asarray", "fft", "to_host", "xp"]

xp = np
#: Samples of the halves of one block's frames with windows per bin: they stay in a core's cache while all bins
#: pass over them.
BLOCK_SAMPLES = 1 << 15
WORKERS: int | None = None


def asarray(a: Any, dtype: Any = None) -> AnyArray:
    """Return a contiguous array; no copy if it is one."""
    return np.ascontiguousarray(a, dtype=dtype)


def to_host(a: AnyArray) -> AnyArray:
    """Return the array, which is on the host."""
    return a
