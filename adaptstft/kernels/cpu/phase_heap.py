"""Numba kernel of phase-gradient heap integration."""

from __future__ import annotations

import numpy as np

from adaptstft.kernels.cpu.jit import helper, kernel


@kernel
def integrate_phase(level, order, time_step, frequency_step, phase, known):  # type: ignore[no-untyped-def]
    """Integrate differences of the phase from bin to bin, through strong bins first; update `phase` and `known`.

    Arrays have shape (frames, bins). ``time_step[p, q]`` is the difference from frame ``p`` to frame ``p + 1``,
    shape (frames - 1, bins), and ``frequency_step[p, q]`` that from bin ``q`` to bin ``q + 1``, shape
    (frames, bins - 1). `order` lists the places of bins in the flat arrays. The first one that is not known keeps its
    phase; all bins that are connected with it through bins that are not known get theirs from a neighbour, the
    neighbours of a bin with a higher `level` first. Then the next one that is not known follows. Of equal levels the
    first place counts as the higher one.
    """
    frames, bins = level.shape
    heights = level.ravel()
    heap = np.empty(heights.size, np.int64)  # a bin enters it once
    for seed in order:
        if known[seed // bins, seed % bins]:
            continue
        known[seed // bins, seed % bins] = True
        size = _push(heap, 0, heights, seed)
        while size:
            place = heap[0]
            size = _pop(heap, size, heights)
            p, q = place // bins, place % bins
            start = phase[p, q]
            if p > 0 and not known[p - 1, q]:
                known[p - 1, q] = True
                phase[p - 1, q] = start - time_step[p - 1, q]
                size = _push(heap, size, heights, place - bins)
            if p < frames - 1 and not known[p + 1, q]:
                known[p + 1, q] = True
                phase[p + 1, q] = start + time_step[p, q]
                size = _push(heap, size, heights, place + bins)
            if q > 0 and not known[p, q - 1]:
                known[p, q - 1] = True
                phase[p, q - 1] = start - frequency_step[p, q - 1]
                size = _push(heap, size, heights, place - 1)
            if q < bins - 1 and not known[p, q + 1]:
                known[p, q + 1] = True
                phase[p, q + 1] = start + frequency_step[p, q]
                size = _push(heap, size, heights, place + 1)


@helper
def _before(heights, a, b):  # type: ignore[no-untyped-def]
    """Return True if place `a` leaves the heap before place `b`."""
    return heights[a] > heights[b] or (heights[a] == heights[b] and a < b)


@helper
def _push(heap, size, heights, place):  # type: ignore[no-untyped-def]
    """Add a place to the binary heap of `size` places; return the new size."""
    child = size
    while child > 0:
        parent = (child - 1) // 2
        if not _before(heights, place, heap[parent]):
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = place
    return size + 1


@helper
def _pop(heap, size, heights):  # type: ignore[no-untyped-def]
    """Remove the first place of the binary heap; return the new size."""
    size -= 1
    place, parent = heap[size], 0
    while 2 * parent + 1 < size:
        child = 2 * parent + 1
        if child + 1 < size and _before(heights, heap[child + 1], heap[child]):
            child += 1
        if not _before(heights, heap[child], place):
            break
        heap[parent] = heap[child]
        parent = child
    heap[parent] = place
    return size
