"""Kernels that run on the host: loops whose steps wait for each other, and all kernels of tracking."""

from __future__ import annotations

from adaptstft.kernels.cpu.chirps import chirp_sums
from adaptstft.kernels.cpu.frequencies import first_order_frequency, second_order_frequency, squeeze
from adaptstft.kernels.cpu.paths import advance_paths
from adaptstft.kernels.cpu.phase_heap import integrate_phase
from adaptstft.kernels.cpu.ridge_loops import frequency_sums, second_derivatives, strongest_path

__all__ = [
    "advance_paths",
    "chirp_sums",
    "first_order_frequency",
    "frequency_sums",
    "integrate_phase",
    "second_derivatives",
    "second_order_frequency",
    "squeeze",
    "strongest_path",
]
