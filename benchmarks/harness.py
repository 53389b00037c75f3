"""Settings, rows with targets, and the timing of functions against each other."""

from __future__ import annotations

import gc
import os
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

#: Pause in seconds before each turn: threads of OpenMP keep cores busy for a while after a call.
PAUSE = 0.02
#: Seconds of calls before the one that counts. After a pause the system may run two threads on one core, and needs tens
#: of milliseconds of work without a pause until it moves one of them.
SETTLE = 0.1
#: Number of calls before the timing.
_WARM_UP = 2
#: Largest number of turns, relative to `repeat`, of short calls.
_MOST = 4
#: The folder from which a command of pip installs this package.
_CHECKOUT = re.compile(r"(?<=pip install -e ')[^'\[]*")


@dataclass(frozen=True)
class Settings:
    """Settings of all benchmarks of a run.

    Attributes
    ----------
    repeat : int
        Least number of timed calls of each function.
    seconds : float
        Least duration of the timing of short calls, with up to four times `repeat` calls.
    quick : bool
        Use tiny sizes, to test that everything works.
    workers : int
        Number of threads, for all packages that have such a setting.
    """

    repeat: int = 9
    quick: bool = False
    workers: int = 1
    seconds: float = 0.0

    @property
    def settle(self) -> float:
        """Seconds of calls before the one that counts."""
        return 0.0 if self.quick else SETTLE

    def size(self, full: int, quick: int) -> int:
        """Return the size of a benchmark or that of a smoke test."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Figure:
    """A number with its unit.

    Attributes
    ----------
    value : float
        The number.
    unit : str
        ``"s"``, ``"MB"``, ``"x"`` or another unit; empty for a pure number.
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
        True for a lower bound, False for an upper bound.
    """

    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Return True if a result keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def text(self, unit: str) -> str:
        """Return the bound as text for the table."""
        return f"{'>=' if self.at_least else '<='} {self.bound:g} {unit}".rstrip()


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    name : str
        Name of the benchmark.
    work : str
        Description of the computation.
    against : str
        Name of the other side; empty if there is none.
    ours, theirs, result : Figure or None
        Figures of the two sides, and the result, such as their ratio.
    target : Target or None
        Bound on the result, if there is a target.
    problem : str
        Reason why there is no result.
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
    def spread(self) -> tuple[Figure, Figure] | None:
        """The least and the largest result of several runs."""
        results = self.detail.get("results", ())
        if self.result is None or len(results) < 2:
            return None
        return Figure(min(results), self.result.unit), Figure(max(results), self.result.unit)

    @property
    def met(self) -> bool | None:
        """True if the target is met; None without a target or a result."""
        return None if self.target is None or self.result is None else self.target.met(self.result.value)

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain values."""
        return asdict(self) | {"met": self.met}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Row:
        """Make a row from the values of `to_json`."""
        made: dict[str, Any] = {k: values[k] for k in ("name", "work", "against", "problem", "detail")}
        for key, kind in (("ours", Figure), ("theirs", Figure), ("result", Figure), ("target", Target)):
            made[key] = kind(**values[key]) if values[key] else None
        return cls(**made)


@dataclass(frozen=True)
class Case:
    """A benchmark, which gives one or more rows.

    Attributes
    ----------
    name : str
        Name for ``--only``.
    summary : str
        One line for ``--list``.
    run : callable
        ``run(settings)``, which returns the rows.
    environment : dict of str
        Additional environment variables of its process.
    """

    name: str
    summary: str
    run: Callable[[Settings], list[Row]]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rival:
    """The other side of a comparison.

    Attributes
    ----------
    label : str
        Name of the package or function.
    prepare : callable
        Imports the package and returns the function to time. It may raise.
    target : Target or None
        Bound on the ratio of times.
    inverted : bool
        True if the ratio is our time by theirs, not theirs by ours.
    check : callable or None
        Compares the results of both sides after the timing; its dictionary goes to the JSON file.
    """

    label: str
    prepare: Callable[[], Callable[[], Any]]
    target: Target | None = None
    inverted: bool = False
    check: Callable[[], dict[str, Any]] | None = None


def describe(error: BaseException) -> str:
    """Return an exception as one line of text, without the folder of the checkout in a command of pip."""
    text = _CHECKOUT.sub(".", " ".join(str(error).split()))
    kind = type(error).__name__
    line = text if kind == "NotInstalledError" else f"{kind}: {text}"
    return line if len(line) <= 140 else f"{line[:137]}..."


