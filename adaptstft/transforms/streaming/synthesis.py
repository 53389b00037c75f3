"""The inverse of a transform that arrives in blocks. It keeps only the sums that later slices contribute to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_inexact, check_finite, check_sample_range
from adaptstft.transforms.axes import check_axes, signal_to_public, spectra_to_channels
from adaptstft.transforms.streaming.interface import BlockTransform
from adaptstft.transforms.streaming.sources import common_dtype


class RunningSynthesis:
    """Overlap-add of slices, and the samples that no later slice contributes to.

    Parameters
    ----------
    transform : BlockTransform
        The transform.
    k0, k1 : int
        Range of samples to compute; None for `k1` is the end of the last slice.

    Attributes
    ----------
    p : int
        The next slice.
    """

    def __init__(self, transform: BlockTransform, k0: int, k1: int | None) -> None:
        self._transform, self._k0, self._k1 = transform, k0, k1
        self.p = transform.p_min
        self._low, self._reached = transform.covered(self.p, self.p + 1)
        self._check_range()
        self._contributing = transform.contributing(k0, k1)
        self._first = k0  # first sample of the sums
        self._out: AnyArray | None = None
        self._overlap: Float64Array = np.zeros(0)
        self._peak = 0.0

    def _check_range(self) -> None:
        transform, k0, k1 = self._transform, self._k0, self._k1
        if transform.p_stop is not None:
            self._low, high = transform.covered(transform.p_min, transform.p_stop)
            check_sample_range(k0, high if k1 is None else k1, self._low, high, transform.p_stop - transform.p_min)
        elif not (self._low <= k0 and (k1 is None or k0 < k1)):
            raise ValueError(f"{k0=}, {k1=}: {self._low} <= k0 < k1 does not hold")
        transform.check_synthesis(k0, k1, None)

    def add(self, spectra: AnyArray) -> AnyArray | None:
        """Add the next slices, shape (channels, slices, f_pts), and return the samples that are now complete."""
        transform, p0, p1 = self._transform, self.p, self.p + spectra.shape[1]
        if transform.p_stop is not None and p1 > transform.p_stop:
            transform.check_synthesis(self._k0, self._k1, p1 - transform.p_min)
        self.p = p1
        self._reached = max(self._reached, transform.covered(p0, p1)[1])
        out = self._extended(spectra)
        first, last = self._contributing
        begin, end = max(p0, first), p1 if last is None else min(p1, last)
        if begin < end and out.shape[1]:
            transform.add_slices(spectra[:, begin - p0 : end - p0], begin, out, self._overlap, self._first)
            # the peak so far stands for that of the whole signal, as sums contain at least one whole window
            self._peak = max(self._peak, float(self._overlap.max()))
        start = transform.start(p1)
        return self._take(self._reached if start is None else start)

    def _extended(self, spectra: AnyArray) -> AnyArray:
        """Extend the sums with zeros to the end of the slices, but not beyond `k1`."""
        if self._out is None:
            self._out = np.zeros((len(spectra), 0), spectra.real.dtype if self._transform.onesided else spectra.dtype)
        stop = self._reached if self._k1 is None else min(self._reached, self._k1)
        more = max(0, stop - self._first - self._overlap.size)
        self._out = np.pad(self._out, ((0, 0), (0, more)))
        self._overlap = np.pad(self._overlap, (0, more))
        return self._out

    def _take(self, until: int) -> AnyArray | None:
        """Normalize the samples before `until` and remove them from the sums."""
        count = min(until - self._first, self._overlap.size)
        if self._out is None or count <= 0:
            return None
        piece, overlap = self._out[:, :count], self._overlap[:count]
        self._out, self._overlap = self._out[:, count:].copy(), self._overlap[count:].copy()
        self._transform.normalize(piece, overlap, self._first, self._peak)
        self._first += count
        return piece

    def rest(self) -> AnyArray | None:
        """Check that no slice is missing, and return the remaining samples."""
        p_num = self.p - self._transform.p_min
        if p_num == 0:
            raise ValueError("blocks is empty: at least one slice is needed")
        high = self._reached
        check_sample_range(self._k0, high if self._k1 is None else self._k1, self._low, high, p_num)
        self._transform.check_synthesis(self._k0, self._k1, p_num)
        return self._take(high)


def _has_no_slices(S: AnyArray, axes: tuple[int, int], f_pts: int) -> bool:
    """Return True for a block with the right number of frequencies and no slice, as the end of a division may be."""
    f_axis, t_axis = axes
    # callers need not be type-checked
    legal = all(isinstance(axis, int) and -S.ndim <= axis < S.ndim for axis in axes)  # type: ignore[redundant-expr]
    return legal and S.shape[t_axis] == 0 and S.shape[f_axis] == f_pts


def synthesize_blocks(
    synthesis: RunningSynthesis, blocks: Iterable[Any], axes: tuple[int, int], f_pts: int
) -> Iterator[AnyArray]:
    """Invert blocks with frequency and time on `axes`, and return the signal in pieces."""
    lead: tuple[int, ...] | None = None
    dtype: Any = None
    checked_axes = axes
    for i, block in enumerate(blocks):
        S = as_inexact(f"block {i} of blocks", block)
        if _has_no_slices(S, axes, f_pts):
            continue
        checked_axes = check_axes(S, *axes, f_pts)
        check_finite(f"block {i} of blocks, which begins with slice {synthesis.p},", S)
        spectra, block_lead = spectra_to_channels(S, *checked_axes)
        if lead is not None and block_lead != lead:
            raise ValueError(
                f"block {i} of blocks has shape {S.shape}: all blocks must have the same shape except along time"
            )
        lead, dtype = block_lead, common_dtype(f"block {i} of blocks", spectra, dtype)
        piece = synthesis.add(spectra.astype(dtype, copy=False))
        if piece is not None:
            yield signal_to_public(piece, lead, *checked_axes)
    piece = synthesis.rest()
    if piece is not None and lead is not None:
        yield signal_to_public(piece, lead, *checked_axes)
