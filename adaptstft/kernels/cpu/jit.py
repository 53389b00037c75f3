"""The Numba decorator of the CPU kernels.

Kernels are compiled on first use, cached on disk, and release Python's global
interpreter lock. They do not use ``parallel=True``: Numba's own threading layers
abort on concurrent calls (workqueue) or after a fork (OpenMP). The engine runs
them on blocks of frames instead, one thread for each block
(`adaptstft.common.threads`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Compile a function with Numba, with relaxed rounding of sums and products."""
    # Without "nnan" and "ninf": NaN and infinity keep their meaning.
    flags = {"nsz", "arcp", "contract", "afn", "reassoc"}
    compiled: Any = njit(nogil=True, cache=True, fastmath=flags, error_model="numpy")(function)
    return cast(_Function, compiled)
