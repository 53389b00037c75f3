"""Window lengths, hops and durations as text."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array


def count_things(things: Sized, name: str) -> str:
    """Return the number and the name of things, in the singular or plural."""
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def describe_window(window: Any) -> str:
    """Name of a window and its shape parameters."""
    if not window.shape:
        return str(window.name)
    return f"{window.name} ({', '.join(f'{v:.4g}' for v in window.shape)})"


def describe_lengths(win_length: Any, fs: float) -> str:
    """Window length in samples and seconds, or the range of several."""
    if np.ndim(win_length) == 0:
        return f"{win_length:.2f} samples = {describe_duration(win_length / fs)}"
    low, mid, high = np.quantile(win_length, [0, 0.5, 1])
    return f"{low:.1f} to {high:.1f} samples, median {mid:.1f} = {describe_duration(mid / fs)}"


def describe_hops(positions: Float64Array | None, hop: float | None, fs: float) -> str:
    """Time between frames in samples and seconds, or its range, and the number of frames if it is fixed."""
    frames = "" if positions is None else f"; {count_things(positions, 'frame')}"
    spacing = np.diff([] if positions is None else positions)
    if spacing.size and np.ptp(spacing) > 1e-9 * spacing.mean():
        return f"{spacing.min():.1f} to {spacing.max():.1f} samples, mean {spacing.mean():.1f}{frames}"
    if hop is None:
        hop = float(spacing.mean()) if spacing.size else 0.0
    return f"{hop:g} samples = {describe_duration(hop / fs)}{frames}"


def describe_span(seconds: float) -> str:
    """Length of recordings, which may be hours."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return describe_duration(seconds)


def describe_duration(seconds: float) -> str:
    """Time in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds / 1e-9:.4g} ns"
