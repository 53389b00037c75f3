r"""The best window length of every frame, by dynamic programming over a table of sums.

A path of lengths :math:`\theta_p` minimises the criterion plus a penalty on changes,

.. math:: J(s(\theta)) + \sum_p w_p\, |\log\theta_{p+1} - \log\theta_p| ,

where :math:`s_p(\theta_p)` are the sums over frame :math:`p` (`adaptstft.tuning.tables.frame_sums`), under the
constraint that **window edges never move backwards**: neither :math:`t_p - \theta_p/2` nor :math:`t_p + \theta_p/2`
decreases with :math:`p`, that is :math:`|\theta_{p+1} - \theta_p| \le 2 (t_{p+1} - t_p)`. Then no window is inside its
neighbour, and no single frame can skip energy that its neighbours see.

A criterion that is a sum over frames is minimised exactly. Others are linearised in the sums, and the path for the
linear costs is exact. Steps towards such paths, in the sums and with a line search, are those of Frank and Wolfe [1]_.
The best of the paths is then improved in a band around it, on a finer grid: a path for the linear costs is taken if
the value falls; otherwise changes get a price.

References
----------
.. [1] M. Frank, P. Wolfe, "An algorithm for quadratic programming", Nav. Res. Logist. Q. 3, 1956.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np

from adaptstft.common.grids import length_grid
from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.criteria import Additive
from adaptstft.criteria.scopes import FrameView
from adaptstft.tuning.tables.end_sums import SumsWithEnds
from adaptstft.tuning.tables.frame_lengths import frame_terms

#: Steps of the fine grid in one hop (in the shortest window if that is less), and in one step of the coarse grid. A
#: change by two hops, the largest allowed, is two steps of the coarse grid; one if there are more than `_MOST_ENTRIES`
#: frames times states.
_FINE, _COARSE = 32, 32
_MOST_ENTRIES = 1 << 24
#: Half of the width of the band around a path that is improved, in fine steps.
_BAND = 40
#: Number of states times frames whose costs are computed at once, and up to which the origins of all paths are kept.
#: Beyond it they are kept for one block at a time, and computed twice.
_BLOCK, _MOST_KEPT = 1 << 20, 1 << 26
#: Number of sums of all frames at the coarse grid up to which they are kept.
_MOST_SUMS = 24 << 20
#: Number of frames up to which the search also starts from constant lengths.
_FEW = 100
#: Number of frames times coarse lengths up to which frames are also switched one by one.
_MOST_SWITCHES = 400
#: Most paths for linear costs, and the relative gain below which the search ends.
_MOST_PATHS, _LEAST_GAIN = 50, 1e-7
#: Steps of the line search.
_STEPS = np.append(np.geomspace(1 / 64, 1, 13), 0.0)


#: ``report(value, win_length)`` after every path returns whether to stop.
Report = Callable[[float, Float64Array], bool]


@dataclass(frozen=True)
class ChangePenalty:
    """Penalty on changes of the log length between neighbouring frames, and the limit of changes.

    Attributes
    ----------
    weight : ndarray, shape (frames - 1,)
        Weights of the changes.
    most : ndarray, shape (frames - 1,)
        Largest change of the length in samples; infinite without a limit.
    """

    weight: Float64Array
    most: Float64Array

    def value(self, log: Float64Array) -> float:
        """Return the penalty on a path of log lengths."""
        return float(self.weight @ np.abs(np.diff(log)))


@dataclass(frozen=True)
class LengthPath:
    """A path of window lengths, and its value on the table.

    Attributes
    ----------
    win_length : ndarray, shape (frames,)
        Window length of each frame in samples.
    value : float
        The objective.
    sums : ndarray, shape (statistics, frames)
        The sums of the frames in the table, without those that replace them at the ends.
    """

    win_length: Float64Array
    value: float
    sums: Float64Array


@dataclass(frozen=True)
class _Point:
    """A path as entries of the fine grid, its sums and its value."""

    places: IntArray
    sums: Float64Array
    value: float


@dataclass(frozen=True)
class _Grid:
    """The same places on the fine grid in every frame: the states of a dynamic programme."""

    places: IntArray

    @property
    def states(self) -> int:
        """Number of states of a frame."""
        return self.places.size

    def rows(self, _: slice) -> IntArray:
        """Return the places of some frames, shape (states,)."""
        return self.places

    def chosen(self, path: IntArray) -> IntArray:
        """Return the place of every frame for its state."""
        return np.asarray(self.places[path])


@dataclass(frozen=True)
class _Band:
    """Places around those of a path, at a price. They are computed for some frames at a time: frames may be many.

    Attributes
    ----------
    centre : ndarray of int, shape (frames,)
        Places of the path.
    log : ndarray
        Logarithms of the lengths of the fine grid.
    price : float
        Price of a change of the log length by one.
    """

    centre: IntArray
    log: Float64Array
    price: float
    offsets: ClassVar[IntArray] = np.arange(-_BAND, _BAND + 1)

    @property
    def states(self) -> int:
        """Number of states of a frame."""
        return self.offsets.size

    def rows(self, part: slice) -> IntArray:
        """Return the places of some frames, shape (frames, states)."""
        return np.asarray(np.clip(self.centre[part, None] + self.offsets, 0, self.log.size - 1))

    def prices(self, part: slice) -> Float64Array:
        """Return the prices of some frames, infinite beyond the ends of the grid."""
        places, centre = self.rows(part), self.centre[part, None]
        prices = self.price * np.abs(self.log[places] - self.log[centre])
        prices[centre + self.offsets != places] = np.inf
        return np.asarray(prices)

    def chosen(self, path: IntArray) -> IntArray:
        """Return the place of every frame for its state."""
        return np.asarray(np.clip(self.centre + self.offsets[path], 0, self.log.size - 1))


class PathSearch:
    """Search for the best path of lengths.

    Parameters
    ----------
    sums : SumsWithEnds
        The table.
    criterion : Additive
        The criterion to minimise.
    view : FrameView
        Positions and weights of the frames.
    count : float
        Number of bins of a frame.
    bounds : (float, float)
        Range of the lengths in samples.
    penalty : ChangePenalty
        Penalty on changes.
    kernels : module
        The backend, for the dynamic programme.
    """

    def __init__(
        self,
        sums: SumsWithEnds,
        criterion: Additive,
        view: FrameView,
        count: float,
        bounds: tuple[float, float],
        penalty: ChangePenalty,
        kernels: ModuleType,
    ) -> None:
        self.sums, self.criterion, self.view, self.penalty, self.kernels = sums, criterion, view, penalty, kernels
        self.counts = np.full(sums.frames, count)
        hop = float(np.median(np.diff(view.positions))) if sums.frames > 1 else bounds[0]
        steps = max(1, int(np.ceil((bounds[1] - bounds[0]) / min(hop, bounds[0]) * _FINE)))
        #: Lengths of the fine grid, from the lower to the upper bound.
        self.lengths = np.linspace(*bounds, steps + 1)
        self.log = np.log(self.lengths)
        step = (bounds[1] - bounds[0]) / steps
        self.reach = np.minimum(penalty.most / step + 1e-6, steps).astype(np.int64)
        every = _COARSE if steps / _COARSE * sums.frames <= _MOST_ENTRIES else 2 * _COARSE
        #: Sums at the coarse grid, by the first frame of a part and the one after its last.
        self._kept: dict[tuple[int, int], AnyArray] = {}
        #: Entries of the coarse grid.
        self.coarse = np.unique(np.append(np.arange(0, steps + 1, every), steps))

    def solve(self, start: Float64Array, report: Report) -> LengthPath:
        """Return the best path found; the search ends early if ``report(value, win_length)`` returns True."""
        best, stopped = self._search(self._start(start), report)
        best = best if stopped else self._improve(best, report)
        log = self.log[best.places]
        return LengthPath(self.lengths[best.places], best.value, self.sums.table.at(log[:, None])[..., 0])

    def _search(self, start: _Point, report: Report) -> tuple[_Point, bool]:
        """Return the best path on the coarse grid, and whether to stop."""
        if self.criterion.scope == "frame":
            return self._separate(start, report)
        best, stopped = self._frank_wolfe(start, report)
        if self.sums.frames > _FEW:
            return best, stopped
        # the share of one frame in the sums is too large for linear costs
        for length in length_grid(self.lengths[0], self.lengths[-1]):
            if not stopped:
                found, stopped = self._frank_wolfe(self._start(np.full(self.sums.frames, length)), report)
                best = min(best, found, key=lambda point: point.value)
        if not stopped and self.sums.frames * self.coarse.size <= _MOST_SWITCHES:
            best = self._switch_frames(best)
        return best, stopped

    def _separate(self, start: _Point, report: Report) -> tuple[_Point, bool]:
        """Return the best path of scope ``"frame"``, whose costs are exact but for their common factor."""
        best = start
        for _ in range(_MOST_PATHS):
            new = self._point(self._cheapest(self._costs(start.sums), _Grid(self.coarse)))
            best = min(best, new, key=lambda point: point.value)
            if report(best.value, self.lengths[best.places]):
                return best, True
            if np.array_equal(new.places, start.places):
                break
            start = new
        return best, False

    def _start(self, win_length: Float64Array) -> _Point:
        middle = (self.log[self.coarse][1:] + self.log[self.coarse][:-1]) / 2
        return self._point(self.coarse[np.searchsorted(middle, np.log(win_length))])

    def _point(self, chosen: IntArray) -> _Point:
        """Evaluate a path, given as entries of the fine grid."""
        sums = self.sums.at(self.log[chosen][:, None])[..., 0]
        return _Point(chosen, sums, self._criterion(sums) + self.penalty.value(self.log[chosen]))

    def _criterion(self, sums: Float64Array) -> float:
        return self.criterion.value(sums, self.counts, self.view)

    def _frank_wolfe(self, start: _Point, report: Report) -> tuple[_Point, bool]:
        """Return the best path that linear costs lead to, from sums that approach their optimum, and if to stop."""
        best, sums, penalty = start, start.sums, self.penalty.value(self.log[start.places])
        for _ in range(_MOST_PATHS):
            costs = self._linear(sums)
            new = self._point(self._cheapest(costs, _Grid(self.coarse)))
            best = min(best, new, key=lambda point: point.value)
            if report(best.value, self.lengths[best.places]):
                return best, True
            new_penalty = self.penalty.value(self.log[new.places])
            gap = costs.fall(sums, new.sums) + penalty - new_penalty
            values = [
                self._criterion(sums + s * (new.sums - sums)) + penalty + s * (new_penalty - penalty) for s in _STEPS
            ]
            step = _STEPS[int(np.argmin(values))]
            if step == 0 or gap <= _LEAST_GAIN * max(abs(best.value), 1.0):
                break
            sums, penalty = sums + step * (new.sums - sums), penalty + step * (new_penalty - penalty)
        return best, False

    def _improve(self, best: _Point, report: Report) -> _Point:
        """Improve a path within a band around it, as long as its value falls."""
        price = 0.0
        for _ in range(_MOST_PATHS):
            new = self._point(self._cheapest(self._costs(best.sums), _Band(best.places, self.log, price)))
            gain, least = best.value - new.value, _LEAST_GAIN * max(abs(best.value), 1.0)
            if gain > 0:
                best, price = new, price / 2
                if report(best.value, self.lengths[best.places]) or gain <= least:
                    break
            elif np.array_equal(new.places, best.places):
                break
            else:
                price = max(4 * price, least)
        return best

    def _switch_frames(self, best: _Point) -> _Point:
        """Switch one frame at a time to the best of all coarse lengths within reach of its neighbours."""
        for _ in range(_MOST_PATHS):
            before = best.value
            for frame in range(self.sums.frames):
                near = np.ones(self.coarse.size, dtype=bool)
                for other in (frame - 1, frame + 1):
                    if 0 <= other < self.sums.frames:
                        near &= np.abs(self.coarse - best.places[other]) <= self.reach[min(frame, other)]
                for place in self.coarse[near]:
                    trial = best.places.copy()
                    trial[frame] = place
                    best = min(best, self._point(trial), key=lambda point: point.value)
            if best.value >= before:
                break
        return best

    def _costs(self, sums: Float64Array) -> _LinearCosts | _FrameCosts:
        """Return costs of every frame and length for paths near some sums."""
        if self.criterion.scope == "frame":
            return _FrameCosts.at(self.criterion, sums, self.counts[0], self.view.weights / self.view.weights.sum())
        return self._linear(sums)

    def _linear(self, sums: Float64Array) -> _LinearCosts:
        return _LinearCosts(self.criterion.reduce(sums, self.counts, self.view).totals)

    def _cheapest(self, costs: _LinearCosts | _FrameCosts, grid: _Grid | _Band) -> IntArray:
        """Return the cheapest path as entries of the fine grid."""
        frames, states = self.sums.frames, grid.states
        size = max(2, _BLOCK // states)
        parts = [slice(first, min(first + size, frames)) for first in range(0, frames, size)]
        total, before, kept = np.zeros(states), [], []
        for part in parts:
            before.append(total.copy())
            previous = self._advance(costs, grid, part, total)
            if frames * states <= _MOST_KEPT:
                kept.append(previous)
        path = np.empty(frames, np.int64)
        state = int(total.argmin())
        for part in reversed(parts):
            previous = kept.pop() if kept else self._advance(costs, grid, part, before.pop())
            for p in range(part.stop - 1, part.start - 1, -1):
                path[p], state = state, previous[p - part.start, state]
        return grid.chosen(path)

    def _sums_at(self, grid: _Grid | _Band, part: slice) -> AnyArray:
        """Return the sums of some frames at all states; those of the coarse grid are kept for the next path."""
        if isinstance(grid, _Band):
            return self.sums.at(self.log[grid.rows(part)], part)
        place = (part.start, part.stop)
        found = self._kept.get(place)
        if found is None:
            found = self.sums.at(self.log[grid.rows(part)], part)
            if self.sums.frames * grid.states * len(found) <= _MOST_SUMS:
                self._kept[place] = found
        return found

    def _advance(
        self, costs: _LinearCosts | _FrameCosts, grid: _Grid | _Band, part: slice, total: Float64Array
    ) -> IntArray:
        """Extend the cheapest paths, which cost `total`, by the frames of a part; return the states they come from."""
        states, begin = total.size, part.start
        cost = costs.of(self._sums_at(grid, part), part)
        if isinstance(grid, _Band):
            cost = cost + grid.prices(part)
        previous = np.full(cost.shape, -1, np.int16 if states < 1 << 15 else np.int32)
        if begin == 0:
            total[:], begin = cost[0], 1
        moves = slice(begin - 1, part.stop - 1)
        near = np.broadcast_to(grid.rows(slice(begin - 1, part.stop)), (part.stop - begin + 1, states))
        self.kernels.advance_paths(
            np.ascontiguousarray(cost[begin - part.start :]),
            np.ascontiguousarray(near, np.int64),
            self.log,
            self.reach[moves],
            self.penalty.weight[moves],
            total,
            previous[begin - part.start :],
        )
        return previous


@dataclass(frozen=True)
class _LinearCosts:
    """Costs that are linear in the sums: the gradient of a criterion in the sums of each frame."""

    gradient: Float64Array

    def of(self, sums: Float64Array, part: slice) -> Float64Array:
        """Return the costs of some frames, shape (frames, lengths), from their sums at these lengths."""
        return np.asarray(np.einsum("kp,kpj->pj", self.gradient[:, part], sums))

    def fall(self, sums: Float64Array, others: Float64Array) -> float:
        """Return by how much the costs fall from the sums of all frames to others."""
        return float(np.sum(self.gradient * (sums - others)))


@dataclass(frozen=True)
class _FrameCosts:
    """Terms of the frames in a criterion of scope ``"frame"``, with their weights.

    The value is a function of the mean of the terms; its derivative is part of the weights.
    """

    criterion: Additive
    count: float
    weights: Float64Array

    @classmethod
    def at(cls, criterion: Additive, sums: Float64Array, count: float, weights: Float64Array) -> _FrameCosts:
        """Return the costs near the sums of all frames."""
        terms = frame_terms(criterion, sums, count)
        sounding = np.isfinite(terms)
        if not sounding.any():
            return cls(criterion, count, weights)
        mean = float(terms[sounding] @ weights[sounding] / weights[sounding].sum())
        return cls(criterion, count, abs(criterion.of_mean(abs(mean) or 1.0)[1]) * weights)

    def of(self, sums: Float64Array, part: slice) -> Float64Array:
        """Return the costs of some frames, shape (frames, lengths), zero where a frame is silent."""
        terms = frame_terms(self.criterion, sums.reshape(len(sums), -1), self.count)
        terms[np.isinf(terms)] = 0.0
        return np.asarray(terms.reshape(sums.shape[1:]) * self.weights[part, None])
