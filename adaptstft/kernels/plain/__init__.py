"""All that the NumPy backend has: its arrays, and the kernels for frames and for bins."""

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
    combine_basis,
    empty_basis,
    join_halves,
    scale_sums,
    split_halves,
)
from adaptstft.kernels.plain.frames import (
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
    window_energy,
    window_rows,
)

_HERE = sys.modules[__name__]
statistics_and_cotangent = partial(_composed.statistics_and_cotangent, _HERE)
tuned_frames = partial(_composed.tuned_frames, _HERE)
tuned_gradients = partial(_composed.tuned_gradients, _HERE)
