"""Compilation of the CUDA kernels with Numba, and the sum over a block of threads.

Signals, window rows, frames and spectra are arrays on the device. Arrays with one
entry for each frame, and smaller ones, may be on the host: each launch copies them in one
transfer, and sums over frames are returned to the side where `out` is.

Each output element has one thread, or one block of threads, that gathers all its terms,
so no result depends on the order in which threads run. The threads of a warp
work on neighbouring samples or bins of a frame, so that they read and write
whole lines of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from numba import cuda
from numba.cuda import jit  # in the simulator, `cuda` of this module stands for the launch under way

from adaptstft.kernels.cache import compile_cached
from adaptstft.kernels.cuda.arrays import SIMULATED

_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Compile a function that is launched from the host."""
    return cast(_Function, jit(function)) if SIMULATED else compile_cached(jit, function)


def device_function(function: _Function) -> _Function:
    """Compile a function that kernels call on the device."""
    return cast(_Function, _simulated(function) if SIMULATED else jit(device=True)(function))


def _simulated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a device function for the simulator.

    Numba's own replaces ``cuda`` in the module of the function during each call. The first thread of a block that
    returns puts it back, while the other threads still need the replacement.
    """
    if "cuda" not in function.__code__.co_names:
        return function
    from numba.cuda.simulator.kernel import _get_kernel_context

    @wraps(function)
    def call(*args: Any) -> Any:
        function.__globals__["cuda"] = _get_kernel_context()  # one for all threads: launches do not overlap
        return function(*args)

    return call


@device_function
def block_sum(value, shared):  # type: ignore[no-untyped-def]
    """Return the sum over the threads of a block, always added in the same order; `shared` is scratch memory."""
    t = cuda.threadIdx.x
    shared[t] = value
    cuda.syncthreads()
    half = cuda.blockDim.x // 2
    while half > 0:
        if t < half:
            shared[t] += shared[t + half]
        cuda.syncthreads()
        half //= 2
    total = shared[0]
    cuda.syncthreads()  # before `shared` is used again
    return total
