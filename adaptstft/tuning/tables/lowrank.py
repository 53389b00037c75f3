"""Transforms with windows per bin, approximated from those of a few window lengths.

Windows of all lengths in a range nearly lie in a space of few dimensions: a window of any length is, to a
stated accuracy, a combination of windows of some *skeleton* lengths, which a pivoted QR decomposition picks [1]_.
Their transforms are ordinary ones, computed once for a signal and positions; after that the transform of any
lengths takes a multiplication and addition for each bin and skeleton length, and no FFT.

References
----------
.. [1] H. Cheng, Z. Gimbutas, P. G. Martinsson, V. Rokhlin, "On the compression of low rank matrices",
   SIAM J. Sci. Comput. 26(4), 2005.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.ndimage import spline_filter1d

from adaptstft.common.threads import run_blocks
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.bins import BinSpectra, bin_scales
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan

#: Size above which basis transforms are not kept.
MOST_BYTES = 1 << 30
#: Size of a block for each element of the blocks of ordinary transforms.
_ELEMENT_BYTES = 32
#: Points of the first grid for each factor e of window lengths.
_PER_NEPER = 120
_REFINEMENTS = 3
#: Points between a window's centre and its end are no further apart than this part of either.
_PER_WINDOW = 128
_BEYOND = 12
#: Part of the accuracy that the skeleton may use up; the rest is for interpolation between lengths.
_SHARE = 0.9
#: More skeleton lengths than this gain nothing over the exact sums.
MOST_RANK = 400
#: From this accuracy on, basis transforms are kept in single precision.
_SINGLE = 1e-5


@dataclass(frozen=True)
class WindowBasis:
    """Skeleton lengths, and how windows of other lengths are combined from theirs.

    Attributes
    ----------
    lengths : ndarray of float64, shape (rank,)
        The skeleton lengths in samples.
    first, step : float
        Logarithm of the first length of a grid, and its step.
    table : ndarray of float64, shape (grid, rank)
        Coefficients of cubic B-splines in the log length, for each skeleton length.
    error : float
        Largest relative error found between the points of the grid.
    """

    lengths: Float64Array
    first: float
    step: float
    table: Float64Array
    error: float


def _distances(shortest: float, longest: float) -> tuple[Float64Array, Float64Array]:
    """Distances from a centre, denser near it, and the root of what each stands for."""
    # samples may lie anywhere between those at integer times, and few points are combined exactly by as many windows
    step = min(0.5, shortest / _PER_WINDOW)
    points = [0.0]
    while points[-1] < longest / 2:
        points.append(points[-1] + max(step, points[-1] / _PER_WINDOW))
    d = np.array(points)
    return d, np.sqrt(np.gradient(d))


def _columns(plan: FramePlan, lengths: Float64Array, d: Float64Array, root: Float64Array) -> Float64Array:
    """Scaled windows of all lengths at the distances, one a column, weighted for inner products."""
    u = d[:, None] / lengths
    values = np.where(u < 0.5, plan.window(np.minimum(u, 0.5 - 1e-15)), 0.0)
    scale = plan.kernels.to_host(bin_scales(plan, plan.kernels.asarray(lengths), gradient=False, shape=False).value)
    return np.asarray(values * scale * root[:, None])


def window_basis(plan: FramePlan, bounds: tuple[float, float], accuracy: float) -> WindowBasis | None:
    """Find skeleton lengths from which all windows within `bounds` are combined to a relative accuracy.

    None if too many would be needed.
    """
    low, high = bounds
    span = max(float(np.log(high / low)), 1e-3)
    density = _PER_NEPER
    basis = None
    for _ in range(_REFINEMENTS):
        basis = _basis_on_grid(plan, low, span, max(int(np.ceil(span * density)), 8), _SHARE * accuracy)
        if basis is None or basis.error <= accuracy:
            return basis
        density *= 2
    return None


def _basis_on_grid(plan: FramePlan, low: float, span: float, count: int, tolerance: float) -> WindowBasis | None:
    step = span / count
    # splines need room beyond the bounds
    first = max(np.log(low) - _BEYOND * step, 0.0)
    grid = np.arange(int(np.ceil((np.log(low) + span - first) / step)) + 1 + _BEYOND) * step + first
    d, root = _distances(float(np.exp(grid[0])), float(np.exp(grid[-1])))
    W = _columns(plan, np.exp(grid), d, root)
    norms = np.linalg.norm(W, axis=0)
    r, order = qr(W / norms, mode="r", pivoting=True)
    missed = np.sqrt(np.maximum(np.cumsum((r**2)[::-1], axis=0)[::-1], 0.0)).max(axis=1)
    rank = int(np.argmax(missed <= tolerance)) if np.any(missed <= tolerance) else r.shape[0]
    if rank > min(MOST_RANK, count // 2):
        return None
    rank = max(rank, 1)
    coefficients = np.empty((rank, grid.size))
    coefficients[:, order] = np.hstack([np.eye(rank), solve_triangular(r[:rank, :rank], r[:rank, rank:])])
    chosen = order[:rank]
    coefficients *= norms / norms[chosen][:, None]
    table = np.ascontiguousarray(spline_filter1d(coefficients, 3, axis=1, mode="mirror").T)
    middle = np.log(low) + (np.arange(count) + 0.5) * step
    exact = _columns(plan, np.exp(middle), d, root)
    found = W[:, chosen] @ _combine(table, first, step, middle).T
    error = float((np.linalg.norm(found - exact, axis=0) / np.linalg.norm(exact, axis=0)).max())
    return WindowBasis(np.exp(grid[chosen]), float(first), step, table, error)


def _combine(table: Float64Array, first: float, step: float, log_length: Float64Array) -> Float64Array:
    """Coefficients at log lengths, shape (lengths, rank)."""
    place = (log_length - first) / step
    cell = np.clip(np.floor(place).astype(int), 1, len(table) - 3)
    t = (place - cell)[:, None]
    weights = ((1 - t) ** 3 / 6, 2 / 3 - t**2 + t**3 / 2, 2 / 3 - (1 - t) ** 2 + (1 - t) ** 3 / 2, t**3 / 6)
    return np.asarray(sum(w * table[cell + j - 1] for j, w in enumerate(weights)))


def _is_single(x: AnyArray, accuracy: float) -> bool:
    return bool(accuracy >= _SINGLE or x.real.dtype == np.float32)


def frame_bytes(plan: FramePlan, x: AnyArray, basis: WindowBasis, accuracy: float) -> int:
    """Bytes that the basis transforms of a frame take."""
    return int(2 * basis.lengths.size * x.shape[0] * plan.f_pts * (4 if _is_single(x, accuracy) else 8))


class BasisTransforms:
    """Transforms of a signal with the skeleton lengths, and those of any lengths made from them."""

    def __init__(
        self, plan: FramePlan, x: AnyArray, positions: Float64Array, basis: WindowBasis, accuracy: float
    ) -> None:
        self.plan, self.x, self.positions, self.basis = plan, x, positions, basis
        self.dtype: Any = np.dtype(np.float32 if _is_single(x, accuracy) else np.float64)
        self.table = plan.kernels.asarray(basis.table, self.dtype)
        per_frame = frame_bytes(plan, x, basis, accuracy)
        size = max(1, _ELEMENT_BYTES * plan.kernels.BLOCK_ELEMENTS // per_frame)
        self.parts = [slice(b, min(b + size, positions.size)) for b in range(0, positions.size, size)]
        self.kept: list[AnyArray] | None = None
        if per_frame * positions.size <= MOST_BYTES:
            kept: list[Any] = [None] * len(self.parts)

            def work(i: int) -> None:
                kept[i] = self._make(self.parts[i])

            run_blocks(len(self.parts), work, plan.threads)
            self.kept = kept

    @property
    def rank(self) -> int:
        """Number of skeleton lengths."""
        return self.basis.lengths.size

    def _make(self, part: slice) -> AnyArray:
        """Basis transforms of a block, shape (channels, frames, f_pts, 2, rank)."""
        plan = self.plan.single()
        positions = self.positions[part]
        out: AnyArray = plan.kernels.empty_basis(self.x.shape[0], positions.size, plan.f_pts, self.rank, self.dtype)
        for j, length in enumerate(self.basis.lengths):
            frames = make_frames(
                np.full(positions.size, length), positions, mfft=plan.mfft, window_offset=plan.window_offset
            )
            S = forward(plan, self.x, frames)
            out[..., 0, j], out[..., 1, j] = S.real, S.imag
        return out

    def block(self, i: int) -> AnyArray:
        """Basis transforms of block `i`, kept or made again."""
        return self._make(self.parts[i]) if self.kept is None else self.kept[i]

    def spectra(self, win_length: Float64Array) -> BinSpectra:
        """Transform with window lengths `win_length`, shape (frames, f_pts), and its derivative in them."""
        kernels, channels = self.plan.kernels, self.x.shape[0]
        dtype: Any = np.complex64 if self.dtype == np.float32 else np.complex128
        out = kernels.xp.empty((2, channels, *win_length.shape), dtype)
        place = (np.log(win_length) - self.basis.first) / self.basis.step

        def work(i: int) -> None:
            part = self.parts[i]
            own = kernels.xp.empty((2, channels, *win_length[part].shape), dtype)
            kernels.combine_basis(self.block(i), self.table, place[part], own)
            own[1] /= kernels.asarray(win_length[part] * self.basis.step)
            out[:, :, part] = own

        run_blocks(len(self.parts), work, self.plan.threads)
        return BinSpectra(out[0], out[1])
