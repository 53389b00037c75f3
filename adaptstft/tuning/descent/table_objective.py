"""The comparable value of an objective from a table of the sums of every frame, without a transform."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.tables.frame_sums import FrameSums
from adaptstft.tuning.variables.state import State


@dataclass(frozen=True, kw_only=True)
class TableObjective(Objective):
    """An objective with a window length for each frame. What the table does not hold is evaluated exactly.

    Attributes
    ----------
    sums : FrameSums
        The table.
    positions : ndarray
        Positions of all frames in samples.
    kept : ndarray, shape (frames,)
        Those of the frames of the table: all of them, or every few if they are denser than the shortest window needs.
    mfft : int
        Length of the FFT.
    count : float
        Number of bins of a frame.
    """

    sums: FrameSums
    positions: Float64Array
    kept: Float64Array
    mfft: int
    count: float

    @classmethod
    def of(
        cls, objective: Objective, sums: FrameSums, positions: Float64Array, kept: Float64Array, count: float
    ) -> TableObjective:
        """Return the objective on a table of its transform."""
        return cls(**vars(objective), sums=sums, positions=positions, kept=kept, mfft=objective.plan.mfft, count=count)

    def comparable_value(self, state: State) -> float:
        """Return the criterion as an integral over time and frequency, near the exact one."""
        criterion, part = self.criterion, self._part(state)
        if not isinstance(criterion, Additive) or part is None:
            return super().comparable_value(state)
        log, view = np.log(part.win_length), self.measure.view(part, self.n, comparable=True)
        totals = self.sums.at(log[:, None])[..., 0]
        return criterion.value(totals, np.full(log.size, self.count), view)

    def _part(self, state: State) -> State | None:
        """Return the frames of a state that are in the table; None if its frames or lengths are others."""
        if self.plan.mfft != self.mfft or not np.array_equal(state.positions, self.positions):
            return None
        kept = np.isin(self.positions, self.kept)
        part = replace(state, win_length=state.win_length[kept], positions=self.kept, weights=state.weights[kept])
        low, high = np.exp(self.sums.log_lengths[[0, -1]] + (-1e-9, 1e-9))
        return part if part.win_length.min() >= low and part.win_length.max() <= high else None
