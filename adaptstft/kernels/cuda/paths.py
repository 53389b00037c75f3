"""The dynamic programme for window lengths, which runs on the host: each frame waits for the one before."""

from __future__ import annotations

from adaptstft.kernels.cpu.paths import advance_paths

__all__ = ["advance_paths"]
