"""Flatness of a tuned optimum, and notes on bounds and on windows that are not continuous."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft as fft_lib

from adaptstft.common.text import describe_duration, in_samples
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Criterion
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.variables.state import State
from adaptstft.tuning.variables.variables import Variables

#: Increase of the criterion up to which lengths are equally good: in nats, or as a fraction of the value for criteria
#: that are not logarithms.
_TOLERANCE = 0.01
#: First step in the log length, and the largest one.
_FIRST_STEP = 0.1
_WIDEST = np.log(64.0)
#: Range of the power of the step with which the increase grows.
_POWERS = (0.5, 4.0)
#: Distance in log from a bound, within which a length is at the bound: between control points that are at a bound, a
#: smooth surface is near it.
_AT_BOUND = 1e-3


@dataclass(frozen=True)
class Sensitivity:
    """How flat the criterion is around the optimum.

    Attributes
    ----------
    tolerance : float
        Increase of the criterion over the optimum up to which lengths are equally
        good: 0.01 nat for criteria that are logarithms, 1 % of the value for the others.
    factors : (float, float)
        Range of factors for all window lengths within which the increase is below
        `tolerance`. Lengths that reach a bound stay there.
    win_length : (float, float) or None
        Range of equally good lengths in samples, if there is one window length.
    curvature : float
        Second derivative of the criterion in the logarithm of the lengths.

    Examples
    --------
    >>> from adaptstft.tuning.result.diagnosis import Sensitivity
    >>> Sensitivity(0.01, (0.9, 1.2), (90.0, 120.0), 1.5).factors
    (0.9, 1.2)
    """

    tolerance: float
    factors: tuple[float, float]
    win_length: tuple[float, float] | None
    curvature: float


def equally_good(criterion: Criterion, value: float) -> float:
    """Increase of a criterion over a value up to which it is equally good."""
    return _TOLERANCE if criterion.is_logarithm else _TOLERANCE * abs(value)


def sensitivity(
    objective: Objective, state: State, value: float, bounds: tuple[float, float], *, one: bool
) -> Sensitivity:
    """Find the range of factors for all window lengths in which the criterion increases by less than the tolerance.

    Parameters
    ----------
    objective : Objective
        The criterion as a function of a state.
    state : State
        The optimum.
    value : float
        ``objective.comparable_value(state)``.
    bounds : (float, float)
        Range of the lengths in samples.
    one : bool
        True if there is one length.
    """
    objective = objective.in_single_precision()  # enough for an increase by a hundredth
    low, high = bounds
    win_length = state.win_length
    # lengths that reach a bound stay there while the others are scaled further
    largest_down = min(max(float(np.log(win_length.max() / low)), 0.0), _WIDEST)
    largest_up = min(max(float(np.log(high / win_length.min())), 0.0), _WIDEST)
    tolerance = equally_good(objective.criterion, value)

    def increase(step: float) -> float:
        scaled = replace(state, win_length=np.clip(win_length * np.exp(step), low, high))
        longest = int(np.ceil(scaled.win_length.max()))
        at = objective
        if longest > objective.plan.mfft:
            mfft = int(fft_lib.next_fast_len(2 * longest, real=True))
            at = objective.with_plan(replace(objective.plan, mfft=mfft), objective.measure.neighbourhoods)
        return at.comparable_value(scaled) - value

    down, curvature_down = _largest_step(lambda step: increase(-step), largest_down, tolerance)
    up, curvature_up = _largest_step(increase, largest_up, tolerance)
    factors = (float(np.exp(-down)), float(np.exp(up)))
    curvatures = [curvature for curvature in (curvature_down, curvature_up) if curvature is not None]
    lengths = (float(win_length[0] * factors[0]), float(win_length[0] * factors[1])) if one else None
    return Sensitivity(tolerance, factors, lengths, float(np.mean(curvatures)) if curvatures else 0.0)


def _largest_step(increase: Callable[[float], float], limit: float, tolerance: float) -> tuple[float, float | None]:
    """Largest step with an increase below the tolerance, within 2 %, and the curvature at the first step.

    The increase is a power of the step: the second one at first, then the one through the last two steps. From a bound
    of the lengths it is about the first.
    """
    if limit < 1e-9:
        return 0.0, None
    step, power, slack = min(_FIRST_STEP, limit), 2.0, 0.02
    inside, outside = 0.0, np.inf
    curvature, before = 0.0, (0.0, 0.0)
    for attempt in range(6):
        height = increase(step)
        if attempt == 0:
            curvature = 2 * height / step**2
        elif min(height, before[1]) > 0 and step != before[0]:
            power = float(np.clip(np.log(height / before[1]) / np.log(step / before[0]), *_POWERS))
            slack = 0.05  # the error of a guess is far below the step to it
        before = step, height
        if height <= tolerance:
            inside = step
            if step >= limit:
                return limit, curvature
        else:
            outside = step
        guess = step * (tolerance / height) ** (1 / power) if height > tolerance * 1e-4 else 4 * step
        if abs(guess / step - 1) < slack:
            return float(min(guess, limit)), curvature
        if not inside < guess < outside:
            guess = np.sqrt(max(inside, 0.3 * step) * outside) if np.isfinite(outside) else 4 * step
        step = float(min(guess, limit))
    return float(inside if inside > 0 else step), curvature


def notes(
    variables: Variables, state: State, flatness: Sensitivity, fs: float = 1.0, reasons: tuple[str, str] = ("", "")
) -> list[str]:
    """Return notes on bounds, flatness and the window; `reasons` explain both bounds of the lengths."""
    texts: list[str] = []
    if variables.lengths_vary:
        one = variables.lengths.kind == "constant"
        texts += _bound_notes(state.win_length, variables.win_bounds, fs, reasons, one=one)
        if flatness.factors[1] / flatness.factors[0] > 4:
            texts.append("the criterion is flat: window lengths more than a factor 4 apart are equally good")
    window = state.window
    if window.end_value > 1e-3:
        texts.append(f"the window jumps by {window.end_value:.2g} at its ends; gradients do not contain the jump")
    return texts


def _bound_notes(
    win_length: Float64Array, bounds: tuple[float, float], fs: float, reasons: tuple[str, str], *, one: bool
) -> list[str]:
    if bounds[0] == bounds[1]:
        return []
    texts = []
    for side, bound, reason in zip(("lower", "upper"), bounds, reasons, strict=True):
        text = f"{side} bound of {in_samples(bound)} = {describe_duration(bound / fs)}{reason}"
        at = (win_length > bound * np.exp(-_AT_BOUND)) & (win_length < bound * np.exp(_AT_BOUND))
        if one and at[0]:
            texts.append(f"the window length is at its {text}")
        elif not one and at.any():
            texts.append(f"{int(at.sum())} of {win_length.size} window lengths are at their {text}")
    return texts
