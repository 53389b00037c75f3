"""Transforms with windows per bin, interpolated from transforms with a few window lengths.

The windows of all lengths in a range nearly span a space of low dimension. To a given accuracy, a window of any length
is a linear combination of windows of some *skeleton* lengths, which a pivoted QR decomposition selects [1]_. The
transforms with the skeleton lengths are computed once for a signal and its positions. The transform with any lengths
then needs one multiplication and addition for each bin and skeleton length, and no FFT.

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

#: Size in bytes above which basis transforms are not kept in memory.
MOST_BYTES = 1 << 30
#: Size of a block in bytes, divided by the number of elements of a block of ordinary transforms.
_ELEMENT_BYTES = 32
#: Grid points for each factor e of window lengths in the first grid, and number of grids, each twice as dense.
_PER_NEPER = 120
_REFINEMENTS = 3
#: Distances from the centre of a window: their spacing is at most the distance, and the window length, divided by this.
_PER_WINDOW = 128
#: Grid points beyond the range of lengths, for the splines.
_BEYOND = 12
#: Part of the accuracy for the combination of skeleton windows; the rest is for the interpolation between lengths.
_SHARE = 0.9
#: Number of skeleton lengths from which the exact sums are as fast.
MOST_RANK = 400
#: Accuracy from which basis transforms are kept in single precision.
_SINGLE = 1e-5


@dataclass(frozen=True)
class WindowBasis:
    """Skeleton lengths, and the coefficients with which their windows are combined to windows of other lengths.

    Attributes
    ----------
    lengths : ndarray of float64, shape (rank,)
        Skeleton lengths in samples.
    first, step : float
        Logarithm of the first length of the grid, and the step of the log length.
    table : ndarray of float64, shape (grid, rank)
        Coefficients of cubic B-splines in the log length; each spline is the weight of one skeleton window.
    error : float
        Largest relative error in the middle between grid points.
    """

    lengths: Float64Array
    first: float
    step: float
    table: Float64Array
    error: float


def _distances(shortest: float, longest: float) -> tuple[Float64Array, Float64Array]:
    """Distances from the centre of a window, denser near it, and the root of the interval that each one represents."""
    # Frames may be centred between samples: short windows need steps below 0.5. And with fewer points than windows
    # every combination would be exact.
    step = min(0.5, shortest / _PER_WINDOW)
    points = [0.0]
    while points[-1] < longest / 2:
        points.append(points[-1] + max(step, points[-1] / _PER_WINDOW))
    d = np.array(points)
    return d, np.sqrt(np.gradient(d))


def _columns(plan: FramePlan, lengths: Float64Array, d: Float64Array, root: Float64Array) -> Float64Array:
    """Scaled windows of all lengths at the distances, one in each column, weighted for inner products."""
    u = d[:, None] / lengths
    values = np.where(u < 0.5, plan.window(np.minimum(u, 0.5 - 1e-15)), 0.0)
    scale = plan.kernels.to_host(bin_scales(plan, plan.kernels.asarray(lengths), gradient=False, shape=False).value)
    return np.asarray(values * scale * root[:, None])


def window_basis(plan: FramePlan, bounds: tuple[float, float], accuracy: float) -> WindowBasis | None:
    """Find skeleton lengths whose windows combine to all windows within `bounds` with a relative accuracy.

    None if too many skeleton lengths are needed.
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
    """Find the basis on a grid of `count` steps over `span`, a range of log lengths from ``log(low)`` on."""
    step = span / count
    # splines need grid points beyond the bounds
    first = max(np.log(low) - _BEYOND * step, 0.0)
    grid = np.arange(int(np.ceil((np.log(low) + span - first) / step)) + 1 + _BEYOND) * step + first
    d, root = _distances(float(np.exp(grid[0])), float(np.exp(grid[-1])))
    columns = _columns(plan, np.exp(grid), d, root)
    norms = np.linalg.norm(columns, axis=0)
    upper, order = qr(columns / norms, mode="r", pivoting=True)
    residual = np.sqrt(np.maximum(np.cumsum((upper**2)[::-1], axis=0)[::-1], 0.0)).max(axis=1)
    rank = int(np.argmax(residual <= tolerance)) if np.any(residual <= tolerance) else upper.shape[0]
    if rank > min(MOST_RANK, count // 2):
        return None
    rank = max(rank, 1)
    coefficients = np.empty((rank, grid.size))
    coefficients[:, order] = np.hstack([np.eye(rank), solve_triangular(upper[:rank, :rank], upper[:rank, rank:])])
    chosen = order[:rank]
    coefficients *= norms / norms[chosen][:, None]
    table = np.ascontiguousarray(spline_filter1d(coefficients, 3, axis=1, mode="mirror").T)
    middle = np.log(low) + (np.arange(count) + 0.5) * step
    exact = _columns(plan, np.exp(middle), d, root)
    combined = columns[:, chosen] @ _combine(table, first, step, middle).T
    error = float((np.linalg.norm(combined - exact, axis=0) / np.linalg.norm(exact, axis=0)).max())
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
    """Size of the basis transforms of one frame in bytes."""
    return int(2 * basis.lengths.size * x.shape[0] * plan.f_pts * (4 if _is_single(x, accuracy) else 8))


class BasisTransforms:
    """Transforms of a signal with the skeleton lengths, and interpolation to transforms with any lengths.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    positions : ndarray, shape (frames,)
        Positions of the frames in samples.
    basis : WindowBasis
        Skeleton lengths and coefficients.
    accuracy : float
        Relative accuracy; it decides between single and double precision.
    """

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
        """Compute the basis transforms of a block, shape (channels, frames, f_pts, 2, rank)."""
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
        """Basis transforms of block `i`, from memory or computed again."""
        return self._make(self.parts[i]) if self.kept is None else self.kept[i]

    def spectra(self, win_length: Float64Array) -> BinSpectra:
        """Transform with window lengths `win_length`, shape (frames, f_pts), and its derivatives in them."""
        kernels, channels = self.plan.kernels, self.x.shape[0]
        dtype: Any = np.complex64 if self.dtype == np.float32 else np.complex128
        out = kernels.xp.empty((2, channels, *win_length.shape), dtype)
        place = (np.log(win_length) - self.basis.first) / self.basis.step

        def work(i: int) -> None:
            part = self.parts[i]
            block = kernels.xp.empty((2, channels, *win_length[part].shape), dtype)
            kernels.combine_basis(self.block(i), self.table, place[part], block)
            block[1] /= kernels.asarray(win_length[part] * self.basis.step)
            out[:, :, part] = block

        run_blocks(len(self.parts), work, self.plan.threads)
        return BinSpectra(out[0], out[1])
