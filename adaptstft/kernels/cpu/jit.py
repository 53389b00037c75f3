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

import numpy as np
from numba import njit, types
from numba.extending import overload, register_jitable

from adaptstft.kernels.cache import compile_cached

_Function = TypeVar("_Function", bound=Callable[..., Any])


#: Without "nnan" and "ninf": NaN and infinity keep their meaning.
_RELAXED = frozenset(("nsz", "arcp", "contract", "afn", "reassoc"))
_EXACT = frozenset(("contract",))


def kernel(function: _Function) -> _Function:
    """Compile a function with Numba, with relaxed rounding of sums and products."""
    return _compile(function, _RELAXED)


def exact_kernel(function: _Function) -> _Function:
    """Compile a function with Numba whose operations keep their order; a product and a sum may become one operation."""
    return _compile(function, _EXACT)


def helper(function: _Function) -> _Function:
    """Mark a function as a helper of kernels: Numba compiles it into them, with relaxed rounding, for no other caller.

    Code that converts the arguments of a call from Python is compiled with each kernel, and takes a sixth of the time
    of all; helpers have none. A call from Python runs the function itself, uncompiled.
    """
    return cast(_Function, register_jitable(**_options(_RELAXED))(function))


def exact_helper(function: _Function) -> _Function:
    """Mark a function as a helper of kernels whose operations keep their order."""
    return cast(_Function, register_jitable(**_options(_EXACT))(function))


def inlined_helper(function: _Function) -> _Function:
    """Mark a function as a helper of kernels whose code LLVM repeats wherever it is called."""
    return cast(_Function, register_jitable(**_options(_RELAXED), forceinline=True)(function))


def by_precision(single: _Function, double: _Function) -> _Function:
    """Return a function of one number for kernels, which calls one of two others by the precision of the number."""

    def choose(x):  # type: ignore[no-untyped-def]
        return (single if isinstance(x, np.float32) else double)(x)

    @overload(choose, jit_options=_options(_RELAXED))
    def chosen(x):  # type: ignore[no-untyped-def]
        return (lambda x: single(x)) if x == types.float32 else (lambda x: double(x))

    return cast(_Function, choose)


def _compile(function: _Function, fastmath: frozenset[str]) -> _Function:
    return compile_cached(njit, function, **_options(fastmath))


def _options(fastmath: frozenset[str]) -> dict[str, Any]:
    return {"nogil": True, "fastmath": set(fastmath), "error_model": "numpy", "no_cfunc_wrapper": True}
