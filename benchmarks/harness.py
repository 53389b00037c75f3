"""What a benchmark is made of: settings, rows with targets, and races of functions against each other."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

#: Seconds before each turn. Threads of OpenMP spin for a while after a call, on the cores of whoever is next.
PAUSE = 0.02
_WARM_UP = 2
#: Times as many turns as are asked for, at most, if they are short.
_MOST = 4


@dataclass(frozen=True)
class Settings:
    """What all benchmarks of a run have in common.

    Attributes
    ----------
    repeat : int
        Least number of timed calls of each function.
    seconds : float
        Short calls are repeated for so long, up to four times as often.
    quick : bool
        Use sizes that only show that everything works.
    workers : int
        Number of threads, for all packages that take one.
    """

    repeat: int = 9
    quick: bool = False
    workers: int = 1
    seconds: float = 0.0

    def size(self, full: int, quick: int) -> int:
        """Choose between the size of a benchmark and that of a smoke test."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Figure:
    """A number with its unit: ``"s"``, ``"MB"``, ``"x"`` or none.

    Attributes
    ----------
    value : float
        The number.
    unit : str
        What it counts; empty for a pure number.
    """

    value: float
    unit: str = "s"

    def __str__(self) -> str:
        if self.unit == "s":
            return f"{self.value:.2f} s" if abs(self.value) >= 1 else f"{1e3 * self.value:.3g} ms"
        if self.unit == "x":
            return f"{self.value:.2f} x" if abs(self.value) < 10 else f"{self.value:.0f} x"
        return f"{self.value:.3g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Target:
    """A bound on the result of a row.

    Attributes
    ----------
    bound : float
        The bound, in the unit of the result.
    at_least : bool
        Whether it is a lower bound.
    """

    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Whether a result keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def text(self, unit: str) -> str:
        """Write the bound as a table shows it."""
        return f"{'>=' if self.at_least else '<='} {self.bound:g} {unit}".rstrip()


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    name : str
        Name of the benchmark it belongs to.
    work : str
        What was computed.
    against : str
        What it is compared with, if anything.
    ours, theirs, result : Figure or None
        Figures of the two sides, and what is made of them.
    target : Target or None
        Bound on the result; None for a row that only informs.
    problem : str
        Why there is no result.
    detail : dict
        All measurements and checks, for the JSON file.
    """

    name: str
    work: str
    against: str = ""
    ours: Figure | None = None
    theirs: Figure | None = None
    result: Figure | None = None
    target: Target | None = None
    problem: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a result."""
        return None if self.target is None or self.result is None else self.target.met(self.result.value)

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain values."""
        return asdict(self) | {"met": self.met}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Row:
        """Make a row again from `to_json`."""
        made: dict[str, Any] = {k: values[k] for k in ("name", "work", "against", "problem", "detail")}
        for key, kind in (("ours", Figure), ("theirs", Figure), ("result", Figure), ("target", Target)):
            made[key] = kind(**values[key]) if values[key] else None
        return cls(**made)


@dataclass(frozen=True)
class Case:
    """A benchmark, which makes one row or several.

    Attributes
    ----------
    name : str
        What ``--only`` takes.
    summary : str
        One line for ``--list``.
    run : callable
        Makes the rows.
    environment : dict of str
        Variables of the process that it runs in, beside those of the caller.
    """

    name: str
    summary: str
    run: Callable[[Settings], list[Row]]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rival:
    """The other side of a race.

    Attributes
    ----------
    label : str
        Name of the package, or what stands in for one.
    prepare : callable
        Returns the function to time; imports its package, and may fail.
    target : Target or None
        Bound on the ratio of times.
    inverted : bool
        The ratio is our time over theirs instead of theirs over ours.
    check : callable or None
        Compares the results of both sides, after a race; its dictionary goes to the JSON file.
    """

    label: str
    prepare: Callable[[], Callable[[], Any]]
    target: Target | None = None
    inverted: bool = False
    check: Callable[[], dict[str, Any]] | None = None


def describe(error: BaseException) -> str:
    """Put an exception on one line of a table."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    line = text if kind == "NotInstalledError" else f"{kind}: {text}"
    return line if len(line) <= 140 else f"{line[:137]}..."


