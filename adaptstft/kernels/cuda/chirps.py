"""Short sums over a signal, which run on the host: each needs few samples."""

from __future__ import annotations

from adaptstft.kernels.cpu.chirps import chirp_sums

__all__ = ["chirp_sums"]
