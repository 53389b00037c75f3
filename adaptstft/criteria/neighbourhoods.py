"""Smooth neighbourhoods in time, and tiles in time and frequency, with weights for frames and bins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from adaptstft.common.typing import AnyArray, Float64Array, IntArray

#: Number of neighbourhoods in one width. With this many, the raised cosines add up to a constant.
_PER_WIDTH = 4
#: Number of samples whose energies are in memory.
_PIECE = 1 << 16


@dataclass(frozen=True)
class Neighbourhoods:
    """Smooth neighbourhoods in time, each with its share of the energy of the signal.

    Attributes
    ----------
    centres : ndarray, shape (groups,)
        Centres in samples, evenly spaced.
    width : float
        Support of the raised cosine ``cos(pi (t - centre) / width)**2`` in samples.
    energy : ndarray, shape (groups,)
        Share of the energy of the signal in each neighbourhood; the sum is one.
    """

    centres: Float64Array
    width: float
    energy: Float64Array

    @classmethod
    def of_signal(cls, x: AnyArray, width: float, first: float = 0.0) -> Neighbourhoods:
        """Make neighbourhoods for channels ``x``, shape (channels, n), whose first sample has the number `first`.

        They reach equally far over both ends, so that the reversed signal has the mirrored ones.
        """
        cells = EnergyCells(x.shape[-1], width, first)
        unit = max(float(np.abs(x).max(initial=0.0)), np.finfo(float).tiny)  # keeps the squares finite
        return cells.neighbourhoods([cells.sums(x, unit=unit)])

    def within(self, low: float, high: float) -> tuple[int, Neighbourhoods]:
        """Return the neighbourhoods that positions from `low` to `high` can be in, at least one, and their first."""
        first = int(np.searchsorted(self.centres, low - self.width / 2))
        first = min(max(first - 1, 0), self.centres.size - 1)
        part = slice(first, int(np.searchsorted(self.centres, high + self.width / 2)) + 1)
        return first, Neighbourhoods(self.centres[part], self.width, self.energy[part])

    def member(self, positions: Float64Array) -> sparse.csr_array:
        """Return the weight of each position in each neighbourhood, shape (groups, positions)."""
        return self._sparse(positions, lambda distance: np.cos(np.pi * distance) ** 2)[0]

    def weights(self, positions: Float64Array) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Return the weight of each position in each neighbourhood, shape (groups, positions), and its derivative."""
        member, moved = self._sparse(
            positions,
            lambda distance: np.cos(np.pi * distance) ** 2,
            lambda distance: -np.pi / self.width * np.sin(2 * np.pi * distance),
        )
        return member, moved

    def _sparse(
        self, positions: Float64Array, *functions: Callable[[Float64Array], Float64Array]
    ) -> list[sparse.csr_array]:
        """Return functions of the distance from the centres in widths, where it is within a neighbourhood."""
        step = self.width / _PER_WIDTH
        first = np.ceil((positions - self.width / 2 - self.centres[0]) / step).astype(np.int64)
        index = first + np.arange(_PER_WIDTH + 1)[:, None]
        distance = (positions - self.centres[0] - index * step) / self.width
        inside = (index >= 0) & (index < self.centres.size) & (np.abs(distance) < 0.5)
        # column by column, in which the rows are in order: nothing is sorted
        chosen, starts = inside.T, np.append(0, np.cumsum(inside.sum(axis=0)))
        rows, shape = index.T[chosen], (self.centres.size, positions.size)
        near = distance.T[chosen]
        return [sparse.csc_array((function(near), rows, starts), shape=shape).tocsr() for function in functions]

    def areas(self, n: int) -> Float64Array:
        """Return the share of each neighbourhood in the duration of a signal of `n` samples; positive."""
        middle = (self.centres[0] + self.centres[-1]) / 2
        ends = (np.array([[-0.5], [0.5]]) * n + middle - self.centres) / self.width
        low, high = np.clip(ends, -0.5, 0.5)
        # the integral of the raised cosine between the ends
        inside = (high - low) / 2 + (np.sin(2 * np.pi * high) - np.sin(2 * np.pi * low)) / (4 * np.pi)
        return np.asarray(np.maximum(inside / inside.sum(), np.finfo(float).tiny))

    def preconditioner(self, positions: Float64Array) -> Float64Array:
        """Return the root of the share of each frame in a local criterion, as a scale of the frame's variables.

        With it, the optimiser changes quiet frames as fast as loud ones.
        """
        share = np.asarray(self.weights(positions)[0].T @ self.energy)
        return np.asarray(np.sqrt(np.maximum(share / share.max(), 1e-3)))


@dataclass(frozen=True)
class EnergySums:
    """Sums over the cells that contain some samples; those of several stretches of a signal add up.

    Attributes
    ----------
    first : int
        Number of the first cell.
    sums : ndarray, shape (3, cells)
        Energy, and energy times the cosine and the sine of the place in a neighbourhood.
    """

    first: int
    sums: Float64Array


