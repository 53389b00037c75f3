"""Inner loops over frames, in one module per backend with the same functions.

``resolve(backend)`` is the one dispatch point; nothing outside this package
knows about Numba.  The conventions that all kernels share:

- frame ``b`` of a block takes ``count[b]`` samples of the signal from index
  ``start[b]`` on; sample ``i`` of it sits at ``u = (lead[b] + i) / theta[b]`` in
  the window and in column ``(offset[b] + i) % mfft`` of the FFT's input;
- samples outside the signal are zero;
- window rows may be given once for a whole block (one row) where all frames
  share them.

A module also says what its arrays are: ``xp`` is the library that makes them
and ``fft`` takes their FFTs, ``asarray`` and ``to_host`` convert NumPy arrays
to contiguous ones of that kind and back; ``BLOCK_ELEMENTS`` and ``BLOCK_SAMPLES``
are the sizes of the blocks that suit it (elements in single precision), ``WORKERS`` the number of threads (None
for as many as are asked for). Signals, window rows, frames and spectra are arrays
of `xp`, and with windows that differ from bin to bin so are halves of frames, sums,
scales and basis transforms; what has one entry a frame is in NumPy.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from adaptstft.common.device import is_device_array
from adaptstft.common.optional import require

BACKENDS = ("auto", "numba", "numpy", "cuda")


def resolve(backend: str) -> tuple[str, ModuleType]:
    """Return the name and the module of a backend; ``"auto"`` is Numba."""
    if backend in ("auto", "numba"):
        from adaptstft.kernels import cpu

        return "numba", cpu
    if backend == "numpy":
        from adaptstft.kernels import plain

        return "numpy", plain
    if backend == "cuda":
        return "cuda", _cuda_kernels()
    raise ValueError(f"unknown {backend=}; known are {list(BACKENDS)}")


def resolve_for(backend: str, name: str, array: Any) -> tuple[str, ModuleType]:
    """Resolve a backend for an argument: ``"auto"`` is CUDA for CuPy arrays, which no other backend takes."""
    if not is_device_array(array):
        return resolve(backend)
    if backend not in ("auto", "cuda"):
        raise TypeError(f"{name} is a CuPy array, which {backend=} does not take: use 'cuda', or pass {name}.get()")
    return resolve("cuda")


def _cuda_kernels() -> ModuleType:
    numba_cuda = require("numba.cuda", extra="cuda", package="numba-cuda")
    from numba import config

    if not config.ENABLE_CUDASIM:  # in Numba's simulator NumPy stands in for CuPy
        require("cupy", extra="cuda")
        if not numba_cuda.is_available():
            reason = " ".join(str(numba_cuda.cuda_error() or "").split())
            raise RuntimeError("backend='cuda' needs a CUDA device and its driver" + (f": {reason}" if reason else ""))
    from adaptstft.kernels import cuda

    return cuda
