"""Notes on criteria that are flat over the grid of lengths, and on signals that cannot be told from white noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptstft.common.precision import single_precision
from adaptstft.criteria import Criterion, Renyi
from adaptstft.criteria.evaluate import comparable_view, value_of
from adaptstft.criteria.noise_tests import MOST_DEVIATIONS, has_moments, white_noise
from adaptstft.engine.frames import durations
from adaptstft.tuning.log import Confidence
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.result.diagnosis import equally_good
from adaptstft.tuning.tables.framing import SURVEY_HOP, regular_frames
from adaptstft.tuning.tables.survey import Survey
from adaptstft.tuning.variables.state import State

#: A criterion is flat if it changes by less than `_FLAT` tolerances over a grid that spans a factor of `_FLAT_RANGE`.
_FLAT = 5.0
_FLAT_RANGE = 4.0


def confidence_of(problem: Problem, curve: Survey | None, state: State) -> Confidence:
    """Return notes if no window length is better than another, or if the signal cannot be told from noise.

    Many signals are not compared with noise, as they are not in memory.

    Parameters
    ----------
    problem : Problem
        The problem.
    curve : Survey or None
        The criterion against the length, if there was a search.
    state : State
        The optimum, or the best single length.

    Returns
    -------
    Confidence
        The notes, and whether the signal cannot be told from noise.
    """
    request = problem.request
    texts = [] if curve is None else flat_notes(curve, request.criterion)
    if request.shared is not None:
        return Confidence(texts, white_noise=False)
    low, high = request.win_bounds
    if (request.window_mode == "fixed" or low == high) and request.hop_mode == "fixed":
        return Confidence([], white_noise=False)
    typical = float(np.exp(np.mean(np.log(state.win_length))))
    length = typical if curve is None else float(curve.lengths[np.argmin(curve.values)])
    depth = noise_depth(problem, length)
    white_noise = depth < MOST_DEVIATIONS
    if white_noise:
        texts.append(
            f"the signal cannot be told from white noise: its value is {abs(depth):.1f} standard deviations "
            f"{'below' if depth > 0 else 'above'} that of noise of the same length, where {MOST_DEVIATIONS:g} below "
            "would be a sign of structure; the window length means little"
        )
    return Confidence(texts, white_noise)


def noise_depth(problem: Problem, length: float) -> float:
    """Return how many standard deviations a criterion of global scope is below its value for white noise.

    For criteria without a theory, `Renyi` is used.
    """
    request, rule = problem.request, problem.search_rule
    framing = rule.tied(length, SURVEY_HOP)
    x, plan = single_precision(request.x), request.plan(framing.mfft)
    criterion = request.criterion if has_moments(request.criterion) else Renyi()
    whole = replace(criterion, scope="global", width=None, bands=None)
    frames, positions = regular_frames(plan, x.shape[1], min(length, float(framing.mfft)), framing.hop)
    view = comparable_view(whole, positions, durations(positions, x.shape[1]), framing.mfft, None)
    if criterion is request.criterion:  # the survey has computed the sums
        value = float(problem.evaluator.table(plan, whole, np.array([length]), rule, None, lambda _: None).values[0])
    else:  # signals for user losses are not scaled
        x = single_precision(request.x / abs(request.x).max())
        value = value_of(plan, x, frames, whole, view)
    return white_noise(plan, x, whole, length, view).depth(value)


def flat_notes(curve: Survey, criterion: Criterion) -> list[str]:
    """Return a note if the criterion hardly changes over the grid of lengths."""
    low, high = float(curve.lengths[0]), float(curve.lengths[-1])
    change = float(np.ptp(curve.values))
    if high / low < _FLAT_RANGE or change > _FLAT * equally_good(criterion, float(curve.values.min())):
        return []
    unit = " nat" if criterion.in_nats else ""
    return [f"the criterion is flat: it changes by only {change:.2g}{unit} from {low:g} to {high:g} samples"]
