"""NumPy kernels for windows that differ from bin to bin: one sum over the window support for each bin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, IntArray

if TYPE_CHECKING:
    from adaptstft.kernels.halves import Halves
    from adaptstft.windows import Window


def _half_index(halves: Halves, low: int, high: int) -> tuple[IntArray, Any]:
    """Return the sample indices of both halves, and a mask of those that are used in ``low <= n < high``."""
    i = np.arange(halves.width)
    index = np.array([halves.first[0][:, None] + i, halves.first[1][:, None] - i])
    inside = (index >= low) & (index < high)
    inside[1, halves.leads[0] == 0, 0] = False  # a sample on the centre belongs to the right half
    return index, inside


def split_halves(x: Float64Array, halves: Halves, right: Float64Array, left: Float64Array) -> None:
    """Write both halves of all frames to `right` and `left`, shape (channels, frames, width).

    A frame with a sample on its centre is folded: `right` gets the sums of both halves, and `left` the differences.
    """
    n = x.shape[-1]
    index, inside = _half_index(halves, 0, n)
    samples = np.where(inside, x[:, np.clip(index, 0, n - 1)], 0.0)
    right[...], left[...] = samples[:, 0], samples[:, 1]
    folded = halves.leads[0] == 0
    right[:, folded], left[:, folded] = (right + left)[:, folded], (right - left)[:, folded]


def join_halves(
    right: Float64Array, left: Float64Array, halves: Halves, low: int, folded: bool, out: Float64Array
) -> None:
    """Add the samples of both halves to `out`, a part of the signal, shape (channels, samples), from sample `low` on.

    If `folded` is True, frames with a sample on the centre have the sums and differences of `split_halves` in their
    rows, and this is its adjoint. Otherwise all rows are the samples of one half.
    """
    if folded:
        at = halves.leads[0][:, None] == 0
        right, left = np.where(at, right + left, right), np.where(at, right - left, left)
    index, inside = _half_index(halves, low, low + out.shape[-1])
    for half, rows in ((0, right), (1, left)):
        for p in range(index.shape[1]):
            use = inside[half, p]
            out[:, index[half, p, use] - low] += rows[:, p, use]


def _half_rows(
    window: Window, theta: Float64Array, lead: float, width: int, n_rows: int, *, left: bool
) -> Float64Array:
    """Return the rows of one half, shape (n_rows, bins, width); the support includes its left end only."""
    i = np.arange(width)
    distance = lead + i
    room = theta[:, None] / 2 - lead  # the same rounding as in the Numba backend
    inside = i <= room if left else i < room
    if left and lead == 0:
        inside[:, 0] = False
    u = np.minimum(distance / theta[:, None], 0.5) * (-1 if left else 1)
    w, dw, shapes = window.sample(u, slope=n_rows > 1, shape=n_rows > 3)
    rows = [w, dw * u, dw, *shapes][:n_rows] if n_rows > 1 else [w]
    return np.array([np.where(inside, row, 0.0) for row in rows])


def scale_sums(window: Window, theta: Float64Array, leads: Float64Array, n_rows: int, out: Float64Array) -> None:
    """Add the sums of the window samples, see the Numba backend."""
    width = int(theta.max() / 2) + 2
    for half in range(2):
        rows = _half_rows(window, theta, leads[half], width, n_rows, left=half == 1)
        _add_scale_sums(rows, out)


def _add_scale_sums(rows: Float64Array, out: Float64Array) -> None:
    """Add the sums of `scale_sums` over one half."""
    w = rows[0]
    out[:, 0] += w.sum(axis=1)
    out[:, 2] += (w**2).sum(axis=1)
    if len(rows) > 1:
        out[:, 1] += rows[1].sum(axis=1)
        out[:, 3] += (w * rows[1]).sum(axis=1)
    for j, row in enumerate(rows[3:]):
        out[:, 4 + 2 * j] += row.sum(axis=1)
        out[:, 5 + 2 * j] += (row * w).sum(axis=1)


def _phasors(bins: IntArray, width: int, table: Float64Array) -> AnyArray:
    """Return ``exp(2j pi k i / mfft)``, shape (bins, width)."""
    place = np.outer(bins, np.arange(width)) % table.shape[1]
    return np.asarray(table[0][place] + 1j * table[1][place])


def _turn(bins: IntArray, distance: float, mfft: int) -> AnyArray:
    """Return ``exp(-2j pi k distance / mfft)``; the integer part of ``k * distance`` is reduced modulo `mfft`."""
    whole = int(np.floor(distance))
    return np.asarray(np.exp(-2j * np.pi * ((bins * whole) % mfft + bins * (distance - whole)) / mfft))


def _plain_halves(right: Float64Array, left: Float64Array, folded: Any) -> tuple[Float64Array, Float64Array]:
    """Return the samples of both halves of one frame, unfolded if `folded`."""
    return ((right + left) / 2, (right - left) / 2) if folded else (right, left)


def bin_sums(
    window: Window,
    right: Float64Array,
    left: Float64Array,
    halves: Halves,
    theta: Float64Array,
    bins: IntArray,
    table: Float64Array,
    out: ComplexArray,
    scale_sums: Float64Array,
) -> None:
    """Write the sum of windowed samples times phasor of each bin, see the Numba backend."""
    width, mfft = right.shape[2], table.shape[1]
    waves = _phasors(bins, width, table)
    for p in range(theta.shape[0]):
        x = _plain_halves(right[:, p], left[:, p], halves.leads[0, p] == 0)
        out[:, :, p] = 0
        for half in range(2):
            rows = _half_rows(window, theta[p], halves.leads[half, p], width, len(out), left=half == 1)
            if scale_sums.size:
                _add_scale_sums(rows, scale_sums[p])
            turn = _turn(bins, halves.bases[half, p], mfft)
            out[:, :, p] += np.einsum("mqi,qi,ci->mcq", rows, waves.conj() if half == 0 else waves, x[half]) * turn


def bin_adjoint(
    window: Window,
    g: ComplexArray,
    halves: Halves,
    theta: Float64Array,
    bins: IntArray,
    table: Float64Array,
    right: Float64Array,
    left: Float64Array,
) -> None:
    """Add the adjoint of the first row of `bin_sums` to the halves, see the Numba backend."""
    width, mfft = right.shape[2], table.shape[1]
    waves = _phasors(bins, width, table)
    for p in range(theta.shape[0]):
        added = []
        for half in range(2):
            rows = _half_rows(window, theta[p], halves.leads[half, p], width, 1, left=half == 1)
            turned = g[:, p] * _turn(bins, -halves.bases[half, p], mfft)
            wave = waves if half == 0 else waves.conj()
            added.append(np.einsum("qi,qi,cq->ci", rows[0], wave, turned).real)
        folded = halves.leads[0, p] == 0
        right[:, p] += (added[0] + added[1]) / 2 if folded else added[0]
        left[:, p] += (added[0] - added[1]) / 2 if folded else added[1]


def bin_energy(
    window: Window, gain: Float64Array, halves: Halves, theta: Float64Array, right: Float64Array, left: Float64Array
) -> None:
    """Add ``gain[p, q] * omega**2`` of each bin to the halves of its frame; halves are not folded here."""
    for p in range(theta.shape[0]):
        for half, target in enumerate((right, left)):
            rows = _half_rows(window, theta[p], halves.leads[half, p], right.shape[1], 1, left=half == 1)
            target[p] += gain[p] @ rows[0] ** 2
