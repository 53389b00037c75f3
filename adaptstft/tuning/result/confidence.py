"""Notes on criteria that are flat over the grid of lengths, and on signals that cannot be told from noise.

Noise is white, or has a smooth spectrum: the signal is compared with white noise once its spectrum is flat.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.precision import comparison_precision
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Criterion, Renyi
from adaptstft.criteria.evaluate import comparable_view, value_of
from adaptstft.criteria.noise_tests import MOST_DEVIATIONS, has_moments, white_noise
from adaptstft.criteria.whitening import whiten
from adaptstft.engine.frames import durations
from adaptstft.tuning.log import Confidence
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.request import Request
from adaptstft.tuning.result.diagnosis import equally_good
from adaptstft.tuning.signal_input import unfiltered
from adaptstft.tuning.tables.framing import SURVEY_HOP, Framing, FramingRule, regular_frames
from adaptstft.tuning.tables.survey import Survey

#: A criterion is flat if it changes by less than `_FLAT` tolerances over a grid that spans a factor of `_FLAT_RANGE`.
_FLAT = 5.0
_FLAT_RANGE = 4.0
#: Shortest window for the test of a band, in samples of its own rate.
_LEAST_IN_BAND = 8.0


def confidence_of(problem: Problem, curve: Survey | None, win_length: Float64Array) -> Confidence:
    """Return notes if no window length is better than another, or if the signal cannot be told from noise.

    Many signals are not compared with noise, as they are not in memory.

    Parameters
    ----------
    problem : Problem
        The problem.
    curve : Survey or None
        The criterion against the length, if there was a search.
    win_length : ndarray
        The best lengths in samples, or the best single length.

    Returns
    -------
    Confidence
        The notes, and whether the signal cannot be told from noise.
    """
    request = problem.request
    texts = [] if curve is None else flat_notes(curve, request.criterion)
    if request.shared is not None:
        return Confidence(texts, noise=False)
    low, high = request.win_bounds
    if (request.window_mode == "fixed" or low == high) and request.hop_mode == "fixed":
        return Confidence([], noise=False)
    typical = float(np.exp(np.mean(np.log(win_length))))
    length = typical if curve is None else float(curve.lengths[np.argmin(curve.values)])
    depth = noise_depth(request, length, problem.search_rule.tied(length, SURVEY_HOP))
    noise = depth < MOST_DEVIATIONS
    if noise:
        texts.append(
            "the signal cannot be told from noise with a smooth spectrum: once its spectrum is flat, its value is "
            f"{abs(depth):.1f} standard deviations {'below' if depth > 0 else 'above'} that of white noise of the same "
            f"length, where {MOST_DEVIATIONS:g} below would be a sign of structure; the window length means little"
        )
    return Confidence(texts, noise)


def noise_depth(request: Request, length: float, framing: Framing) -> float:
    """Return how many standard deviations a signal with a flat spectrum is below white noise in a criterion.

    The criterion has global scope. For criteria without a theory, `Renyi` is used.
    """
    plan = request.plan(framing.mfft)
    x = to_host(request.x)
    if request.band is not None:  # the band as a signal of its own, which it fills
        x = request.band.baseband(unfiltered(request.original, request.detrend))
        length = max(length * x.shape[1] / request.n, _LEAST_IN_BAND)
        framing = FramingRule(None, None).tied(length, SURVEY_HOP)
        plan = replace(plan, mfft=framing.mfft, fft_mode="centered")
    x = plan.kernels.asarray(_flattened(x))
    if not x.any():  # a constant, which has no noise
        return np.inf
    criterion = request.criterion if has_moments(request.criterion) else Renyi()
    whole = replace(criterion, scope="global", width=None, bands=None)
    frames, positions = regular_frames(plan, x.shape[1], min(length, float(framing.mfft)), framing.hop)
    view = comparable_view(whole, positions, durations(positions, x.shape[1]), framing.mfft, None)
    return white_noise(plan, x, whole, length, view).depth(value_of(plan, x, frames, whole, view))


def _flattened(x: AnyArray) -> AnyArray:
    """Return channels with a flat spectrum, in single precision and of order one."""
    x = whiten(x)
    largest = float(max(x.max(), -x.min())) if not np.iscomplexobj(x) else float(np.abs(x).max())
    if largest > 0:
        x /= largest
    return np.asarray(comparison_precision(x))


def flat_notes(curve: Survey, criterion: Criterion) -> list[str]:
    """Return a note if the criterion hardly changes over the grid of lengths."""
    low, high = float(curve.lengths[0]), float(curve.lengths[-1])
    change = float(np.ptp(curve.values))
    if high / low < _FLAT_RANGE or change > _FLAT * equally_good(criterion, float(curve.values.min())):
        return []
    unit = f" {criterion.unit}" if criterion.unit else ""
    return [f"the criterion is flat: it changes by only {change:.2g}{unit} from {low:g} to {high:g} samples"]
