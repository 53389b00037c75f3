"""A length of a grid for every frame: the objective itself, minimised over a table of transforms.

An additive criterion is a function of sums over each frame. Once these are known for every frame with every length of
a grid, the objective of any choice of lengths costs no further transform, and its slopes in the sums tell what a switch
of one frame to another length would change. Switches cross the barriers between local optima that a descent
stops at.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import sparse

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.scopes import FrameView, Reduction
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics
from adaptstft.tuning.penalties.evenness import Evenness

#: Rounds of switches at most; most searches end after a dozen.
_MOST_ROUNDS = 100
#: A round that gains less, relative to the value, is the last one.
_LEAST_GAIN = 1e-5
#: Up to this many frames times lengths every switch is tried: with few frames none is small enough for slopes to tell.
_FEW = 1000


class Table:
    """Sums over each frame for every length of a grid.

    Parameters
    ----------
    plan : Transform
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Additive
        What is minimised.
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    view : FrameView
        Positions and weights of the frames.
    smoothness : float, optional
        Weight of the mean absolute change of the log length between neighbouring frames.
    evenness : Evenness, optional
        What the price of windows that count the signal unevenly is taken from.
    evenness_weight : float, optional
        Weight of that price.
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
        self.price = smoothness / max(view.positions.size - 1, 1) * np.abs(log[:, None] - log)
        x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)  # enough for a search
        positions = view.positions
        sums = [
            statistics(
                plan, x, make_frames(np.full(positions.size, v), positions, mfft=plan.mfft), criterion.statistics
            )[0]
            for v in lengths
        ]
        self.totals = np.stack(sums, axis=-1)
        self.counts = np.full(positions.size, float(plan.f_pts * len(x)))
        self._frames = np.arange(positions.size)
        self.evenness, self.evenness_weight = evenness, evenness_weight
        #: Part of each frame in the overlap in each cell, (grid * frames, cells): the frames of the first length first.
        self.shares: sparse.csr_array | None = None
        if evenness is not None:
            shares = [evenness.shares(plan.window, np.full(positions.size, v), positions) for v in lengths]
            self.shares = sparse.vstack(shares, format="csr")

    def nearest(self, win_length: Float64Array) -> AnyArray:
        """Index of the length next to each of `win_length`, on a logarithmic scale."""
        middle = (np.log(self.lengths[1:]) + np.log(self.lengths[:-1])) / 2
        return np.searchsorted(middle, np.log(win_length))

    def value(self, chosen: AnyArray) -> float:
        """Objective of a choice, as indices of the lengths."""
        return self._reduced(chosen).value + self._prices(chosen)[0]

    def _reduced(self, chosen: AnyArray) -> Reduction:
        return self.criterion.reduce(self.totals[:, self._frames, chosen], self.counts, self.view)

    def _prices(self, chosen: AnyArray) -> tuple[float, Float64Array | None]:
        """Prices of changes between neighbours and of uneven overlap, and the latter's slope in each cell."""
        value, gradient = float(self.price[chosen[1:], chosen[:-1]].sum()), None
        if self.evenness is not None:
            uneven, gradient = self.evenness.price(np.asarray(self.chosen_shares(chosen).sum(axis=0)))
            value, gradient = value + self.evenness_weight * uneven, self.evenness_weight * gradient
        return value, gradient

    def chosen_shares(self, chosen: AnyArray) -> sparse.csr_array:
        """Part of each frame in the overlap in each cell, (frames, cells), with the lengths chosen."""
        assert self.shares is not None
        return self.shares[chosen * chosen.size + self._frames]

    def switched(self, chosen: AnyArray) -> tuple[AnyArray, float]:
        """Switch frames to other lengths as long as the objective falls; return the choice and its value.

        All frames are switched that would gain; if that is no gain together, those that would gain most, and so on.
        With scope ``"frame"`` and no price on changes each frame has its own best, wherever one begins.
        """
        smooth = bool(self.price.any())
        if self.criterion.scope == "frame" and not smooth:
            chosen = self._best_of_frames(chosen)
            return chosen, self.value(chosen)
        here = self._reduced(chosen)
        prices, gradient = self._prices(chosen)
        value = here.value + prices
        for _ in range(_MOST_ROUNDS):
            change = np.einsum("kp,kpg->pg", here.totals, self.totals)
            if gradient is not None and self.shares is not None:
                change += (self.shares @ gradient).reshape(self.lengths.size, -1).T
            change -= change[self._frames, chosen][:, None]
            trial, there, there_gradient, total = chosen, here, gradient, value
            threshold = 0.0  # what a switch has to gain at least
            while True:
                cost = change + threshold
                cost[self._frames, chosen] = 0.0
                trial = _cheapest_path(cost, self.price) if smooth else cost.argmin(axis=1)
                moved = trial != chosen
                if not moved.any():
                    break
                there = self._reduced(trial)
                prices, there_gradient = self._prices(trial)
                total = there.value + prices
                if total < value:
                    break
                gains = -change[self._frames, trial][moved]
                threshold = max(2 * threshold, float(np.median(gains)), _LEAST_GAIN * abs(value) / moved.size)
            if not moved.any():
                break
            gained = value - total
            chosen, here, gradient, value = trial, there, there_gradient, total
            if gained < _LEAST_GAIN * abs(value):
                break
        few = self.totals[0].size <= _FEW
        return self._one_by_one(chosen, value) if few else (chosen, value)

    def _one_by_one(self, chosen: AnyArray, value: float) -> tuple[AnyArray, float]:
        """Switch single frames until no other length of any of them is better."""
        for _ in range(_MOST_ROUNDS):
            before = value
            for frame, length in itertools.product(self._frames, range(self.lengths.size)):
                trial = chosen.copy()
                trial[frame] = length
                there = self.value(trial)
                if there < value:
                    chosen, value = trial, there
            if before - value <= _LEAST_GAIN * abs(value):
                break
        return chosen, value

    def _best_of_frames(self, chosen: AnyArray) -> AnyArray:
        terms = np.full(self.totals.shape[1:], np.inf)
        for g in range(self.lengths.size):
            alive = self.totals[0, :, g] > 0
            terms[alive, g] = self.criterion.frame_terms(self.totals[:, alive, g], self.counts[alive])
        silent = np.all(np.isinf(terms), axis=1)  # which keep what they have
        return np.where(silent, chosen, terms.argmin(axis=1))


def _cheapest_path(cost: Float64Array, price: Float64Array) -> AnyArray:
    """Length of every frame with the least sum of `cost`, (frames, grid), and `price` between neighbours."""
    total = cost[0]
    choices = np.zeros(cost.shape, dtype=np.int64)
    every = np.arange(len(price))
    for p in range(1, len(cost)):
        through = total + price
        choices[p] = through.argmin(axis=1)
        total = through[every, choices[p]] + cost[p]
    path = np.empty(len(cost), dtype=np.int64)
    path[-1] = total.argmin()
    for p in range(len(cost) - 1, 0, -1):
        path[p - 1] = choices[p, path[p]]
    return path
