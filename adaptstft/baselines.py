"""Window lengths without a descent: what the literature compares with, in the frames and objective of `optimize`.

Every baseline only chooses lengths. The objective is then evaluated there as it is at the end of a descent, with the
same rules for hop, FFT length and neighbourhoods, so that ``area_fun`` can be compared between methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from adaptstft._device import to_host
from adaptstft._typing import Float64Array
from adaptstft.chirp_rate import balanced_length, measure_rates
from adaptstft.criteria import Additive, Criterion, Renyi
from adaptstft.frame_sums import statistics
from adaptstft.framing import make_frames
from adaptstft.methods import integer_lengths
from adaptstft.parameters import TIED_HOP
from adaptstft.scopes import Neighbourhoods, Sums
from adaptstft.survey import GRID_RATIO, length_grid

if TYPE_CHECKING:
    from adaptstft.stages import Run, Tuner

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
    times = constant.outcome.state.times
    tuner.typical = tuner.typical_length(constant.outcome.state.theta)
    low, high = tuner.frame_bounds(constant.hop)
    choose = {"grid": _grid_varying, "local-concentration": _most_concentrated, "chirp-rate": _by_chirp_rate}
    theta, text = choose[tuner.r.method](tuner, times, constant.hop, (low, high))
    tuner.settle_frames(np.clip(theta, low, high), constant, text)
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
    tuner: Tuner, times: Float64Array, hop: float, bounds: tuple[float, float]
) -> tuple[Float64Array, str]:
    step = tuner.r.options.get("step", 1)
    lengths = integer_lengths(bounds, step) if np.ceil(bounds[0]) <= bounds[1] else np.array([bounds[1]])
    text = f"the best of {lengths.size} integer lengths"
    if tuner.scope == "frame":
        return _best_of_frames(tuner, times, hop, lengths), f"{text} for every frame"
    hood = tuner.fine_neighbourhoods()
    best = _best_of_neighbourhoods(tuner, tuner.with_scope("local", hood), lengths, hood, times)
    return best, f"{text} for every neighbourhood"


def _most_concentrated(
    tuner: Tuner, times: Float64Array, hop: float, bounds: tuple[float, float]
) -> tuple[Float64Array, str]:
    r = tuner.r
    width = r.options.get("width")
    hood = tuner.fine_neighbourhoods() if width is None else tuner.neighbourhoods(width * r.fs)
    # the logarithm of sum |S|**4 / (sum |S|**2)**2, negated
    measure = Renyi(alpha=2, width=hood.width / r.fs)
    lengths = length_grid(*bounds, ratio=r.options.get("ratio", GRID_RATIO))
    text = f"the most concentrated of {lengths.size} lengths for every frame"
    return _best_of_neighbourhoods(tuner, measure, lengths, hood, times), text


def _by_chirp_rate(
    tuner: Tuner, times: Float64Array, hop: float, bounds: tuple[float, float]
) -> tuple[Float64Array, str]:
    rates = measure_rates(to_host(tuner.r.x), tuner.r.win_bounds).at(times)
    low, high = (value * tuner.r.fs**2 for value in (rates.min(), rates.max()))
    return balanced_length(tuner.r.window, rates), f"chirp rates of {low:.4g} to {high:.4g} Hz/s"


def _best_of_neighbourhoods(
    tuner: Tuner, criterion: Criterion, lengths: Float64Array, hood: Neighbourhoods, times: Float64Array
) -> Float64Array:
    """Best length of the neighbourhood next to every frame; silent ones follow those beside them."""
    found = tuner.search(lengths, criterion, hood).local
    assert found is not None
    alive = np.flatnonzero(hood.energy > 0)
    best = lengths[found[alive].argmin(axis=1)]
    middle = (hood.centres[alive][1:] + hood.centres[alive][:-1]) / 2
    return np.asarray(best[np.searchsorted(middle, times)])


def _best_of_frames(tuner: Tuner, times: Float64Array, hop: float, lengths: Float64Array) -> Float64Array:
    r, criterion = tuner.r, tuner.r.criterion
    assert isinstance(criterion, Additive)
    tf = r.transform(tuner.varying_framing(hop, float(lengths[-1])).mfft)
    counts = np.full(times.size, float(tf.f_pts * len(r.x)))
    best, chosen = np.full(times.size, np.inf), np.full(times.size, lengths[0])
    for length in lengths:
        frames = make_frames(np.full(times.size, length), times, mfft=tf.mfft)
        totals, _ = statistics(tf, r.x, frames, criterion.statistics)
        alive = totals[0] > 0
        values = np.full(times.size, np.inf)
        values[alive] = criterion.combine(Sums(totals[:, alive], counts[alive]))[0]
        chosen, best = np.where(values < best, length, chosen), np.minimum(values, best)
    tuner.nfev += lengths.size
    return chosen