def timed(function: Callable[[], Any]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved(
    functions: Mapping[str, Callable[[], Any]],
    repeat: int,
    *,
    pause: float = PAUSE,
    settle: float = 0.0,
    seconds: float = 0.0,
) -> dict[str, Any]:
    """Time functions in turn, A B A B, so that other load of the machine slows all of them down alike.

    Each turn has at least two calls in a row, as in an optimisation, and the last one counts. The others fill the
    caches again, and last until the threads have a core each.

    Parameters
    ----------
    functions : dict of callables
        The functions by label. Call them before to leave out their first calls.
    repeat : int
        Least number of turns of each function.
    pause : float, optional
        Pause before each turn in seconds.
    settle : float, optional
        Least duration of the calls before the one that counts, in seconds.
    seconds : float, optional
        Least duration in seconds, with up to four times `repeat` turns.

    Returns
    -------
    dict of lists of float
        The seconds of each call, by label.
    """
    durations: dict[str, list[float]] = {label: [] for label in functions}
    gc.collect()
    gc.disable()
    begun = time.perf_counter()
    try:
        for turn in range(_MOST * repeat):
            if turn >= repeat and time.perf_counter() - begun >= seconds:
                break
            for label, function in functions.items():
                time.sleep(pause)
                settled = time.perf_counter() + settle
                function()
                while time.perf_counter() < settled:
                    function()
                durations[label].append(timed(function))
    finally:
        gc.enable()
    return durations


def _warmed_up(prepare: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
    function = prepare()
    for _ in range(_WARM_UP):
        function()
    return function


def _ready(rivals: Iterable[Rival]) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Return the functions of the rivals that work, and the problems of the others."""
    functions, problems = {}, {}
    for rival in rivals:
        try:
            functions[rival.label] = _warmed_up(rival.prepare)
        except Exception as error:  # any error becomes the row of this rival
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
    """Time our function and each rival in turn, and return one row for each rival.

    Parameters
    ----------
    settings : Settings
        The number of repetitions.
    name, work : str
        As in `Row`.
    prepare : callable
        Returns our function.
    rivals : sequence of Rival
        The other sides. The row of one that does not work has the problem.
    **detail
        Additional values for the JSON file.

    Returns
    -------
    list of Row
        Rows with the medians and their ratio.
    """
    try:
        ours = _warmed_up(prepare)
    except Exception as error:
        problem = f"adaptstft: {describe(error)}"
        return [Row(name, work, rival.label, target=rival.target, problem=problem, detail=detail) for rival in rivals]
    rows = []
    for rival in rivals:
        # only two sides at a time: memory and waiting threads of a third would slow them down unequally
        functions, problems = _ready([rival])
        both = {"adaptstft": ours, **functions}
        seconds = interleaved(both, settings.repeat, settle=settings.settle, seconds=settings.seconds)
        row = Row(name, work, rival.label, Figure(statistics.median(seconds["adaptstft"])), target=rival.target)
        if rival.label in problems:
            rows.append(replace(row, problem=problems[rival.label], detail=detail | {"seconds": seconds["adaptstft"]}))
        else:
            rows.append(_finished_row(row, rival, seconds, detail))
    return rows


def _finished_row(row: Row, rival: Rival, seconds: Mapping[str, list[float]], detail: dict[str, Any]) -> Row:
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


def middle_rows(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the rows with the median result of several runs; their details have all ``results``.

    A row that one of the runs lacks, such as one of a benchmark that failed, has the results of the others. If the
    number of results is even, the lower one of the two in the middle is the median.
    """
    found: dict[tuple[str, str, str], list[Row]] = {}
    for rows in runs:
        for row in rows:
            found.setdefault((row.name, row.work, row.against), []).append(row)
    middle = []
    for same in found.values():
        measured = sorted((row for row in same if row.result is not None), key=_result)
        row = measured[(len(measured) - 1) // 2] if measured else same[0]
        more = {"results": [_result(one) for one in measured]} if len(runs) > 1 else {}
        middle.append(replace(row, detail=row.detail | more))
    return middle


def _result(row: Row) -> float:
    assert row.result is not None
    return row.result.value


def run_case(case: Case, settings: Settings) -> list[Row]:
    """Run a benchmark; an error becomes a row with the problem."""
    try:
        return case.run(settings)
    except Exception as error:
        return [Row(case.name, case.summary, problem=describe(error))]


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def largest_difference(a: Any, b: Any) -> float:
    """Return the largest difference of two arrays, relative to the largest magnitude of the second."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max() / np.abs(b).max())


def sound(n: int, dtype: Any = np.float32) -> Any:
    """Make a chirp with a tone and noise, the same in every run."""
    t = np.arange(n) / n
    noise = np.random.default_rng(20240501).standard_normal(n)
    chirp = np.cos(2 * np.pi * n * (0.05 * t + 0.1 * t**2))
    return (chirp + 0.5 * np.cos(0.6 * np.pi * np.arange(n)) + 0.1 * noise).astype(dtype)
