r"""Concentration criteria: functions of a few additive statistics of the spectrogram.

Each is written so that smaller is better and so that scaling the signal
changes nothing.  With ``P = |S|**power``, a criterion is a function of sums
``sum phi(P)`` over a *scope*: the whole plane (``"global"``), one frame
(``"frame"``), or a smooth neighbourhood in time (``"local"``).  Every frame
may carry a weight (the time it stands for) and every bin a cell size, which
multiply the sums; with both equal to one the values are those of the
literature.

References
----------
.. [1] R. G. Baraniuk, P. Flandrin, A. J. E. M. Janssen, O. J. J. Michel,
   "Measuring time-frequency information content using the Rényi entropies",
   IEEE Trans. Inf. Theory 47(4), 2001.
.. [2] D. L. Jones, T. W. Parks, "A high resolution data-adaptive
   time-frequency representation", IEEE Trans. Acoust. Speech Signal Process.
   38(12), 1990.
.. [3] L. Stanković, "A measure of some time-frequency distributions
   concentration", Signal Processing 81(3), 2001.
.. [4] N. Hurley, S. Rickard, "Comparing measures of sparsity",
   IEEE Trans. Inf. Theory 55(10), 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from adaptstft._typing import Float64Array, Scope
from adaptstft._validation import as_positives, as_real, check_option, check_positive
from adaptstft.criterion import Additive, Criterion
from adaptstft.dense_criteria import Callable_, Gini
from adaptstft.frame_sums import Statistics
from adaptstft.scopes import FrameView, Reduction, Sums

__all__ = [
    "Additive",
    "Callable_",
    "Combined",
    "Criterion",
    "Gini",
    "Hoyer",
    "Kurtosis",
    "Lp",
    "Renyi",
    "Shannon",
    "Stankovic",
    "names",
    "resolve",
]


@dataclass(frozen=True, kw_only=True)
class Shannon(Additive):
    """Shannon entropy of the spectrogram in nats, ``log Z - sum(P log P) / Z`` with ``Z = sum P``.

    Parameters
    ----------
    power : float, optional
        ``P = |S|**power``.
    scope, width, bands
        As in `Criterion`.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Shannon(power=1, scope="global").name
    'shannon'
    """

    power: float = 2.0
    name: ClassVar[str] = "shannon"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("power", self.power)

    @property
    def statistics(self) -> Statistics:
        return Statistics.of((self.power / 2, False), (self.power / 2, True))

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, z_log = sums.totals[0], sums.totals[1] * (self.power / 2)
        slopes = np.array([1 / z + z_log / z**2, -self.power / 2 / z])
        return np.log(z) - z_log / z, slopes, np.zeros_like(z)


@dataclass(frozen=True, kw_only=True)
class Renyi(Additive):
    """Rényi entropy of the spectrogram in nats, ``log(sum (P / Z)**alpha) / (1 - alpha)``.

    Parameters
    ----------
    alpha : float, optional
        Order, positive. The limit 1 is the Shannon entropy.
    power : float, optional
        ``P = |S|**power``.
    scope, width, bands
        As in `Criterion`.

    References
    ----------
    .. [1] R. G. Baraniuk, P. Flandrin, A. J. E. M. Janssen, O. J. J. Michel, "Measuring time-frequency
       information content using the Rényi entropies", IEEE Trans. Inf. Theory 47(4), 2001.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Renyi(alpha=2).alpha
    2
    """

    alpha: float = 3.0
    power: float = 2.0
    name: ClassVar[str] = "renyi"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("alpha", self.alpha)
        check_positive("power", self.power)

    @property
    def _shannon(self) -> Shannon | None:
        return Shannon(power=self.power) if abs(self.alpha - 1) < 1e-6 else None

    @property
    def statistics(self) -> Statistics:
        if self._shannon:
            return self._shannon.statistics
        return Statistics.of((self.power / 2, False), (self.power * self.alpha / 2, False))

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        if self._shannon:
            return self._shannon.combine(sums)
        z, b = sums.totals
        order = 1 - self.alpha
        value = (np.log(b) - self.alpha * np.log(z)) / order
        return value, np.array([-self.alpha / z, 1 / b]) / order, np.zeros_like(z)


@dataclass(frozen=True, kw_only=True)
class Kurtosis(Additive):
    """Kurtosis, ``-log(sum P**2 / (sum P)**2)``.

    In scope ``"frame"`` it is ``1 / mean_p(mean_q P**2 / (mean_q P)**2)``,
    the form used with the differentiable short-time Fourier transform [2]_.

    Parameters
    ----------
    power : float, optional
        ``P = |S|**power``.
    scope, width, bands
        As in `Criterion`.

    References
    ----------
    .. [1] D. L. Jones, T. W. Parks, "A high resolution data-adaptive
       time-frequency representation", IEEE Trans. Acoust. Speech Signal Process. 38(12), 1990.
    .. [2] M. Leiber et al., "Optimal adaptive time-frequency representation via
       differentiable short-time Fourier transform", IEEE Trans. Signal Process. 73, 2025.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Kurtosis(scope="frame").in_nats
    False
    """

    power: float = 2.0
    name: ClassVar[str] = "kurtosis"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("power", self.power)

    @property
    def in_nats(self) -> bool:
        return self.scope != "frame"

    @property
    def statistics(self) -> Statistics:
        return Statistics.of((self.power / 2, False), (self.power, False))

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, k = sums.totals
        return 2 * np.log(z) - np.log(k), np.array([2 / z, -1 / k]), np.zeros_like(z)

    def each_frame(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, k = sums.totals
        ratio = sums.count * k / z**2
        return ratio, np.array([-2 * ratio / z, ratio / k]), k / z**2

    def of_mean(self, mean: float) -> tuple[float, float]:
        return 1 / mean, -1 / mean**2


@dataclass(frozen=True, kw_only=True)
class Stankovic(Additive):
    """Stanković's concentration measure, made scale-free: ``log((sum P**(1/r))**r / sum P)``.

    Parameters
    ----------
    r : float, optional
        Order, greater than 1.
    power : float, optional
        ``P = |S|**power``.
    scope, width, bands
        As in `Criterion`.

    References
    ----------
    .. [1] L. Stanković, "A measure of some time-frequency distributions
       concentration", Signal Processing 81(3), 2001.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Stankovic(r=4).name
    'stankovic'
    """

    r: float = 2.0
    power: float = 2.0
    name: ClassVar[str] = "stankovic"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("power", self.power)
        if not as_real("r", self.r) > 1:
            raise ValueError(f"r={self.r!r} must be greater than 1")

    @property
    def statistics(self) -> Statistics:
        return Statistics.of((self.power / 2, False), (self.power / (2 * self.r), False))

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, a = sums.totals
        return self.r * np.log(a) - np.log(z), np.array([-1 / z, self.r / a]), np.zeros_like(z)


@dataclass(frozen=True, kw_only=True)
class Lp(Additive):
    """Ratio of norms, ``log(sum P**(k/2)) - (k/2) log(sum P)``; for ``k = 1`` the l1/l2 ratio.

    Parameters
    ----------
    k : float, optional
        Order, between 0 and 2.
    power : float, optional
        ``P = |S|**power``.
    scope, width, bands
        As in `Criterion`.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Lp(k=0.5).name
    'lp'
    """

    k: float = 1.0
    power: float = 2.0
    name: ClassVar[str] = "lp"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("power", self.power)
        if not 0 < as_real("k", self.k) < 2:
            raise ValueError(f"k={self.k!r} must lie between 0 and 2, both excluded")

    @property
    def statistics(self) -> Statistics:
        return Statistics.of((self.power / 2, False), (self.power * self.k / 4, False))

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, a = sums.totals
        return np.log(a) - self.k / 2 * np.log(z), np.array([-self.k / 2 / z, 1 / a]), np.zeros_like(z)


@dataclass(frozen=True, kw_only=True)
class Hoyer(Additive):
    """Hoyer's sparsity, negated: ``-(sqrt(M) - sum|S| / sqrt(sum |S|**2)) / (sqrt(M) - 1)``.

    ``M`` is the number of bins (or the area they stand for); in a neighbourhood,
    the number over which its weights effectively spread.

    Parameters
    ----------
    scope, width, bands
        As in `Criterion`.

    References
    ----------
    .. [1] N. Hurley, S. Rickard, "Comparing measures of sparsity", IEEE Trans. Inf. Theory 55(10), 2009.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Hoyer().in_nats
    False
    """

    name: ClassVar[str] = "hoyer"
    spread: ClassVar[bool] = True

    @property
    def in_nats(self) -> bool:
        return False

    @property
    def statistics(self) -> Statistics:
        return Statistics.of((1.0, False), (0.5, False))

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, a = sums.totals
        root = np.sqrt(sums.count)
        if np.any(root <= 1):
            raise ValueError(f"the Hoyer measure needs more than one bin in a group, got {sums.count.min()}")
        ratio, span = a / np.sqrt(z), root - 1
        slopes = np.array([-ratio / (2 * z), 1 / np.sqrt(z)]) / span
        return -(root - ratio) / span, slopes, (1 - ratio) / span**2 / (2 * root)


# ---------------------------------------------------------------------------------------
# Several criteria

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
        slopes = np.zeros_like(sums.totals)
        for weight, part in zip(self._weights, self.parts, strict=True):
            rows = self._rows(part)
            one, d_one, d_n = part.combine(replace(sums, totals=sums.totals[rows]))
            value, d_count = value + weight * one, d_count + weight * d_n
            slopes[rows] += weight * d_one
        return value, slopes, d_count

    def reduce(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
        frames = np.zeros(totals.shape[1])
        out = Reduction(0.0, np.zeros_like(totals), frames, frames)
        for weight, part in zip(self._weights, self.scoped(), strict=True):
            rows = self._rows(part)
            one = part.reduce(totals[rows], counts, view)
            slopes = out.totals
            slopes[rows] += weight * one.totals
            out = Reduction(
                out.value + weight * one.value,
                slopes,
                out.weights + weight * one.weights,
                out.positions + weight * one.positions,
            )
        return out

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"name": "combined", "parts": [part.settings() for part in self.parts]}


_CRITERIA: dict[str, type[Criterion]] = {c.name: c for c in (Shannon, Renyi, Kurtosis, Stankovic, Lp, Hoyer, Gini)}


def names() -> list[str]:
    """Return the names of all criteria.

    Returns
    -------
    list of str
        Names that every ``criterion=`` argument accepts, sorted.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> "renyi" in criteria.names()
    True
    """
    return sorted(_CRITERIA)


def resolve(criterion: Any, scope: Scope | None = None) -> Criterion:
    """Make a `Criterion` from anything that a ``criterion=`` argument accepts.

    Parameters
    ----------
    criterion : str, Criterion or callable
        A name, an object of this module, or a loss of ``|S|**2``.
    scope : {"global", "frame", "local"}, optional
        Scope, if the criterion does not have one of its own.

    Returns
    -------
    Criterion
        The criterion, its `scope` possibly None.

    Raises
    ------
    ValueError
        For an unknown name (the message lists them all), or a `scope` that
        contradicts the criterion's own.
    TypeError
        If `criterion` is none of the above.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.resolve("shannon", "frame").scope
    'frame'
    """
    if scope is not None:
        check_option("scope", scope, ("global", "frame", "local"))
    if isinstance(criterion, str):
        if criterion not in _CRITERIA:
            raise ValueError(f"unknown {criterion=}; known are {names()}")
        return _CRITERIA[criterion](scope=scope)
    if isinstance(criterion, type) and issubclass(criterion, Criterion):
        raise TypeError(f"criterion={criterion.__name__} is a class; pass an object, {criterion.__name__}()")
    if isinstance(criterion, Criterion):
        if scope is None or criterion.scope == scope:
            return criterion
        if criterion.scope is not None or isinstance(criterion, Callable_):
            raise ValueError(f"{scope=} contradicts {criterion!r}")
        return criterion.with_scope(scope, criterion.width, criterion.bands)
    if callable(criterion):
        if scope is not None:
            raise ValueError(f"{scope=}: a callable criterion sees the whole spectrogram and takes no scope")
        return Callable_(function=criterion)
    raise TypeError(f"{criterion=} must be a name, a criterion object or a callable; known names are {names()}")


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
    return _CRITERIA[name](**fields)