def timed(function: Callable[[], Any]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved(
    functions: Mapping[str, Callable[[], Any]], repeat: int, *, pause: float = PAUSE, seconds: float = 0.0
) -> dict[str, Any]:
    """Time functions in turn, A B A B, so that whatever slows the machine down slows all of them down.

    Each turn is two calls in a row, as in an optimisation, of which the second counts: the first finds cores that
    have gone to sleep in the pause, and caches that hold what the other function left there.

    Parameters
    ----------
    functions : dict of callables
        What to time, by label; called before if the first calls are to be left out.
    repeat : int
        Number of turns of each, at least.
    pause : float, optional
        Seconds to wait before each turn.
    seconds : float, optional
        Go on for so long, up to four times as many turns.

    Returns
    -------
    dict of lists of float
        The seconds of each call, by label.
    """
    found: dict[str, list[float]] = {label: [] for label in functions}
    gc.collect()
    gc.disable()
    begun = time.perf_counter()
    try:
        for turn in range(_MOST * repeat):
            if turn >= repeat and time.perf_counter() - begun >= seconds:
                break
            for label, function in functions.items():
                time.sleep(pause)
                function()
                found[label].append(timed(function))
    finally:
        gc.enable()
    return found


def _warmed_up(prepare: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
    function = prepare()
    for _ in range(_WARM_UP):
        function()
    return function


def _ready(rivals: Iterable[Rival]) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Functions of the rivals that work, and what is wrong with the others."""
    functions, problems = {}, {}
    for rival in rivals:
        try:
            functions[rival.label] = _warmed_up(rival.prepare)
        except Exception as error:  # whatever it is, it concerns this rival's line only
            problems[rival.label] = describe(error)
    return functions, problems


def race(
    settings: Settings,
    name: str,
    work: str,
    prepare: Callable[[], Callable[[], Any]],
    rivals: Sequence[Rival],
    **detail: Any,
) -> list[Row]:
    """Time a function of ours and each of its rivals in turn; one row for each rival.

    Parameters
    ----------
    settings : Settings
        The number of repetitions.
    name, work : str
        As in `Row`.
    prepare : callable
        Returns our function.
    rivals : sequence of Rival
        The other sides. One that does not work becomes a row that says so.
    **detail
        More for the JSON file.

    Returns
    -------
    list of Row
        With the medians and their ratio.
    """
    try:
        ours = _warmed_up(prepare)
    except Exception as error:
        problem = f"adaptstft: {describe(error)}"
        return [Row(name, work, r.label, target=r.target, problem=problem, detail=detail) for r in rivals]
    rows = []
    for rival in rivals:
        # two sides at a time: a third one's memory and waiting threads would slow them differently
        functions, problems = _ready([rival])
        seconds = interleaved({"adaptstft": ours, **functions}, settings.repeat, seconds=settings.seconds)
        row = Row(name, work, rival.label, Figure(statistics.median(seconds["adaptstft"])), target=rival.target)
        if rival.label in problems:
            rows.append(replace(row, problem=problems[rival.label], detail=detail | {"seconds": seconds["adaptstft"]}))
        else:
            rows.append(_finished(row, rival, seconds, detail))
    return rows


def _finished(row: Row, rival: Rival, seconds: Mapping[str, list[float]], detail: dict[str, Any]) -> Row:
    ours, theirs = seconds["adaptstft"], seconds[rival.label]
    more: dict[str, Any] = {"seconds": ours, "their_seconds": theirs}
    best = min(theirs) / min(ours)
    ratio = statistics.median(theirs) / statistics.median(ours)
    if rival.inverted:
        best, ratio = 1 / best, 1 / ratio
    more["ratio_of_fastest"] = best
    if rival.check is not None:
        try:
            more["agreement"] = rival.check()
        except Exception as error:
            more["agreement"] = {"problem": describe(error)}
    return replace(row, theirs=Figure(statistics.median(theirs)), result=Figure(ratio, "x"), detail={**detail, **more})


def run_case(case: Case, settings: Settings) -> list[Row]:
    """Run a benchmark; one that fails becomes a row that says so."""
    try:
        return case.run(settings)
    except Exception as error:
        return [Row(case.name, case.summary, problem=describe(error))]


def usable_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def largest_difference(a: Any, b: Any) -> float:
    """Largest difference of two arrays, relative to the largest magnitude in the second."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max() / np.abs(b).max())


def sound(n: int, dtype: Any = np.float32) -> Any:
    """Make a chirp with a tone and some noise, the same in every run."""
    t = np.arange(n) / n
    noise = np.random.default_rng(20240501).standard_normal(n)
    chirp = np.cos(2 * np.pi * n * (0.05 * t + 0.1 * t**2))
    return (chirp + 0.5 * np.cos(0.6 * np.pi * np.arange(n)) + 0.1 * noise).astype(dtype)
