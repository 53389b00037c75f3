"""The record of one call of `optimize`: its runs, evaluations and notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from adaptstft.common.progress import Pieces, Progress
from adaptstft.common.text import describe_window
from adaptstft.common.threads import run_blocks
from adaptstft.tuning.descent.descend import Outcome
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.variables.state import State
from adaptstft.tuning.variables.variables import Variables

_Start = TypeVar("_Start")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Confidence:
    """Whether the criterion distinguishes window lengths, and the signal from noise.

    Attributes
    ----------
    notes : list of str
        Notes for the user.
    noise : bool
        Whether the signal cannot be told from noise with a smooth spectrum.
    """

    notes: list[str]
    noise: bool


@dataclass(frozen=True)
class Interpolated:
    """The end of a search on a table of sums, before it was evaluated by the exact sums.

    Attributes
    ----------
    summary : dict
        ``TuningResult.approximation``.
    objective : Objective
        The objective on the table.
    comparable : float
        Its comparable value.
    state : State
        The state, of the frames that were used.
    """

    summary: dict[str, Any]
    objective: Objective
    comparable: float
    state: State


@dataclass(frozen=True)
class Run:
    """One descent: its start, its outcome, and its value comparable between framings.

    Attributes
    ----------
    label : str
        Name of the starting point.
    objective : Objective
        The objective.
    variables : Variables
        The variables, with their starting point.
    outcome : Outcome
        The end of the descent.
    hop : float
        Time between frames in samples, on average if positions vary.
    interpolated : Interpolated or None
        The end of the search on a table, if there was one.
    """

    label: str
    objective: Objective
    variables: Variables
    outcome: Outcome
    hop: float
    interpolated: Interpolated | None = None

    @property
    def comparable(self) -> float:
        """The criterion as an integral over time and frequency, comparable between framings."""
        return self.outcome.comparable

    def report(self) -> dict[str, Any]:
        """Return the entry of ``TuningResult.starts``."""
        outcome = self.outcome
        first, last = self.variables.lengths.win_length, outcome.state.win_length
        return {
            "label": self.label,
            "window": describe_window(outcome.state.window),
            "win_length_start": float(np.exp(np.mean(np.log(first)))),
            "win_length": float(np.exp(np.mean(np.log(last)))),
            "hop": self.hop,
            "mfft": self.objective.plan.mfft,
            "fun_start": outcome.first,
            "fun": outcome.value,
            "area_fun": outcome.comparable,
            "nit": outcome.nit,
            "nfev": outcome.nfev,
            "message": outcome.message,
        }


@dataclass
class Log:
    """Runs, evaluations and notes of one call of `optimize`.

    Attributes
    ----------
    bar : Progress
        The progress bar.
    runs : list of Run
        Descents of the present stage.
    nfev : int
        Number of evaluations of the objective.
    notes : list of str
        Notes for the user.
    confidence : Confidence or None
        Whether lengths can be told apart and the signal from noise, once that is known.
    stopped : bool
        Whether a callback has asked to stop.
    """

    bar: Progress
    runs: list[Run] = field(default_factory=list)
    nfev: int = 0
    notes: list[str] = field(default_factory=list)
    confidence: Confidence | None = None
    stopped: bool = False

    def add(self, run: Run, *, stopped: bool) -> Run:
        """Record a run and return it."""
        self.nfev += run.outcome.nfev
        self.runs.append(run)
        self.stopped |= stopped
        return run

    @property
    def noise(self) -> bool:
        """Whether the signal cannot be told from noise with a smooth spectrum, as far as that is known."""
        return self.confidence is not None and self.confidence.noise

    def searching(self, part: float) -> None:
        """Show how much of a search over a grid is done."""
        self.bar.update(part, "searching a grid of window lengths")

    def each(self, starts: Sequence[_Start], run: Callable[[Log, _Start], _Result], threads: int) -> list[_Result]:
        """Call ``run(log, start)`` for every start on `threads` threads, and record all in the order of the starts.

        No further start is run once a callback has asked to stop.
        """
        results: list[_Result] = []
        bar, pieces = self.bar, Pieces(self.bar, len(starts))
        if threads == 1:
            for i, start in enumerate(starts):
                if not self.stopped:
                    self.bar = pieces.piece(i)
                    results.append(run(self, start))
            self.bar = bar
            return results

        def work(i: int) -> tuple[Log, list[_Result]]:
            branch = Log(pieces.piece(i), stopped=self.stopped)
            return branch, [] if self.stopped else [run(branch, starts[i])]

        def merge(_: int, done: tuple[Log, list[_Result]]) -> None:
            branch, found = done
            self.runs += branch.runs
            self.nfev += branch.nfev
            self.notes += branch.notes
            self.stopped |= branch.stopped
            results.extend(found)

        run_blocks(len(starts), work, threads, merge)
        return results
