"""Whether moved frames are worth it: without a significant gain, the frames stay on the even grid.

A criterion is nearly an integral over time, which does not depend on where the frames are. A descent in the positions
lowers it nevertheless, by a little: it moves frames to where the samples of this integral are smaller. Such positions
say nothing about the signal.
"""

from __future__ import annotations

from adaptstft.criteria import DescriptionLength
from adaptstft.tuning.log import Log, Run
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.stages.frame_path import NATS_PER_CHANGE, nat

#: Smallest gain by moved frames in nats, or relative to the value if the criterion is no logarithm. For a description
#: length the gain for the whole signal must be larger than that of one change by a factor e.
LEAST_GAIN = 0.02


def compares_even_grid(problem: Problem) -> bool:
    """Return whether tuned positions are compared with the even grid.

    They are not if they are tuned without guarantees, and for a user function, whose values have no unit.
    """
    request = problem.request
    return request.hop_mode == "time" and request.min_overlap is not None and not problem.user_loss


def change_cost(problem: Problem) -> float:
    """Return the cost of a change of a hop or a length by a factor e, where positions are tuned."""
    described = isinstance(problem.request.criterion, DescriptionLength)
    return NATS_PER_CHANGE * nat(problem.request) if described and compares_even_grid(problem) else 0.0


def better_grid(problem: Problem, log: Log, moved: Run, even: Run) -> Run:
    """Return the run with moved frames if its gain over the one with even frames is significant, or else the latter."""
    gain, least = _total(even) - _total(moved), change_cost(problem)
    unit, extent = 1.0, ""
    if least:
        unit, extent = nat(problem.request), " for the whole signal"
    elif problem.request.criterion.is_logarithm:
        least = LEAST_GAIN
    else:
        least = LEAST_GAIN * abs(even.comparable)
    if gain > least:
        return moved
    name = " nat" if problem.request.criterion.is_logarithm or extent else ""
    found = f"{gain / unit:.2g}{name}{extent}, less than {least / unit:.2g}" if gain > 0 else "nothing"
    log.notes.append(f"the frames stay evenly spaced: moving them gains {found}")
    return even


def _total(run: Run) -> float:
    """Return the criterion as an integral, so that the weights of the frames do not matter, with the penalties."""
    return run.comparable + run.outcome.penalties
