"""Inner loops of the transforms, once for each backend: Numba (``cpu``), NumPy (``plain``) and CUDA (``cuda``).

`resolve` returns the module of a backend. The three modules export the same functions, with the same arguments
in the same order, so the engine runs on any of them without knowledge of Numba or CUDA. Each backend has these files:

``windows``
    Window polynomials at the samples of frames, and sums of window samples.
``frames``
    Between the signal and the FFT input: windowed frames, overlap-add, sums over the samples of a frame.
``spectra``
    Sums over the bins of each frame, their cotangents, and the rotation of phases.
``bins``
    Windows that differ from bin to bin: one sum of windowed samples for each bin, without an FFT.
``tables``
    Sums of cells of the time-frequency plane over a grid of window lengths, and the interpolation of these and of sums
    of frames, on the host.
``paths``
    The dynamic programme for window lengths that vary from frame to frame, on the host.
``frequencies``, ``ridge_loops``, ``phase_heap``
    Tracking, on the host: instantaneous frequencies and squeezing; paths and peaks of ridges; phases from magnitudes.
``fused`` (Numba), `adaptstft.kernels.composed` (other backends)
    Functions that do several of these steps in one pass, for value and gradient in tuning.

Conventions of all kernels:

- **Frames.** Frame ``b`` of a block has ``count[b]`` samples, the first is sample ``start[b]`` of the signal.
  Sample ``i`` of the frame is at ``u = (lead[b] + i) / theta[b]`` in the window, and in column
  ``(offset[b] + i) % mfft`` of the FFT input. Samples outside the signal are zero.
- **Windows.** Window rows have shape (frames, samples), or one row if all frames of a block have the same window;
  ``dw`` is the derivative of the window in ``u``. Scale factors are not part of the rows, but in ``scale``.
- **Phase.** The kernels do not choose the origin of the phase: the engine does, in `adaptstft.engine.frames`.
  Its integer part decides ``offset``, because the phase of an FFT counts from column 0. The remaining fraction of
  a sample is ``delta``, and `rotate` multiplies bin ``k`` by ``exp(2j pi k delta / mfft)``. The functions of
  ``bins`` get the distance of each half from the origin of the phase (`adaptstft.kernels.halves.Halves.bases`).
- **Energies.** ``E = gain * |S|**2 / units``, with a unit of energy for each frame. ``mirrored`` is True for a
  one-sided spectrum; its bins at zero and, for an ``even`` FFT length, at the Nyquist frequency have no mirror image
  and therefore no gain. Cotangents are ``dC/dRe S + 1j dC/dIm S``, with each stored bin counted once.
- **Results.** The caller allocates the output arrays, which are the last arguments. A docstring that begins with
  "Add" says that the output is accumulated; with "Write", that it is overwritten.

A module also defines its arrays: ``xp`` is the array library and ``fft`` its FFTs; ``asarray`` and ``to_host``
convert NumPy arrays to contiguous arrays of ``xp`` and back. ``BLOCK_ELEMENTS`` (elements of the FFT input, in single
precision) and ``BLOCK_SAMPLES`` (for windows that differ from bin to bin) are suitable sizes of a block of frames;
``WORKERS`` is the number of threads, None for the number that the caller sets. Signals, window rows, frames and
spectra are arrays of ``xp``; for windows that differ from bin to bin also halves of frames, sums, scales and basis
transforms. Arrays with one entry for each frame are NumPy arrays.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any, get_args

from adaptstft.common.device import is_device_array
from adaptstft.common.optional import require
from adaptstft.common.typing import Backend

BACKENDS: tuple[str, ...] = get_args(Backend)
_THREADS = "NUMBA_NUM_THREADS"


def resolve(backend: str) -> tuple[str, ModuleType]:
    """Return the name and the module of a backend; ``"auto"`` is Numba."""
    if backend in ("auto", "numba"):
        check_environment()
        from adaptstft.kernels import cpu

        return "numba", cpu
    if backend == "numpy":
        from adaptstft.kernels import plain

        return "numpy", plain
    if backend == "cuda":
        return "cuda", _cuda_kernels()
    raise ValueError(f"unknown {backend=}; known are {list(BACKENDS)}")


def check_environment() -> None:
    """Require a number of threads with which Numba can be imported; its own error does not name the variable."""
    value = os.environ.get(_THREADS, "1")
    try:
        legal = int(value) >= 1
    except ValueError:
        legal = False
    if not legal:
        raise ValueError(
            f"the environment variable {_THREADS}={value!r} must be a whole number of at least 1, or unset"
        )


def resolve_for(backend: str, name: str, array: Any) -> tuple[str, ModuleType]:
    """Return the name and the module of the backend for an argument: ``"auto"`` is CUDA for CuPy arrays."""
    if not is_device_array(array):
        return resolve(backend)
    if backend not in ("auto", "cuda"):
        raise TypeError(f"{name} is a CuPy array, which {backend=} does not take: use 'cuda', or pass {name}.get()")
    return resolve("cuda")


def _cuda_kernels() -> ModuleType:
    """Import the CUDA backend, or raise an error that says what is missing."""
    check_environment()
    numba_cuda = require("numba.cuda", extra="cuda", package="numba-cuda")
    from numba import config

    if not config.ENABLE_CUDASIM:  # in Numba's simulator NumPy replaces CuPy
        require("cupy", extra="cuda")
        if not numba_cuda.is_available():
            reason = " ".join(str(numba_cuda.cuda_error() or "").split())
            raise RuntimeError("backend='cuda' needs a CUDA device and its driver" + (f": {reason}" if reason else ""))
    from adaptstft.kernels import cuda

    return cuda
