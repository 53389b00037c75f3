"""Tables of sums over a grid of window lengths, which are kept and read on the host."""

from __future__ import annotations

from typing import Any

from adaptstft.kernels.cpu import tables as _host
from adaptstft.kernels.cpu.tables import interpolate_cells
from adaptstft.kernels.cuda import arrays as _arrays

__all__ = ["add_cell_sums", "interpolate_cells"]


def add_cell_sums(spectra: Any, stride: int, exponents: Any, logs: Any, cell: Any, out: Any) -> None:
    """Add ``E**a`` or ``E**a log E`` of every `stride`-th bin, with ``E = |S|**2``, to the cell of each frame in `out`.

    `spectra` has shape (frames, bins), `out` (sums, cells, every `stride`-th bin); `out` is an array of the host.
    """
    _host.add_cell_sums(_arrays.to_host(spectra), stride, exponents, logs, cell, out)
