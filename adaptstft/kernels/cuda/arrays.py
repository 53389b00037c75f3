"""Arrays and FFTs on a CUDA device, and launches of kernels.

CuPy allocates the arrays and computes the FFTs. Numba kernels are launched on CuPy's current stream, so that
they run in order with CuPy's own kernels. In Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``) NumPy and SciPy
replace CuPy.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numba import config, cuda

from adaptstft.common.typing import AnyArray

SIMULATED = bool(config.ENABLE_CUDASIM)
if SIMULATED:
    from scipy import fft as _fft

    xp: Any = np
else:
    import cupy
    from cupyx.scipy import fft as _fft

    xp = cupy

#: Elements of the FFT input for one block of frames: enough to occupy a device, and little of its memory.
BLOCK_ELEMENTS = 1 << 24
#: Samples in the halves of one block of frames, for windows that differ from bin to bin.
BLOCK_SAMPLES = 1 << 20
#: Threads of the host. A device runs one block of frames after the other, so more threads would wait.
WORKERS: int | None = 1

#: Threads in a CUDA block. The simulator starts one thread of the host for each of them.
_THREADS = 4 if SIMULATED else 256
#: Smallest number of CUDA blocks: Numba warns if a launch has fewer. Blocks without work end at once.
_LEAST_BLOCKS = 1 if SIMULATED else 128
#: Most CUDA blocks in each dimension of a grid; kernels loop if there are more rows or columns.
_MOST_BLOCKS = 2 if SIMULATED else 65535


def asarray(a: Any, dtype: Any = None) -> Any:
    """Return a contiguous array on the device; no copy if it is one."""
    return xp.ascontiguousarray(xp.asarray(a, dtype=dtype))


def to_host(a: Any) -> AnyArray:
    """Return a NumPy array; no copy if it is one."""
    return a if isinstance(a, np.ndarray) else cast(AnyArray, a.get())


def _irfft(spectra: Any, n: int, axis: int = -1, norm: str | None = None, overwrite_x: bool = False) -> Any:
    # pocketfft ignores the imaginary parts of these two bins; cuFFT may not for every length.
    real = spectra if overwrite_x else spectra.copy()
    real[..., 0] = real[..., 0].real
    if n % 2 == 0:
        real[..., n // 2] = real[..., n // 2].real
    return _fft.irfft(real, n=n, axis=axis, norm=norm, overwrite_x=True)


fft = SimpleNamespace(
    fft=_fft.fft, ifft=_fft.ifft, rfft=_fft.rfft, irfft=_irfft, fftshift=_fft.fftshift, ifftshift=_fft.ifftshift
)


def upload(*arrays: Any) -> list[Any]:
    """Copy the NumPy arrays among `arrays` to the device in one transfer, as float64 or int64."""
    host = [a for a in arrays if isinstance(a, np.ndarray)]
    if not host:
        return list(arrays)
    words = [np.ascontiguousarray(a, dtype=_word(a)).reshape(-1).view(np.int64) for a in host]
    packed = xp.asarray(np.concatenate(words))
    ends = iter(np.cumsum([a.size for a in host]).tolist())
    return [_unpack(packed, a, next(ends)) if isinstance(a, np.ndarray) else a for a in arrays]


def _word(a: AnyArray) -> Any:
    """Return the type in which an array is copied."""
    return np.float64 if a.dtype.kind == "f" else np.int64


def _unpack(packed: Any, a: AnyArray, end: int) -> Any:
    """Return the part of `packed` that is the copy of `a` and ends at word `end`."""
    return packed[end - a.size : end].view(_word(a)).reshape(a.shape)


def over_elements(kernel: Any, rows: int, columns: int, *arguments: Any) -> None:
    """Launch a kernel with one thread for each element of an output of `rows` rows and `columns` columns."""
    if rows and columns:
        high = min(rows, _MOST_BLOCKS)
        wide = min(-(-columns // _THREADS), _MOST_BLOCKS)
        _launch(kernel, (max(wide, -(-_LEAST_BLOCKS // high)), high), arguments)


def over_rows(kernel: Any, grid: tuple[int, int], out: Any, *arguments: Any) -> None:
    """Launch a kernel with one CUDA block for each (row, sum) of `grid`, and add the sums to `out`.

    `out` is an array on the device or on the host.
    """
    totals = xp.empty(out.shape)
    rows, sums = grid
    _launch(kernel, (max(min(rows, _MOST_BLOCKS), _LEAST_BLOCKS), sums), (*arguments, totals))
    out += to_host(totals) if isinstance(out, np.ndarray) else totals


def _launch(kernel: Any, grid: tuple[int, int], arguments: tuple[Any, ...]) -> None:
    # each thread has one float64 of shared memory, for sums over a block
    kernel[grid, (_THREADS, 1), _stream(), 8 * _THREADS](*[_view(a) for a in arguments])


def _view(a: Any) -> Any:
    # Numba would make this view itself, but would first wait until CuPy's stream is idle.
    return cuda.as_cuda_array(a, sync=False) if isinstance(a, xp.ndarray) and not SIMULATED else a


def _stream() -> Any:
    pointer = 0 if SIMULATED else xp.cuda.get_current_stream().ptr
    return cuda.external_stream(pointer) if pointer else 0