@dataclass(frozen=True)
class EnergyCells:
    """Cells between the centres of neighbourhoods, in which the energy of a signal is summed.

    A neighbourhood is the four cells around its centre, and ``cos(a)**2 = (1 + cos(2 a)) / 2``, so three sums over each
    cell are enough.

    Attributes
    ----------
    n : int
        Number of samples of the signal.
    width : float
        Width of a neighbourhood in samples.
    first : float
        Number of the first sample.
    """

    n: int
    width: float
    first: float = 0.0

    @property
    def _layout(self) -> tuple[float, int, float]:
        """Step, number of steps and first centre."""
        width = self.width
        step = width / _PER_WIDTH
        steps = int(np.ceil((self.n - 1) / step))
        return step, steps, self.first + (self.n - 1) / 2 - steps / 2 * step

    def _places(self, low: int, count: int) -> tuple[IntArray, Float64Array]:
        """Return the cell of each of `count` samples from `low` on, and its place in a neighbourhood as an angle."""
        step, steps, centre = self._layout
        number = self.first + np.arange(low, low + count) - centre
        cell = np.minimum((number / step).astype(np.int64), steps) + _PER_WIDTH // 2
        return cell, 2 * np.pi / self.width * number

    @property
    def _own(self) -> Float64Array:
        """The angle of the centre of each neighbourhood."""
        return np.asarray(2 * np.pi / _PER_WIDTH * np.arange(self._layout[1] + 1))

    def sums(self, x: AnyArray, low: int = 0, *, unit: float = 1.0) -> EnergySums:
        """Return the sums over channels ``x``, shape (channels, samples), from sample `low` on, divided by `unit`."""
        begin, end = (int(self._places(sample, 1)[0][0]) for sample in (low, low + x.shape[-1] - 1))
        sums = np.zeros((3, end - begin + 1))
        for first in range(0, x.shape[-1], _PIECE):
            piece = x[:, first : first + _PIECE]
            power, (cell, phase) = sample_power(piece, unit), self._places(low + first, piece.shape[-1])
            for row, weight in zip(sums, (power, power * np.cos(phase), power * np.sin(phase)), strict=True):
                row += np.bincount(cell - begin, weight, row.size)
        return EnergySums(begin, sums)

    def neighbourhoods(self, parts: Sequence[EnergySums]) -> Neighbourhoods:
        """Return the neighbourhoods with their shares of the energy, from the sums over all stretches."""
        step, steps, centre = self._layout
        total = np.zeros((3, steps + _PER_WIDTH))
        for part in parts:
            total[:, part.first : part.first + part.sums.shape[1]] += part.sums
        whole, cosine, sine = (np.convolve(row, np.ones(_PER_WIDTH), "valid") for row in total)
        energy = np.maximum(whole + np.cos(self._own) * cosine + np.sin(self._own) * sine, 0.0) / 2
        return Neighbourhoods(
            centre + np.arange(steps + 1) * step, self.width, energy / max(energy.sum(), np.finfo(float).tiny)
        )

    def adjoint(self, by_energy: Float64Array) -> Float64Array:
        """Return the derivative in the power of every sample, given that in the energy of each neighbourhood.

        It is the sum of the raised cosines, with these factors.
        """
        cell, phase = self._places(0, self.n)
        half, ones = by_energy / 2, np.ones(_PER_WIDTH)
        factors = (half, half * np.cos(self._own), half * np.sin(self._own))
        whole, cosine, sine = (np.convolve(row, ones)[cell] for row in factors)
        return np.asarray(whole + cosine * np.cos(phase) + sine * np.sin(phase))


def sample_power(x: AnyArray, unit: float) -> Float64Array:
    """Return the power of every sample of channels ``x``, shape (channels, n), in units of ``unit**2``."""
    return np.asarray(np.sum((x.real / unit).astype(float) ** 2 + (x.imag / unit).astype(float) ** 2, axis=0))


@dataclass(frozen=True)
class Tiles:
    """Neighbourhoods in time and frequency: each band of frequencies has all neighbourhoods in time.

    They take the frames once for each band, band after band: the sums over the bins of a band come first, and
    the sums over the frames of a neighbourhood second.

    Attributes
    ----------
    in_time : Neighbourhoods
        The neighbourhoods in time; their shares of energy are not used.
    bands : ndarray, shape (bands, f_pts)
        Weight of each bin in each band.
    energy : ndarray, shape (bands * groups,)
        Share of the energy of the signal in each tile; the sum is one.
    """

    in_time: Neighbourhoods
    bands: Float64Array
    energy: Float64Array

    @property
    def width(self) -> float:
        """Width in samples."""
        return self.in_time.width

    def areas(self, n: int) -> Float64Array:
        """Return the share of each tile in the plane, for a signal of `n` samples; in one row, and positive."""
        band = self.bands.sum(axis=1) / self.bands.sum()
        return np.asarray(np.maximum(np.outer(band, self.in_time.areas(n)).ravel(), np.finfo(float).tiny))

    def weights(self, positions: Float64Array) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Return weights and derivatives as `Neighbourhoods.weights`, for `positions` repeated for each band."""
        count = len(self.bands)
        member, gradient = self.in_time.weights(positions[: positions.size // count])
        return _block_diagonal(member, count), _block_diagonal(gradient, count)


def _block_diagonal(block: sparse.csr_array, count: int) -> sparse.csr_array:
    """Return a block-diagonal matrix of `count` equal blocks; `scipy.sparse.block_diag` is slower."""
    rows, columns = block.shape
    number = np.arange(count)[:, None]
    return sparse.csr_array(
        (
            np.tile(block.data, count),
            (block.indices + number * columns).ravel(),
            np.append((block.indptr[:-1] + number * block.nnz).ravel(), count * block.nnz),
        ),
        shape=(count * rows, count * columns),
    )
