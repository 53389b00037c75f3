"""Inner loops over frames, in one module per backend with the same functions.

``resolve(backend)`` is the one dispatch point; nothing outside this package
knows about Numba.  The conventions that all kernels share:

- frame ``b`` of a block takes ``count[b]`` samples of the signal from index
  ``start[b]`` on; sample ``i`` of it sits at ``u = (lead[b] + i) / theta[b]`` in
  the window and in column ``(offset[b] + i) % mfft`` of the FFT's input;
- samples outside the signal are zero;
- window rows may be given once for a whole block (one row) where all frames
  share them.
"""

from __future__ import annotations

from types import ModuleType

BACKENDS = ("auto", "numba", "numpy")


def resolve(backend: str) -> tuple[str, ModuleType]:
    """Return the name and the module of a backend; ``"auto"`` is Numba."""
    if backend in ("auto", "numba"):
        from adaptstft.kernels import _numba

        return "numba", _numba
    if backend == "numpy":
        from adaptstft.kernels import _numpy

        return "numpy", _numpy
    raise ValueError(f"unknown {backend=}; known are {list(BACKENDS)}")
