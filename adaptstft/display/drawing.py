"""Spectrograms on the axes of matplotlib."""

from __future__ import annotations

from typing import Any

from adaptstft.common.optional import require
from adaptstft.common.typing import AnyArray
from adaptstft.display.spectrogram import Source, View, cell_counts, from_mel, to_mel


def draw_spectrogram(
    ax: Any, sft: Any, x: AnyArray, title: str, view: View | None = None, peak: float | None = None
) -> Any:
    """Draw a spectrogram in dB below its maximum, time in seconds and frequency in Hz.

    The picture has the resolution of the axes, and is computed again for the part that is looked at.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes to draw on.
    sft : Spectrograms
        The transform.
    x : ndarray
        The signal, time last; channels are averaged.
    title : str
        Title of the axes.
    view : View, optional
        Ranges, scale and colours.
    peak : float, optional
        Power at 0 dB; by default the largest one that is shown at first.

    Returns
    -------
    matplotlib QuadMesh
        The picture; its `peak` can be changed.
    """
    require("matplotlib", extra="plot")
    from adaptstft.display.mesh import SpectrogramMesh

    source, view = Source(sft, x), view or View()
    times, frequencies = source.limits(view)
    ax.set_xlim(*times)
    _set_scale(ax, view)
    ax.set_ylim(*frequencies)
    mesh = SpectrogramMesh(ax, source, view, cell_counts(ax), peak)
    ax.set(xlabel="time in s", ylabel="frequency in Hz", title=title)
    return mesh


def _set_scale(ax: Any, view: View) -> None:
    if view.yscale == "mel":
        ax.set_yscale("function", functions=(to_mel, from_mel))
    elif view.yscale == "log":
        ax.set_yscale("log")
        mark_round(ax.yaxis, (1.0, 2.0, 5.0))


def mark_round(axis: Any, steps: tuple[float, ...]) -> None:
    """Label round numbers of a logarithmic axis plainly, without labels at minor ticks, which would overlap."""
    ticker = require("matplotlib.ticker", extra="plot")
    from adaptstft.display.mesh import RoundLocator

    axis.set_major_locator(RoundLocator(subs=steps))
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
