"""Arrays on a CUDA device: CuPy holds them and takes their FFTs, and Numba's kernels are launched on them.

Launches go to CuPy's current stream, which orders them with CuPy's own work. In Numba's simulator
(``NUMBA_ENABLE_CUDASIM=1``) NumPy and SciPy stand in for CuPy.
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

#: Elements of the FFT's input for one block: enough to fill a device, little next to its memory.
BLOCK_ELEMENTS = 1 << 24
#: Samples of the halves of one block's frames with windows per bin.
BLOCK_SAMPLES = 1 << 20
#: A device runs one block after the other; further threads of the host would wait.
WORKERS: int | None = 1

#: Threads of a block. The simulator starts a thread of the host for every one of them.
_THREADS = 4 if SIMULATED else 256
#: Fewer blocks leave a device idle, which Numba warns of; those beyond the work end at once.
_LEAST_BLOCKS = 1 if SIMULATED else 128
#: Limit of either dimension of a grid; blocks stride over what is beyond.
_MOST_BLOCKS = 2 if SIMULATED else 65535


def asarray(a: Any, dtype: Any = None) -> Any:
    """Return a contiguous array on the device; no copy if it is one."""
    return xp.ascontiguousarray(xp.asarray(a, dtype=dtype))


def to_host(a: Any) -> AnyArray:
    """Return a NumPy array; no copy if it is one."""
    return a if isinstance(a, np.ndarray) else cast(AnyArray, a.get())


def _irfft(spectra: Any, n: int, axis: int = -1, norm: str | None = None) -> Any:
    # These bins count as real for pocketfft; of cuFFT that is not known for every length.
    real = spectra.copy()
    real[..., 0] = real[..., 0].real
    if n % 2 == 0:
        real[..., n // 2] = real[..., n // 2].real
    return _fft.irfft(real, n=n, axis=axis, norm=norm, overwrite_x=True)


fft = SimpleNamespace(
    fft=_fft.fft, ifft=_fft.ifft, rfft=_fft.rfft, irfft=_irfft, fftshift=_fft.fftshift, ifftshift=_fft.ifftshift
)


def upload(*arrays: Any) -> list[Any]:
    """Bring small arrays of numbers to the device as float64 or int64, those on the host in one transfer."""
    host = [a for a in arrays if isinstance(a, np.ndarray)]
    if not host:
        return list(arrays)
    words = [np.ascontiguousarray(a, dtype=_word(a)).reshape(-1).view(np.int64) for a in host]
    packed = xp.asarray(np.concatenate(words))
    ends = iter(np.cumsum([a.size for a in host]).tolist())
    return [_unpack(packed, a, next(ends)) if isinstance(a, np.ndarray) else a for a in arrays]


def _word(a: AnyArray) -> Any:
    return np.float64 if a.dtype.kind == "f" else np.int64


def _unpack(packed: Any, a: AnyArray, end: int) -> Any:
    return packed[end - a.size : end].view(_word(a)).reshape(a.shape)


def over_elements(kernel: Any, rows: int, columns: int, *arguments: Any) -> None:
    """Run one thread for each element of an output with `columns` neighbours in memory."""
    if rows and columns:
        high = min(rows, _MOST_BLOCKS)
        wide = min(-(-columns // _THREADS), _MOST_BLOCKS)
        _launch(kernel, (max(wide, -(-_LEAST_BLOCKS // high)), high), arguments)


def over_rows(kernel: Any, grid: tuple[int, int], out: Any, *arguments: Any) -> None:
    """Run one block for each row and sum, and add the sums to `out`, an array on the device or the host."""
    found = xp.empty(out.shape)
    rows, sums = grid
    _launch(kernel, (max(min(rows, _MOST_BLOCKS), _LEAST_BLOCKS), sums), (*arguments, found))
    out += to_host(found) if isinstance(out, np.ndarray) else found


def _launch(kernel: Any, grid: tuple[int, int], arguments: tuple[Any, ...]) -> None:
    # with a float64 of shared memory a thread, for sums over a block
    kernel[grid, (_THREADS, 1), _stream(), 8 * _THREADS](*[_view(a) for a in arguments])


def _view(a: Any) -> Any:
    # Numba makes such a view by itself, but waits for CuPy's stream to run dry first
    return cuda.as_cuda_array(a, sync=False) if isinstance(a, xp.ndarray) and not SIMULATED else a


def _stream() -> Any:
    pointer = 0 if SIMULATED else xp.cuda.get_current_stream().ptr
    return cuda.external_stream(pointer) if pointer else 0
