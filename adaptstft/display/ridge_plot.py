"""Ridges with their intervals over a spectrogram."""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft.common.optional import require
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.display.drawing import draw_spectrogram
from adaptstft.display.protocols import Transform

#: Colours of the ridges, which are seen on all colours of the spectrogram.
_COLOURS = ("tab:cyan", "tab:green", "white", "tab:blue")
#: Frequencies shown below and above the ridges, as a share of their range, and the least range in bins.
_MARGIN, _LEAST_BINS = 0.5, 24


def plot_ridges(
    ax: Any,
    sft: Transform,
    x: AnyArray,
    t: Float64Array,
    frequency: Float64Array,
    interval: Float64Array,
    orders: tuple[float, ...],
    confidence: float,
) -> Any:
    """Draw ridges (ridges, frames) and the bands of their intervals (ridges, frames, 2) over a spectrogram."""
    require("matplotlib", extra="plot")
    if ax is None:
        pyplot = require("matplotlib.pyplot", extra="plot")
        _, ax = pyplot.subplots(figsize=(7.5, 4.2), layout="constrained")
    if not hasattr(ax, "pcolormesh"):
        raise TypeError(f"ax must be one matplotlib Axes, got {ax!r}")
    mesh = draw_spectrogram(ax, sft, x, "")
    for j, (line, (low, high)) in enumerate(zip(frequency, np.moveaxis(interval, -1, 1), strict=True)):
        colour = _COLOURS[j % len(_COLOURS)]
        for order in orders:
            first = order == orders[0]
            known = np.isfinite(low) & np.isfinite(high)
            label = f"{100 * confidence:g} % interval" if first and j == 0 else None
            ax.fill_between(
                t, order * low, order * high, where=known, color=colour, alpha=0.35, linewidth=0, label=label
            )
            name = "frequency" if len(frequency) == 1 else f"ridge {j}"
            ax.plot(t, order * line, color=colour, linewidth=1.0, label=name if first else None)
    shown = np.outer(orders, frequency.ravel())
    margin = max(_MARGIN * float(np.ptp(shown)), _LEAST_BINS / 2 * sft.delta_f)
    lowest, highest = ax.get_ylim()
    ax.set_ylim(max(lowest, float(shown.min()) - margin), min(highest, float(shown.max()) + margin))
    ax.legend(loc="upper right", fontsize=8, facecolor="0.3", labelcolor="white", edgecolor="none")
    ax.figure.colorbar(mesh, ax=ax, label="dB relative to maximum", pad=0.02)
    return ax
