"""The Numba backend: its arrays and its kernels."""

# ruff: noqa: F401
from adaptstft.kernels.cpu.bins import (
    bin_adjoint,
    bin_energy,
    bin_sums,
    join_halves,
    scale_sums,
    split_halves,
)
from adaptstft.kernels.cpu.chirps import chirp_sums
from adaptstft.kernels.cpu.frames import (
    energy_cotangent,
    load_frames,
    overlap_add,
    reduce_frames,
    reduce_rows,
    window_energy,
)
from adaptstft.kernels.cpu.frequencies import first_order_frequency, second_order_frequency, squeeze
from adaptstft.kernels.cpu.fused import load_frames_and_energy_gradient, window_gradient
from adaptstft.kernels.cpu.paths import advance_paths
from adaptstft.kernels.cpu.phase_heap import integrate_phase
from adaptstft.kernels.cpu.ridge_loops import frequency_sums, second_derivatives, strongest_path
from adaptstft.kernels.cpu.spectra import (
    bin_cotangent,
    cotangent,
    phase_gradient,
    rotate,
    statistics,
    statistics_and_cotangent,
)
from adaptstft.kernels.cpu.tables import add_cell_sums, interpolate_cells, interpolate_frames
from adaptstft.kernels.cpu.windows import (
    polynomial_rows,
    row_sums,
    window_rows,
)
from adaptstft.kernels.host import BLOCK_ELEMENTS, BLOCK_SAMPLES, WORKERS, asarray, fft, to_host, xp
