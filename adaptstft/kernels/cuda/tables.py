"""Tables of sums over a grid of window lengths, which are kept and read on the host."""

from __future__ import annotations

from typing import Any

from adaptstft.kernels.cpu import tables as _host
from adaptstft.kernels.cpu.tables import interpolate_cells, interpolate_frames
from adaptstft.kernels.cuda import arrays as _arrays

__all__ = ["add_cell_sums", "interpolate_cells", "interpolate_frames"]


def add_cell_sums(spectra: Any, exponents: Any, kinds: Any, units: Any, cell: Any, out: Any) -> None:
    """Add the terms of every bin, with ``E = |S|**2 / units``, to the cell of each frame in `out`.

    `spectra` has shape (frames, bins), `out` (sums, cells, bins); `units` has the shape of `spectra` or length one
    along an axis. All but `spectra` are arrays of the host.
    """
    _host.add_cell_sums(_arrays.to_host(spectra), exponents, kinds, units, cell, out)
