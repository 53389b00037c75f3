"""Parts of matplotlib that follow what is looked at: a spectrogram that is computed again, and ticks."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import allow_rasterization
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, MaxNLocator

from adaptstft.common.typing import Float64Array
from adaptstft.display.spectrogram import COLOURS, Cells, Source, View, cell_counts

#: Ratio of the cells that fit to the cells that are drawn, from which they are computed again.
_FINER = 1.25
#: Ratio of the ends of a logarithmic axis below which its ticks are evenly spaced.
_NEARLY_LINEAR = 4.0


class RoundLocator(LogLocator):  # type: ignore[misc, unused-ignore]
    """Round numbers on a logarithmic axis, also where only a small part of a decade is looked at."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Return the ticks between two limits."""
        low, high = sorted((vmin, vmax))
        if low > 0 and high < _NEARLY_LINEAR * low:
            return MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
        return super().tick_values(vmin, vmax)


class SpectrogramMesh(QuadMesh):  # type: ignore[misc, unused-ignore]
    """A mesh of cells whose levels belong to the present limits and size of its axes.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes with their limits; the mesh adds itself.
    source : Source
        The spectrogram.
    view : View
        Scale and colours.
    counts : (int, int)
        Number of columns and rows at first.
    peak : float, optional
        Power at 0 dB; by default the largest one that is shown at first.
    """

    def __init__(self, ax: Any, source: Source, view: View, counts: tuple[int, int], peak: float | None) -> None:
        self._source, self._view = source, view
        self._shown = self._limits(ax)
        self._counts = counts
        self._cells = source.cells(view, *self._shown, *counts)
        highest = float(self._cells.power.max())
        self._peak = (highest if peak is None else peak) or 1.0  # a thinned-out picture may miss all of the energy
        super().__init__(
            _corners(self._cells), cmap=COLOURS, norm=Normalize(-view.db, 0.0), rasterized=True, antialiased=False
        )
        self.set_array(self._levels())
        ax.add_collection(self, autolim=False)

    @property
    def peak(self) -> float:
        """Power at 0 dB."""
        return self._peak

    @peak.setter
    def peak(self, peak: float) -> None:
        self._peak = peak
        self.set_array(self._levels())

    @allow_rasterization  # type: ignore[untyped-decorator, unused-ignore]
    def draw(self, renderer: Any) -> None:
        """Draw the cells, after computing them again if other limits or much larger axes are looked at."""
        if self.get_visible():
            self._refresh()
        super().draw(renderer)

    def _refresh(self) -> None:
        shown, counts = self._limits(self.axes), cell_counts(self.axes)
        finer = any(now > _FINER * before for now, before in zip(counts, self._counts, strict=True))
        if shown == self._shown and not finer:
            return
        self._shown, self._counts = shown, counts
        self._cells = self._source.cells(self._view, *shown, *counts)
        self._coordinates = _corners(self._cells)
        self.set_array(self._levels())

    @staticmethod
    def _limits(ax: Any) -> tuple[tuple[float, float], tuple[float, float]]:
        (t0, t1), (f0, f1) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
        return (t0, t1), (f0, f1)

    def _levels(self) -> Float64Array:
        return np.asarray(10 * np.log10(np.maximum(self._cells.power / self._peak, 10 ** (-self._view.db / 10))))


def _corners(cells: Cells) -> Float64Array:
    return np.stack(np.meshgrid(cells.t_edges, cells.f_edges), axis=-1)
