"""The transform of a signal that arrives in pieces. It keeps only the samples that later slices need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray
from adaptstft.common.validation import check_finite_stretch
from adaptstft.transforms.axes import spectra_to_public
from adaptstft.transforms.streaming.interface import BlockTransform

#: Largest number of entries of a block. It limits the memory for small hops and for many channels.
_ENTRIES = 1 << 20


class _RecentSamples:
    """Buffer of the latest samples of a signal, shape (channels, m).

    Attributes
    ----------
    first, stop : int
        Range of samples in the buffer.
    """

    def __init__(self, channels: int, dtype: Any) -> None:
        self.first = self.stop = 0
        self._buffer: AnyArray = np.empty((channels, 0), dtype)
        self._used = 0

    @property
    def samples(self) -> AnyArray:
        return self._buffer[:, self._used - (self.stop - self.first) : self._used]

    def append(self, piece: AnyArray) -> None:
        old, m = self.samples, piece.shape[1]
        if self._used + m > self._buffer.shape[1]:
            # twice the required size, so that tiny pieces do not copy the samples every time
            self._buffer = np.empty((len(old), 2 * (old.shape[1] + m)), old.dtype)
            self._used = old.shape[1]
            self._buffer[:, : self._used] = old
        self._buffer[:, self._used : self._used + m] = piece
        self._used += m
        self.stop += m

    def forget(self, before: int | None) -> None:
        """Drop the samples before sample `before`; None drops all."""
        self.first = self.stop if before is None else min(max(before, self.first), self.stop)


def analyze_pieces(transform: BlockTransform, pieces: Iterator[AnyArray], axis: int) -> Iterator[ComplexArray]:
    """Transform a signal given in pieces of shape (..., m), block by block, with frequency on `axis`."""
    recent: _RecentSamples | None = None
    lead: tuple[int, ...] = ()
    p, start = transform.p_min, transform.start(transform.p_min)
    for piece in pieces:
        if recent is None:
            lead = piece.shape[:-1]
            recent = _RecentSamples(int(np.prod(lead, dtype=int)), piece.dtype)
        channels = piece.reshape(-1, piece.shape[-1])
        check_finite_stretch("source", channels, recent.stop)
        recent.append(channels)
        transform.check_length(recent.stop, final=False)
        until = transform.complete(recent.stop)
        if until > p:
            yield from _blocks(transform, recent, p, until, lead, axis)
            p, start = until, transform.start(until)
        recent.forget(start)  # also without a new slice, as the next slice may begin much later
    if recent is None:
        raise ValueError("source is empty: at least one sample is needed")
    transform.check_length(recent.stop, final=True)
    yield from _blocks(transform, recent, p, transform.p_max(recent.stop), lead, axis)


def _blocks(
    transform: BlockTransform, recent: _RecentSamples, p0: int, p1: int, lead: tuple[int, ...], axis: int
) -> Iterator[ComplexArray]:
    """Transform the slices ``p0 <= p < p1``, whose samples are all in the buffer."""
    samples = recent.samples
    size = max(1, _ENTRIES // (len(samples) * transform.f_pts))
    axis %= len(lead) + 1  # a negative axis counts from the last axis of the signal, not of the transform
    for p in range(p0, p1, size):
        spectra = transform.analyze(samples, recent.first, p, min(p + size, p1))
        yield spectra_to_public(spectra, lead, axis)
