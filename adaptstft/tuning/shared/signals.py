"""Sums over the signals that share parameters, and the criterion as a function of the sums over all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive, DescriptionLength
from adaptstft.criteria.distortion import SignalLevel
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.gradients import Gradients, ValueAndGradients
from adaptstft.tuning.shared.partial_sums import PartialSums, Query


def evaluate_sums(query: Query, total: PartialSums) -> ValueAndGradients:
    """Return a criterion and its gradients in window lengths and shape, from the sums over all signals."""
    weight = total.frames / total.time if query.comparable and query.criterion.spread else 1.0
    value, gradients = reduce_totals(query.criterion, total.sums, total.count, weight, query.cell)
    return ValueAndGradients(value, Gradients(gradients @ total.win_length, np.zeros(0), gradients @ total.shape))


def reduce_totals(
    criterion: Additive, sums: Float64Array, count: float, weight: float, cell: float
) -> tuple[float, Float64Array]:
    """Return the criterion for sums over all frames and their number of bins, and its derivatives in the sums.

    Sums and number are still to be multiplied by `weight`; `cell` is the size of a bin.
    """
    if criterion.scope == "frame":
        if not sums[1] > 0:
            raise ValueError("the spectrogram is silent: no frame's window reaches any energy of the signals")
        value, gradient = criterion.of_mean(float(sums[0] / sums[1]))
        return value, np.array([gradient / sums[1], 0.0])
    # all sums as those of one frame
    view = FrameView(np.zeros(1), np.array([weight]), cell)
    reduced = criterion.reduce(sums[:, np.newaxis], np.array([count]), view)
    return reduced.value, np.asarray(reduced.totals[:, 0])


class SharedSignals(ABC):
    """Signals that share parameters, over which the sums of a criterion are taken.

    Attributes
    ----------
    n : int
        Samples of the longest signal.
    shortest : int
        Samples of the shortest.
    channels : int
        Channels of the signals, at most.
    signals : int
        Number of signals.
    samples : int
        Samples of all signals.
    dtype : dtype
        Type of the samples, real or complex.
    """

    n: int
    shortest: int
    channels: int
    signals: int
    samples: int
    dtype: np.dtype[Any]

    @abstractmethod
    def measure(self, detrend: str | None) -> None:
        """Measure the lengths, the types and the peak of the signals, in one pass over them.

        Raises
        ------
        ValueError
            For NaN or infinite samples, or if all signals are silent without their trend.
        """

    @abstractmethod
    def level(self, criterion: DescriptionLength) -> SignalLevel:
        """Return power and noise floor of the treated signals; a floor that the criterion has replaces the estimate."""

    @abstractmethod
    def threads(self, workers: int | None) -> int:
        """Return the number of threads for one signal, given the argument ``workers``."""

    @abstractmethod
    def sums(self, queries: Sequence[Query], report: Callable[[float], None] = lambda _: None) -> list[PartialSums]:
        """Return the sums over all signals; `report` receives the fraction that is done, if it is known."""

    def evaluate(
        self, queries: Sequence[Query], report: Callable[[float], None] = lambda _: None
    ) -> list[ValueAndGradients]:
        """Return value and gradient of the criterion of each query, from one pass over the signals."""
        return [evaluate_sums(q, total) for q, total in zip(queries, self.sums(queries, report), strict=True)]


def add_up(parts: Sequence[list[PartialSums]]) -> list[PartialSums]:
    """Add the sums of several parts for the same queries."""
    first, *others = parts
    total = list(first)
    for other in others:
        total = [a + b for a, b in zip(total, other, strict=True)]
    return total
