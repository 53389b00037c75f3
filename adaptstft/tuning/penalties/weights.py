"""Weights of the penalties on changes of the length, on uneven windows and on holes: check and default values."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from adaptstft.common.validation import as_real
from adaptstft.criteria import Criterion, DescriptionLength, UserLoss
from adaptstft.tuning.options import BASELINES, descends

#: Default weights in nats for a criterion of local scope, where one window per frame is tuned.
_SMOOTHNESS, _EVENNESS = 0.1, 4.0
#: Factor of the weights for criteria that are not logarithms: their values span a fraction of one. A description length
#: spans less, as most bins are below the distortion.
RATIO_SHARE, DESCRIPTION_SHARE = 0.2, 0.05


def _unit(criterion: Criterion) -> float:
    """Return what a criterion changes by where an entropy changes by one nat."""
    if isinstance(criterion, DescriptionLength):
        return DESCRIPTION_SHARE
    return 1.0 if criterion.is_logarithm else RATIO_SHARE


def check_penalties(criterion: Criterion, arguments: SimpleNamespace) -> tuple[float, float, float]:
    """Check the weights of smoothness, evenness and coverage in the arguments of `optimize`.

    None is replaced by the default weight.
    """
    smoothness, evenness, coverage = arguments.smoothness, arguments.evenness, arguments.coverage
    window_mode, hop_mode, method = arguments.window_mode, arguments.hop_mode, arguments.method
    min_overlap, win_length = arguments.min_overlap, arguments.win_length
    for name, value in (("smoothness", smoothness), ("evenness", evenness), ("coverage", coverage)):
        if value is not None and as_real(name, value) < 0:
            raise ValueError(f"{name}={value!r} must be at least 0")
    per_frame = window_mode in ("constant", "time", "fixed") and np.ndim(win_length) < 2
    vary = per_frame and "time" in (window_mode, hop_mode)
    if coverage and (min_overlap is not None or hop_mode != "time" or not per_frame):
        raise ValueError(
            f"{coverage=} is a penalty on holes between windows whose positions are free: it needs hop_mode='time', "
            f"min_overlap=None and one window for each frame, got {hop_mode=}, {min_overlap=}, {window_mode=}"
        )
    descended = vary and method not in BASELINES and descends(criterion, arguments)
    if evenness and not descended:
        raise ValueError(
            f"{evenness=} is a penalty on positions, or on lengths of frames that a descent tunes: it needs "
            "hop_mode='time' with one window for each frame, or window_mode='time' with a shape that is tuned, a "
            "criterion that is no function of sums, method='adam', or a win_length with starts=1; "
            f"got {window_mode=}, {hop_mode=}, {method=}"
        )
    local = criterion.scope in (None, "local") and not isinstance(criterion, UserLoss)
    free = hop_mode == "time" and min_overlap is None  # positions without guarantees: no default penalties
    penalised = vary and local and not free and method not in BASELINES
    unit = _unit(criterion) if penalised else 0.0
    if smoothness is None:
        smoothness = unit * _SMOOTHNESS if window_mode == "time" else 0.0
    if evenness is None:
        evenness = unit * _EVENNESS if descended else 0.0
    return float(smoothness), float(evenness), float(coverage)
