"""The methods of `optimize`: their options, and the arguments that each accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array, Method
from adaptstft.common.validation import as_index, as_real, check_option, check_positive
from adaptstft.criteria import Additive, Combined, Criterion
from adaptstft.tuning.descent.common_direction import DEFAULTS as COMMON_DESCENT

#: Default relative accuracy of the table of sums for lengths per bin.
DEFAULT_ACCURACY = 1e-3
#: Methods without a descent, which choose lengths directly, and their window modes.
BASELINES: dict[str, tuple[str, ...]] = {
    "grid": ("constant", "time"),
    "local-concentration": ("time",),
    "chirp-rate": ("constant", "time"),
}


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        number = as_real(name, value)
        if not low < number < high:
            raise ValueError(f"{name}={value!r} must lie between {low:g} and {high:g}, both excluded")
        return number

    return check


def _count(low: int) -> Callable[[str, Any], int]:
    return lambda name, value: as_index(name, value, low)


def _betas(name: str, value: Any) -> tuple[float, float]:
    try:
        first, second = (as_real(name, part) for part in value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}={value!r} must be a pair of numbers") from None
    if not (0 <= first < 1 and 0 <= second < 1):
        raise ValueError(f"{name}={value!r} must be two numbers of at least 0 and less than 1")
    return first, second


def _as_it_is(name: str, value: Any) -> Any:
    return value


#: Options of each method, and the check of each.
_OPTIONS: dict[str, dict[str, Callable[[str, Any], Any]]] = {
    "L-BFGS-B": dict.fromkeys(("maxcor", "ftol", "gtol", "maxfun", "maxiter", "maxls"), _as_it_is),  # SciPy checks
    "adam": {
        "lr": check_positive,
        "betas": _betas,
        "eps": check_positive,
        "maxiter": _count(0),
        "patience": _count(0),
        "factor": _number(0, 1),
    },
    "grid": {"step": _count(1)},
    "local-concentration": {"ratio": _number(1, 16), "width": lambda name, value: check_positive(name, value, "s")},
    "chirp-rate": {},
}

#: Limit of evaluations of a descent in many lengths by a criterion that cannot use a table, where each evaluation is a
#: transform of the whole signal and its gradient.
MOST_EXACT = 150


def check_options(method: Method, options: Any) -> dict[str, Any]:
    """Check the options of a method and return them."""
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise TypeError(f"{options=} must be a dict of options of method={method!r}")
    known = _OPTIONS[method]
    for name in options:
        if name not in known:
            allowed = f"has the options {', '.join(map(repr, known))}" if known else "has no options"
            raise ValueError(f"options={options!r}: method={method!r} {allowed}, got {name!r}")
    return {name: known[name](f"options[{name!r}]", value) for name, value in options.items()}


def finds_path(criterion: Criterion, arguments: Any) -> bool:
    """Return whether the lengths of all frames are searched over a table of sums, by the arguments of `optimize`.

    `arguments` has them as attributes: a namespace, or a checked request.
    """
    a = arguments
    tuned = a.window_mode == "time" and np.ndim(a.win_length) < 2 and a.method == "L-BFGS-B"
    return tuned and isinstance(criterion, Additive) and (a.win_length is None or a.starts != 1)


def descends(criterion: Criterion, arguments: Any, *, positions: bool = True) -> bool:
    """Return whether a descent tunes lengths or positions of frames, where they vary; see `finds_path`.

    With ``positions=False``, whether it tunes something else than positions.
    """
    together = isinstance(criterion, Combined) and criterion.rule != "weighted"
    more = (positions and arguments.hop_mode == "time") or arguments.tune_shape or together
    return more or not finds_path(criterion, arguments)


def reason_for_exact_sums(criterion: Criterion, arguments: Any) -> str:
    """Return why no table gives the value for lengths of bins of one signal; an empty text if one does.

    `arguments` is as in `finds_path`.
    """
    a = arguments
    if not isinstance(criterion, Additive):
        return f"for criterion={criterion.name!r}"
    if a.tune_shape or a.hop_mode == "time":
        return f"with hop_mode={a.hop_mode!r}, tune_shape={a.tune_shape!r}"
    return ""


def check_baseline(
    method: Method, criterion: Criterion, *, window_mode: str, hop_mode: str, smoothness: float, **unused: Any
) -> None:
    """Require arguments that a baseline supports; methods with a descent support all.

    `unused` holds the arguments that only descents have, by name, None or False if they are not given.
    """
    if method not in BASELINES:
        return
    if window_mode not in BASELINES[method]:
        modes = " or ".join(map(repr, BASELINES[method]))
        raise ValueError(f"{window_mode=} must be {modes} for {method=}, which does not descend")
    if hop_mode != "fixed":
        raise ValueError(f"{hop_mode=} must be 'fixed' for {method=}, which chooses window lengths only")
    if smoothness != 0:
        raise ValueError(f"{smoothness=} must be 0 for {method=}, which chooses every length on its own")
    for name, value in unused.items():
        if value is not None and value is not False:
            raise ValueError(f"{name}= is for methods that descend, 'L-BFGS-B' and 'adam'; leave it out for {method=}")
    if method == "grid" and window_mode == "time":
        if not isinstance(criterion, Additive):
            raise ValueError(
                f"criterion={criterion.name!r} must be a function of sums for {method=} with {window_mode=}, "
                "which searches neighbourhood by neighbourhood"
            )
        check_option("scope", criterion.scope, ("local", "frame", None))


def check_rule(criterion: Criterion, method: Method, options: dict[str, Any]) -> None:
    """Require a method and options that ``rule="min-norm"`` supports."""
    if not isinstance(criterion, Combined) or criterion.rule == "weighted":
        return
    if method != "L-BFGS-B":
        raise ValueError(f"{method=} must be left out for rule='min-norm', which has an optimiser of its own")
    for name in options:
        if name not in COMMON_DESCENT:
            raise ValueError(f"options={options!r}: rule='min-norm' has the options {', '.join(COMMON_DESCENT)}")


def integer_lengths(bounds: tuple[float, float], step: int) -> Float64Array:
    """Return all integers within bounds, or every `step`-th of them."""
    lengths = np.arange(np.ceil(bounds[0] - 1e-9), np.floor(bounds[1] + 1e-9) + 1, step)
    if not lengths.size:
        raise ValueError(f"win_bounds=({bounds[0]:g}, {bounds[1]:g}) must hold an integer for method='grid'")
    return lengths
