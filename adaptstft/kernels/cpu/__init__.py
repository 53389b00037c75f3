"""All that the Numba backend has: its arrays, and the kernels for frames and for bins."""

# ruff: noqa: F401
from adaptstft.kernels.cpu.bins import (
    bin_adjoint,
    bin_energy,
    bin_sums,
    combine_basis,
    empty_basis,
    join_halves,
    scale_sums,
    split_halves,
)
from adaptstft.kernels.cpu.frames import (
    bin_cotangent,
    cotangent,
    energy_cotangent,
    load_frames,
    overlap_add,
    phase_gradient,
    polynomial_rows,
    reduce_frames,
    reduce_rows,
    rotate,
    row_sums,
    statistics,
    statistics_and_cotangent,
    window_energy,
    window_rows,
)
from adaptstft.kernels.cpu.fused import tuned_frames, tuned_gradients
from adaptstft.kernels.host import BLOCK_ELEMENTS, BLOCK_SAMPLES, WORKERS, asarray, fft, to_host, xp
