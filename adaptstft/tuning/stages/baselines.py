"""Window lengths without a descent: what the literature compares with, in the frames and objective of `optimize`.

Every baseline only chooses lengths. The objective is then evaluated there as it is at the end of a descent, with the
same rules for hop, FFT length and neighbourhoods, so that ``area_fun`` can be compared between methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive, Criterion, Renyi
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import Sums
from adaptstft.engine.frames import TIED_HOP, make_frames
from adaptstft.engine.statistics import statistics
from adaptstft.tuning.options import integer_lengths
from adaptstft.tuning.stages.chirp_rate import balanced_length, measure_rates
from adaptstft.tuning.tables.survey import GRID_RATIO, length_grid

if TYPE_CHECKING:
    from adaptstft.tuning.stages.frames import Run, Tuner

#: Lengths of an exhaustive search that are evaluated once more with the precision of the result.
_SHORTLIST = 64


def search_constant(tuner: Tuner) -> Run:
    """Choose one length for the whole signal."""
    if tuner.r.method == "grid":
        length, text = _grid_constant(tuner)
    else:
        rates = measure_rates(to_host(tuner.r.x), tuner.r.win_bounds)
        length = float(np.clip(balanced_length(tuner.r.window, np.array(rates.typical())), *tuner.r.win_bounds))
        text = f"a chirp rate of {rates.typical() * tuner.r.fs**2:.4g} Hz/s"
    tuner.settle(length, text)
    return tuner.runs[-1]


def search_varying(tuner: Tuner, constant: Run) -> Run:
    """Choose a length for each frame, in the frames that a descent would have."""
    positions = constant.outcome.state.positions
    tuner.typical = tuner.typical_length(constant.outcome.state.win_length)
    low, high = tuner.frame_bounds(constant.hop)
    choose = {"grid": _grid_varying, "local-concentration": _most_concentrated, "chirp-rate": _by_chirp_rate}
    win_length, text = choose[tuner.r.method](tuner, positions, constant.hop, (low, high))
    tuner.settle_frames(np.clip(win_length, low, high), constant, text)
    return tuner.runs[-1]


def _grid_constant(tuner: Tuner) -> tuple[float, str]:
    r = tuner.r
    lengths = tuner.framed(integer_lengths(r.win_bounds, r.options.get("step", 1)))
    found = tuner.search(lengths, fraction=TIED_HOP)
    # The search is in single precision: of lengths that it cannot tell apart the result decides.
    best = lengths[np.argsort(found.values, kind="stable")[:_SHORTLIST]]
    values = [tuner.comparable(float(length)) for length in best]
    return float(best[np.argmin(values)]), f"the best of {lengths.size} integer lengths"


def _grid_varying(
    tuner: Tuner, positions: Float64Array, hop: float, bounds: tuple[float, float]
) -> tuple[Float64Array, str]:
    step = tuner.r.options.get("step", 1)
    lengths = integer_lengths(bounds, step) if np.ceil(bounds[0]) <= bounds[1] else np.array([bounds[1]])
    text = f"the best of {lengths.size} integer lengths"
    if tuner.scope == "frame":
        return _best_of_frames(tuner, positions, hop, lengths), f"{text} for every frame"
    hood = tuner.fine_neighbourhoods()
    best = _best_of_neighbourhoods(tuner, tuner.with_scope("local", hood), lengths, hood, positions)
    return best, f"{text} for every neighbourhood"


def _most_concentrated(
    tuner: Tuner, positions: Float64Array, hop: float, bounds: tuple[float, float]
) -> tuple[Float64Array, str]:
    r = tuner.r
    width = r.options.get("width")
    hood = tuner.fine_neighbourhoods() if width is None else tuner.neighbourhoods(width * r.fs)
    # the logarithm of sum |S|**4 / (sum |S|**2)**2, negated
    measure = Renyi(alpha=2, width=hood.width / r.fs)
    lengths = length_grid(*bounds, ratio=r.options.get("ratio", GRID_RATIO))
    text = f"the most concentrated of {lengths.size} lengths for every frame"
    return _best_of_neighbourhoods(tuner, measure, lengths, hood, positions), text


def _by_chirp_rate(
    tuner: Tuner, positions: Float64Array, hop: float, bounds: tuple[float, float]
) -> tuple[Float64Array, str]:
    rates = measure_rates(to_host(tuner.r.x), tuner.r.win_bounds).at(positions)
    low, high = (value * tuner.r.fs**2 for value in (rates.min(), rates.max()))
    return balanced_length(tuner.r.window, rates), f"chirp rates of {low:.4g} to {high:.4g} Hz/s"


def _best_of_neighbourhoods(
    tuner: Tuner, criterion: Criterion, lengths: Float64Array, hood: Neighbourhoods, positions: Float64Array
) -> Float64Array:
    """Best length of the neighbourhood next to every frame; silent ones follow those beside them."""
    found = tuner.search(lengths, criterion, hood).local
    assert found is not None
    alive = np.flatnonzero(hood.energy > 0)
    best = lengths[found[alive].argmin(axis=1)]
    middle = (hood.centres[alive][1:] + hood.centres[alive][:-1]) / 2
    return np.asarray(best[np.searchsorted(middle, positions)])


def _best_of_frames(tuner: Tuner, positions: Float64Array, hop: float, lengths: Float64Array) -> Float64Array:
    r, criterion = tuner.r, tuner.r.criterion
    assert isinstance(criterion, Additive)
    plan = r.transform(tuner.varying_framing(hop, float(lengths[-1])).mfft)
    counts = np.full(positions.size, float(plan.f_pts * len(r.x)))
    best, chosen = np.full(positions.size, np.inf), np.full(positions.size, lengths[0])
    for length in lengths:
        frames = make_frames(np.full(positions.size, length), positions, mfft=plan.mfft)
        totals, _ = statistics(plan, r.x, frames, criterion.statistics)
        alive = totals[0] > 0
        values = np.full(positions.size, np.inf)
        values[alive] = criterion.combine(Sums(totals[:, alive], counts[alive]))[0]
        chosen, best = np.where(values < best, length, chosen), np.minimum(values, best)
    tuner.nfev += lengths.size
    return chosen
