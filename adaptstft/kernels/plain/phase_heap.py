"""NumPy kernel of phase-gradient heap integration, in plain loops."""

from __future__ import annotations

from heapq import heappop, heappush

from adaptstft.common.typing import AnyArray, Float64Array


def integrate_phase(
    level: Float64Array,
    order: AnyArray,
    time_step: Float64Array,
    frequency_step: Float64Array,
    phase: Float64Array,
    known: AnyArray,
) -> None:
    """Integrate differences of the phase from bin to bin, through strong bins first; update `phase` and `known`.

    Arrays have shape (frames, bins). ``time_step[p, q]`` is the difference from frame ``p`` to frame ``p + 1``,
    shape (frames - 1, bins), and ``frequency_step[p, q]`` that from bin ``q`` to bin ``q + 1``, shape
    (frames, bins - 1). `order` lists the places of bins in the flat arrays. The first one that is not known keeps its
    phase; all bins that are connected with it through bins that are not known get theirs from a neighbour, the
    neighbours of a bin with a higher `level` first. Then the next one that is not known follows. Of equal levels the
    first place counts as the higher one.
    """
    frames, bins = level.shape
    heights, phases, done = level.ravel(), phase.ravel(), known.ravel()
    for seed in order:
        if done[seed]:
            continue
        done[seed] = True
        heap = [(-heights[seed], int(seed))]
        while heap:
            place = heappop(heap)[1]
            p, q = divmod(place, bins)
            neighbours = []
            if p > 0:
                neighbours.append((place - bins, -time_step[p - 1, q]))
            if p < frames - 1:
                neighbours.append((place + bins, time_step[p, q]))
            if q > 0:
                neighbours.append((place - 1, -frequency_step[p, q - 1]))
            if q < bins - 1:
                neighbours.append((place + 1, frequency_step[p, q]))
            for other, step in neighbours:
                if not done[other]:
                    done[other] = True
                    phases[other] = phases[place] + step
                    heappush(heap, (-heights[other], other))
