"""One length of a grid for each frame: minimisation of the objective over a table of sums, without new transforms.

An additive criterion is a function of sums over each frame. A table holds these sums for every frame and every length
of a grid. From the table the objective of any choice of lengths follows without a transform, and its gradient in the
sums predicts the change by a switch of one frame to another length. Switches can leave local minima in which a descent
ends.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from adaptstft.common.best_path import AllMoves, best_path
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.penalties.evenness import Evenness
from adaptstft.tuning.tables.frame_lengths import frame_sums, frame_terms

#: Largest number of rounds of switches; most searches end after a dozen.
_MOST_ROUNDS = 100
#: Gain of a round, relative to the value, below which the search ends.
_LEAST_GAIN = 1e-5
#: Number of frames times lengths up to which every switch is evaluated: the share of one frame among a few is too large
#: for a prediction by the gradient.
_FEW = 1000


@dataclass(frozen=True)
class _Choice:
    """A choice of lengths and its objective.

    Attributes
    ----------
    chosen : ndarray of int, shape (frames,)
        Lengths of the frames, as indices.
    value : float
        The objective.
    by_totals : ndarray, shape (statistics, frames)
        Gradient in the sums over each frame.
    by_overlap : ndarray, shape (cells,), or None
        Gradient in the overlap in each cell; None without a penalty on uneven overlap.
    """

    chosen: AnyArray
    value: float
    by_totals: Float64Array
    by_overlap: Float64Array | None


class LengthTable:
    """Sums over each frame for every length of a grid.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Additive
        The criterion to minimise.
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    view : FrameView
        Positions and weights of the frames.
    smoothness : float, optional
        Weight of the mean absolute change of the log length between neighbouring frames.
    evenness : Evenness, optional
        Penalty on uneven overlap of the windows.
    evenness_weight : float, optional
        Weight of this penalty.
    """

    def __init__(
        self,
        plan: FramePlan,
        x: AnyArray,
        criterion: Additive,
        lengths: Float64Array,
        view: FrameView,
        smoothness: float = 0.0,
        evenness: Evenness | None = None,
        evenness_weight: float = 0.0,
    ) -> None:
        self.criterion, self.lengths, self.view = criterion, lengths, view
        log = np.log(lengths)
        #: Penalty on a change between neighbouring frames, for each pair of lengths.
        self.change_penalty = smoothness / max(view.positions.size - 1, 1) * np.abs(log[:, None] - log)
        x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)  # enough for a search
        positions = view.positions
        #: Sums over each frame, shape (statistics, frames, grid).
        self.totals = np.stack([frame_sums(plan, x, criterion, v, positions) for v in lengths], axis=-1)
        self.counts = np.full(positions.size, float(plan.f_pts * len(x)))
        self._frames = np.arange(positions.size)
        self.evenness, self.evenness_weight = evenness, evenness_weight
        #: Part of each frame in the overlap in each cell, (grid * frames, cells): the frames of the first length first.
        self.shares: sparse.csr_array | None = None
        if evenness is not None:
            shares = [evenness.shares(plan.window, np.full(positions.size, v), positions) for v in lengths]
            self.shares = sparse.vstack(shares, format="csr")

    def nearest(self, win_length: Float64Array) -> AnyArray:
        """Index of the grid length nearest to each of `win_length`, on a logarithmic scale."""
        middle = (np.log(self.lengths[1:]) + np.log(self.lengths[:-1])) / 2
        return np.searchsorted(middle, np.log(win_length))

    def value(self, chosen: AnyArray) -> float:
        """Objective of a choice of lengths, given as indices."""
        return self._evaluated(chosen).value

    def _evaluated(self, chosen: AnyArray) -> _Choice:
        reduction = self.criterion.reduce(self.totals[:, self._frames, chosen], self.counts, self.view)
        penalties, by_overlap = float(self.change_penalty[chosen[1:], chosen[:-1]].sum()), None
        if self.evenness is not None:
            overlap = np.asarray(self.chosen_shares(chosen).sum(axis=0))
            unevenness, gradient = self.evenness.penalty(overlap)
            penalties, by_overlap = penalties + self.evenness_weight * unevenness, self.evenness_weight * gradient
        return _Choice(chosen, reduction.value + penalties, reduction.totals, by_overlap)

    def chosen_shares(self, chosen: AnyArray) -> sparse.csr_array:
        """Part of each frame in the overlap in each cell, (frames, cells), with the chosen lengths."""
        assert self.shares is not None
        return self.shares[chosen * chosen.size + self._frames]

    def switched(self, chosen: AnyArray) -> tuple[AnyArray, float]:
        """Switch frames to other lengths as long as the objective decreases; return the choice and its value.

        Each round switches every frame for which the gradient predicts an improvement. If the total gets worse, the
        round is repeated with only those switches that have a larger predicted gain. With scope ``"frame"`` and no
        penalty on changes, each frame has its best length independently of the start.
        """
        if self.criterion.scope == "frame" and not self.change_penalty.any():
            chosen = self._best_of_frames(chosen)
            return chosen, self.value(chosen)
        current = self._evaluated(chosen)
        for _ in range(_MOST_ROUNDS):
            better = self._round(current)
            if better is None:
                break
            gain = current.value - better.value
            current = better
            if gain < _LEAST_GAIN * abs(current.value):
                break
        few = self.totals[0].size <= _FEW
        return self._one_by_one(current.chosen, current.value) if few else (current.chosen, current.value)

    def _predicted(self, current: _Choice) -> Float64Array:
        """Predict the change of the objective by each switch of one frame, (frames, grid), from gradients."""
        change = np.einsum("kp,kpg->pg", current.by_totals, self.totals)
        if current.by_overlap is not None and self.shares is not None:
            change += (self.shares @ current.by_overlap).reshape(self.lengths.size, -1).T
        return np.asarray(change - change[self._frames, current.chosen][:, None])

    def _round(self, current: _Choice) -> _Choice | None:
        """Switch the frames that gain most together; None if no such switches decrease the objective."""
        change, smooth = self._predicted(current), self.change_penalty.any()
        threshold = 0.0  # least predicted gain of a switch
        while True:
            cost = change + threshold
            cost[self._frames, current.chosen] = 0.0
            trial = best_path(cost, AllMoves(self.change_penalty))[0] if smooth else cost.argmin(axis=1)
            moved = trial != current.chosen
            if not moved.any():
                return None
            choice = self._evaluated(trial)
            if choice.value < current.value:
                return choice
            gains = -change[self._frames, trial][moved]
            least = _LEAST_GAIN * abs(current.value) / moved.size
            threshold = max(2 * threshold, float(np.median(gains)), least)

    def _one_by_one(self, chosen: AnyArray, value: float) -> tuple[AnyArray, float]:
        """Switch single frames until no switch of a single frame improves the objective."""
        for _ in range(_MOST_ROUNDS):
            before = value
            for frame, length in itertools.product(self._frames, range(self.lengths.size)):
                trial = chosen.copy()
                trial[frame] = length
                total = self.value(trial)
                if total < value:
                    chosen, value = trial, total
            if before - value <= _LEAST_GAIN * abs(value):
                break
        return chosen, value

    def _best_of_frames(self, chosen: AnyArray) -> AnyArray:
        """Best length of each frame on its own; frames without energy keep their length."""
        terms = [frame_terms(self.criterion, totals, self.counts[0]) for totals in np.moveaxis(self.totals, -1, 0)]
        best = np.argmin(terms, axis=0)
        silent = np.all(np.isinf(terms), axis=0)
        return np.where(silent, chosen, best)
