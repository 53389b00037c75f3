"""Weighted sums of criteria."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import as_positives, check_option
from adaptstft.criteria.base import Additive, Criterion
from adaptstft.criteria.description import DescriptionLength
from adaptstft.criteria.registry import CRITERIA, resolve
from adaptstft.criteria.same_measures import check_different
from adaptstft.criteria.scopes import FrameView, Reduction, Sums
from adaptstft.engine.statistics import Statistics

Rule = Literal["weighted", "min-norm"]


@dataclass(frozen=True)
class Combined(Additive):
    """Weighted sum of several criteria.

    Parameters
    ----------
    parts : sequence of Criterion or str
        Criteria whose scope is None. `Gini` and user functions are not possible, because
        they are not functions of sums. No two parts may be the same measure, see Notes.
    weights : sequence of float, optional
        Positive weight of each part, 1 by default.
    rule : {"weighted", "min-norm"}, optional
        Direction of the descents of `adaptstft.optimize`. ``"weighted"`` minimises the weighted sum.
        ``"min-norm"`` follows the shortest vector in the convex hull of the gradients of the weighted
        parts [1]_, a direction in which no part grows. So every descent ends with no part larger than at
        its start, and, if no limit stops it, at a point where no direction improves all parts.
        With both rules, the results of several starts are compared by the weighted sum.
    scope, width, bands
        As in `Criterion`, for all parts.

    Notes
    -----
    Some criteria are the same measure under several names: `Kurtosis` (except in scope
    ``"frame"``), `Stankovic` and `Lp` are Rényi entropies up to a factor. The sum of two
    of these with the same order would only change the weight, and is an error.

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
                raise ValueError(f"{part!r} cannot be combined: it is not a function of sums over the spectrogram")
            if isinstance(part, DescriptionLength):
                raise ValueError(f"{part!r} cannot be combined: its terms are relative to a distortion")
            if part.scope is not None:
                raise ValueError(f"{part!r} has its own scope; set the scope of the combination instead")
        if len({part.spread for part in parts if isinstance(part, Additive)}) > 1:
            raise ValueError(
                f"parts={self.parts!r}: 'hoyer' cannot be combined with others, it depends on the number of bins"
            )
        object.__setattr__(self, "parts", tuple(parts))
        check_different(self.scoped())
        object.__setattr__(self, "weights", as_positives("weights", self.weights, len(parts)))

    @property
    def name(self) -> str:  # type: ignore[override]
        """The sum as a formula."""
        terms = zip(self._weights, self.parts, strict=True)
        return " + ".join(part.name if w == 1 else f"{w:g} {part.name}" for w, part in terms)

    @property
    def spread(self) -> bool:  # type: ignore[override]
        """Whether the value depends on the number of bins."""
        return bool(self.parts[0].spread)

    @property
    def is_logarithm(self) -> bool:
        return all(part.is_logarithm for part in self.scoped())

    @property
    def _weights(self) -> tuple[float, ...]:
        return tuple(self.weights or ())

    def scoped(self) -> list[Additive]:
        """Return the parts with the scope of the combination."""
        return [replace(part, scope=self.scope, width=self.width, bands=self.bands) for part in self.parts]

    def weighted_parts(self) -> list[Combined]:
        """Return each term of the sum as a criterion."""
        pairs = zip(self.parts, self._weights, strict=True)
        return [replace(self, parts=(part,), weights=(weight,), rule="weighted") for part, weight in pairs]

    @property
    def statistics(self) -> Statistics:
        return Statistics.of(*dict.fromkeys(term for part in self.parts for term in part.statistics.pairs))

    def _rows(self, part: Additive) -> list[int]:
        """Return the indices of the statistics of a part."""
        return [self.statistics.pairs.index(term) for term in part.statistics.pairs]

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        value, by_count = np.zeros(sums.totals.shape[1:]), np.zeros(sums.totals.shape[1:])
        by_totals = np.zeros_like(sums.totals)
        for weight, part in zip(self._weights, self.parts, strict=True):
            rows = self._rows(part)
            part_value, part_by_totals, part_by_count = part.combine(replace(sums, totals=sums.totals[rows]))
            value, by_count = value + weight * part_value, by_count + weight * part_by_count
            by_totals[rows] += weight * part_by_totals
        return value, by_totals, by_count

    def reduce(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
        frames = np.zeros(totals.shape[1])
        total = Reduction(0.0, np.zeros_like(totals), frames, frames)
        for weight, part in zip(self._weights, self.scoped(), strict=True):
            rows = self._rows(part)
            reduced = part.reduce(totals[rows], counts, view)
            by_totals = total.totals
            by_totals[rows] += weight * reduced.totals
            total = Reduction(
                total.value + weight * reduced.value,
                by_totals,
                total.weights + weight * reduced.weights,
                total.positions + weight * reduced.positions,
                total.shares + weight * reduced.shares,
            )
        return total

    def values(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Float64Array:
        each = zip(self._weights, self.scoped(), strict=True)
        parts = [weight * part.values(totals[self._rows(part)], counts, view) for weight, part in each]
        return np.asarray(np.sum(parts, axis=0))

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"name": "combined", "parts": [part.settings() for part in self.parts]}


def from_settings(settings: dict[str, Any]) -> Criterion:
    """Make a criterion from its ``settings()``.

    Parameters
    ----------
    settings : dict
        The name and the fields of the criterion.

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
