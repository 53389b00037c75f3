"""The best arrangement of frames on a grid of positions, from which a descent in positions can start."""

from __future__ import annotations

from typing import TypeAlias, cast

import numpy as np

from adaptstft.common.grids import GRID_RATIO, length_grid
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.tuning.log import Log
from adaptstft.tuning.problem import Layout
from adaptstft.tuning.tables.placement import Placement, place

#: A label, the length of each frame, and the positions of the frames, in samples.
Start: TypeAlias = tuple[str, Float64Array, Float64Array]


def place_frames(layout: Layout, log: Log, base: Float64Array, hop: float, positions: Float64Array) -> Start | None:
    """Return the best lengths and positions on a grid of positions, for scope ``"frame"``; None for other scopes."""
    problem, request = layout.problem, layout.problem.request
    additive = isinstance(request.criterion, Additive) and problem.scope == "frame"
    if request.hop_mode != "time" or problem.per_bin or not additive or positions.size < 2:
        return None
    lengths = base[:1]
    if request.window_mode == "time":
        lengths = length_grid(*layout.frame_bounds(hop), ratio=GRID_RATIO**2)
    elif np.ptp(base) > 0:  # lengths that are fixed frame by frame
        return None
    span = None if request.min_overlap is None else float(positions[-1])
    rules = Placement(request.n, positions.size, hop, problem.hop_range(hop), span, request.overlap)
    criterion = cast(Additive, problem.with_scope("frame"))
    plan = request.plan(layout.framing(hop, float(max(base.max(), lengths[-1]))).mfft)
    placed = place(plan, request.x, criterion, lengths, rules)
    log.nfev += lengths.size
    return None if placed is None else ("placed", *placed)
