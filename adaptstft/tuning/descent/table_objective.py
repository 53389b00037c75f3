"""The comparable value of an objective from a table of the sums of every frame, without a transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.scopes import FrameView
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.tables.frame_sums import FrameSums
from adaptstft.tuning.tables.framing import counted_view
from adaptstft.tuning.variables.state import State


@dataclass(frozen=True, kw_only=True)
class TableObjective(Objective):
    """An objective with a window length for each frame. What the table does not hold is evaluated exactly.

    That is so for all states if the table has only every few of the frames: it was searched for the best lengths of
    these, and the others are slightly worse.

    Attributes
    ----------
    sums : FrameSums
        The table.
    positions : ndarray, shape (frames,)
        Positions of its frames in samples.
    mfft : int
        Length of the FFT.
    count : float
        Number of bins of a frame.
    """

    sums: FrameSums
    positions: Float64Array
    mfft: int
    count: float

    @classmethod
    def of(cls, objective: Objective, sums: FrameSums, positions: Float64Array, count: float) -> TableObjective:
        """Return the objective on a table of its transform."""
        return cls(**vars(objective), sums=sums, positions=positions, mfft=objective.plan.mfft, count=count)

    def comparable_value(self, state: State) -> float:
        """Return the criterion as an integral over time and frequency, near the exact one."""
        criterion, log = self.criterion, np.log(state.win_length)
        if not isinstance(criterion, Additive) or not self._holds(state, log):
            return super().comparable_value(state)
        totals = self.sums.at(log[:, None])[..., 0]
        return criterion.value(totals, np.full(log.size, self.count), self._view)

    @cached_property
    def _view(self) -> FrameView:
        """The weights of the frames, which depend on their positions only."""
        return counted_view(self.plan, self.criterion, self.positions, self.n, self.measure.neighbourhoods)

    def _holds(self, state: State, log: Float64Array) -> bool:
        low, high = self.sums.log_lengths[[0, -1]] + (-1e-9, 1e-9)
        inside = bool(log.min() >= low and log.max() <= high) and self.plan.mfft == self.mfft
        return inside and np.array_equal(state.positions, self.positions)
