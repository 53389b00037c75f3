"""The NumPy backend: its arrays and its kernels, a simple implementation with one frame after the other."""

# ruff: noqa: F401

from __future__ import annotations

import sys
from functools import partial

from adaptstft.kernels import composed as _composed
from adaptstft.kernels.host import BLOCK_ELEMENTS, BLOCK_SAMPLES, WORKERS, asarray, fft, to_host, xp
from adaptstft.kernels.plain.bins import (
    bin_adjoint,
    bin_energy,
    bin_sums,
    join_halves,
    scale_sums,
    split_halves,
)
from adaptstft.kernels.plain.chirps import chirp_sums
from adaptstft.kernels.plain.frames import (
    energy_cotangent,
    load_frames,
    overlap_add,
    reduce_frames,
    reduce_rows,
    window_energy,
)
from adaptstft.kernels.plain.frequencies import first_order_frequency, second_order_frequency, squeeze
from adaptstft.kernels.plain.paths import advance_paths
from adaptstft.kernels.plain.phase_heap import integrate_phase
from adaptstft.kernels.plain.ridge_loops import frequency_sums, second_derivatives, strongest_path
from adaptstft.kernels.plain.spectra import (
    bin_cotangent,
    cotangent,
    phase_gradient,
    rotate,
    statistics,
)
from adaptstft.kernels.plain.tables import add_cell_sums, interpolate_cells, interpolate_frames
from adaptstft.kernels.plain.windows import (
    polynomial_rows,
    row_sums,
    window_rows,
)

_MODULE = sys.modules[__name__]
load_frames_and_energy_gradient = partial(_composed.load_frames_and_energy_gradient, _MODULE)
statistics_and_cotangent = partial(_composed.statistics_and_cotangent, _MODULE)
window_gradient = partial(_composed.window_gradient, _MODULE)
