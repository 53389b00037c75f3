"""The CUDA backend: its arrays and its kernels."""

# ruff: noqa: F401

from __future__ import annotations

import sys
from functools import partial

from adaptstft.kernels import composed as _composed
from adaptstft.kernels.cuda.arrays import BLOCK_ELEMENTS, BLOCK_SAMPLES, WORKERS, asarray, fft, to_host, xp
from adaptstft.kernels.cuda.bins import (
    bin_adjoint,
    bin_energy,
    bin_sums,
    join_halves,
    scale_sums,
    split_halves,
)
from adaptstft.kernels.cuda.frames import (
    energy_cotangent,
    load_frames,
    overlap_add,
    reduce_frames,
    reduce_rows,
    window_energy,
)
from adaptstft.kernels.cuda.on_host import (
    advance_paths,
    chirp_sums,
    first_order_frequency,
    frequency_sums,
    integrate_phase,
    second_derivatives,
    second_order_frequency,
    squeeze,
    strongest_path,
)
from adaptstft.kernels.cuda.spectra import (
    bin_cotangent,
    cotangent,
    phase_gradient,
    rotate,
    statistics,
)
from adaptstft.kernels.cuda.tables import add_cell_sums, interpolate_cells, interpolate_frames
from adaptstft.kernels.cuda.windows import (
    polynomial_rows,
    row_sums,
    window_rows,
)

_MODULE = sys.modules[__name__]
load_frames_and_energy_gradient = partial(_composed.load_frames_and_energy_gradient, _MODULE)
statistics_and_cotangent = partial(_composed.statistics_and_cotangent, _MODULE)
window_gradient = partial(_composed.window_gradient, _MODULE)
