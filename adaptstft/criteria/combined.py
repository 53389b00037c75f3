"""Several criteria combined into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import as_positives, check_option
from adaptstft.criteria.base import Additive, Criterion
from adaptstft.criteria.registry import CRITERIA, resolve
from adaptstft.criteria.scopes import FrameView, Reduction, Sums
from adaptstft.engine.statistics import Statistics

Rule = Literal["weighted", "min-norm"]


@dataclass(frozen=True)
class Combined(Additive):
    """Several criteria as one: their weighted sum.

    Parameters
    ----------
    parts : sequence of Criterion or str
        Criteria without scopes of their own. Gini's and callables, which are not
        made of sums, are not among them; a callable can add up what it likes itself.
    weights : sequence of float, optional
        Positive weight of each part, 1 by default.
    rule : {"weighted", "min-norm"}, optional
        How descents of `adaptstft.optimize` trade the parts off. They minimise the weighted sum, or
        follow the shortest vector in the convex hull of the parts' gradients [1]_, a
        direction in which no part grows: every descent then ends with no weighted part higher than
        where it began and, unless a limit stops it, where no direction improves all of them.
        Starts are compared by the weighted sum with either.
    scope, width, bands
        As in `Criterion`, for all parts.

    References
    ----------
    .. [1] J.-A. Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective
       optimization", C. R. Math. 350, 2012.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Combined(["renyi", criteria.Lp(k=0.5)], weights=[1, 0.25]).name
    'renyi + 0.25 lp'
    """

    parts: Sequence[Any]
    weights: Sequence[float] | None = None
    rule: Rule = "weighted"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("rule", self.rule, get_args(Rule))
        if isinstance(self.parts, str | Criterion) or not len(self.parts):
            raise ValueError(f"parts={self.parts!r} must be a sequence of criteria")
        parts = [resolve(part) for part in self.parts]
        for part in parts:
            if not isinstance(part, Additive) or isinstance(part, Combined):
                raise ValueError(f"{part!r} cannot be combined: it is no function of sums over the spectrogram")
            if part.scope is not None:
                raise ValueError(f"{part!r} has a scope of its own; give the combination one")
        if len({part.spread for part in parts if isinstance(part, Additive)}) > 1:
            raise ValueError(f"parts={self.parts!r}: 'hoyer' counts bins in another way and combines with none")
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "weights", as_positives("weights", self.weights, len(parts)))

    @property
    def name(self) -> str:  # type: ignore[override]
        """Formula of the sum."""
        terms = zip(self._weights, self.parts, strict=True)
        return " + ".join(part.name if w == 1 else f"{w:g} {part.name}" for w, part in terms)

    @property
    def spread(self) -> bool:  # type: ignore[override]
        """Whether the value is a measure of the number of bins itself."""
        return bool(self.parts[0].spread)

    @property
    def in_nats(self) -> bool:
        return all(part.in_nats for part in self.scoped())

    @property
    def _weights(self) -> tuple[float, ...]:
        return tuple(self.weights or ())

    def scoped(self) -> list[Additive]:
        """Return the parts with the scope of the whole."""
        return [replace(part, scope=self.scope, width=self.width, bands=self.bands) for part in self.parts]

    def weighted_parts(self) -> list[Combined]:
        """Return the terms of the sum, each on its own."""
        pairs = zip(self.parts, self._weights, strict=True)
        return [replace(self, parts=(part,), weights=(weight,), rule="weighted") for part, weight in pairs]

    @property
    def statistics(self) -> Statistics:
        return Statistics.of(*dict.fromkeys(term for part in self.parts for term in part.statistics.pairs))

    def _rows(self, part: Additive) -> list[int]:
        """Which of the statistics are those of a part."""
        return [self.statistics.pairs.index(term) for term in part.statistics.pairs]

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        value, d_count = np.zeros(sums.totals.shape[1:]), np.zeros(sums.totals.shape[1:])
        gradients = np.zeros_like(sums.totals)
        for weight, part in zip(self._weights, self.parts, strict=True):
            rows = self._rows(part)
            one, d_one, d_n = part.combine(replace(sums, totals=sums.totals[rows]))
            value, d_count = value + weight * one, d_count + weight * d_n
            gradients[rows] += weight * d_one
        return value, gradients, d_count

    def reduce(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
        frames = np.zeros(totals.shape[1])
        out = Reduction(0.0, np.zeros_like(totals), frames, frames)
        for weight, part in zip(self._weights, self.scoped(), strict=True):
            rows = self._rows(part)
            one = part.reduce(totals[rows], counts, view)
            gradients = out.totals
            gradients[rows] += weight * one.totals
            out = Reduction(
                out.value + weight * one.value,
                gradients,
                out.weights + weight * one.weights,
                out.positions + weight * one.positions,
            )
        return out

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"name": "combined", "parts": [part.settings() for part in self.parts]}


def from_settings(settings: dict[str, Any]) -> Criterion:
    """Make the criterion whose ``settings()`` these are.

    Parameters
    ----------
    settings : dict
        A name and the values of the fields.

    Returns
    -------
    Criterion
        The criterion.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.from_settings(criteria.Lp(k=0.5).settings())
    Lp(scope=None, width=None, bands=None, k=0.5, power=2.0)
    """
    fields = dict(settings)
    name = fields.pop("name")
    if name == "combined":
        return Combined([from_settings(part) for part in fields.pop("parts")], **fields)
    return CRITERIA[name](**fields)
