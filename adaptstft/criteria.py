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
   "Measuring time-frequency information content using the Renyi entropies",
   IEEE Trans. Inf. Theory 47(4), 2001.
.. [2] D. L. Jones, T. W. Parks, "A high resolution data-adaptive
   time-frequency representation", IEEE Trans. Acoust. Speech Signal Process.
   38(12), 1990.
.. [3] L. Stankovic, "A measure of some time-frequency distributions
   concentration", Signal Processing 81(3), 2001.
.. [4] N. Hurley, S. Rickard, "Comparing measures of sparsity",
   IEEE Trans. Inf. Theory 55(10), 2009.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from autograd import value_and_grad

from adaptstft._typing import AnyArray, Float64Array, Scope
from adaptstft._validation import as_index, check_option, check_positive
from adaptstft.frame_sums import Statistics
from adaptstft.scopes import FrameView, Reduction, Sums, reduce_sums

__all__ = [
    "Additive",
    "Callable_",
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
class Criterion:
    """Base class of the criteria.

    Parameters
    ----------
    scope : {"global", "frame", "local"}, optional
        What one normalisation extends over. None leaves the choice to the
        caller: `adaptstft.optimize` takes ``"local"`` where lengths or
        positions vary in time, everything else takes ``"global"``.
    width : float, optional
        Duration in seconds of a neighbourhood, which makes the scope
        ``"local"``. None leaves the choice to the caller.
    bands : int, optional
        Number of smooth bands of frequencies that each neighbourhood is divided
        into, which also makes the scope ``"local"``; only for a window length
        for each frequency or bin. None: every neighbourhood has all frequencies,
        or the choice is left to the caller.
    """

    scope: Scope | None = None
    width: float | None = None
    bands: int | None = None

    name: ClassVar[str]

    @property
    def in_nats(self) -> bool:
        """Whether the value is a logarithm, so that differences are relative changes."""
        return True

    def __post_init__(self) -> None:
        if self.scope is not None:
            check_option("scope", self.scope, ("global", "frame", "local"))
        if self.width is not None:
            check_positive("width", self.width, "s")
            if self.scope not in (None, "local"):
                raise ValueError(f"width={self.width!r} belongs to scope='local', got scope={self.scope!r}")
            object.__setattr__(self, "scope", "local")
        if self.bands is not None:
            object.__setattr__(self, "bands", as_index("bands", self.bands, 1))
            if self.scope not in (None, "local"):
                raise ValueError(f"bands={self.bands!r} belongs to scope='local', got scope={self.scope!r}")
            object.__setattr__(self, "scope", "local")

    def with_scope(self, scope: Scope, width: float | None = None, bands: int | None = None) -> Criterion:
        """Return the same criterion with another scope."""
        return replace(self, scope=scope, width=width, bands=bands)


class Additive(Criterion, ABC):
    """A function ``combine`` of sums of ``E**a`` or ``E**a log E``, ``E = |S|**2``."""

    @property
    @abstractmethod
    def statistics(self) -> Statistics:
        """The sums it is a function of, ``sum P`` first."""

    @abstractmethod
    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Value for each group of bins, and its slopes in the sums and the number of bins."""

    #: Whether the value depends on the number of bins, see `adaptstft.scopes.reduce_sums`.
    spread: ClassVar[bool] = False

    def reduce(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
        """Value over all frames and slopes, from the sums of each frame.

        Parameters
        ----------
        totals : ndarray, shape (len(statistics), frames)
            The statistics of each frame.
        counts : ndarray, shape (frames,)
            Number of bins of each frame.
        view : FrameView
            Positions, weights and neighbourhoods.

        Returns
        -------
        Reduction
            Value and slopes.
        """
        return reduce_sums(self.combine, self.scope or "global", totals, counts, view, spread=self.spread)


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
    """Renyi entropy of the spectrogram in nats, ``log(sum (P / Z)**alpha) / (1 - alpha)`` [1]_.

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
    .. [1] Baraniuk, Flandrin, Janssen, Michel, IEEE Trans. Inf. Theory 47(4), 2001.

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
    """Kurtosis, ``-log(sum P**2 / (sum P)**2)`` [1]_.

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
       time-frequency representation", 1990.
    .. [2] M. Leiber et al., IEEE Trans. Signal Process. 73, 2025.

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

    def _ratio(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, k = sums.totals
        ratio = sums.count * k / z**2
        return ratio, np.array([-2 * ratio / z, ratio / k]), k / z**2

    def reduce(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
        if self.scope != "frame":
            return super().reduce(totals, counts, view)
        mean = reduce_sums(self._ratio, "frame", totals, counts, view)
        return mean.scaled(1 / mean.value, -1 / mean.value**2)


@dataclass(frozen=True, kw_only=True)
class Stankovic(Additive):
    """Stankovic's concentration measure, made scale-free: ``log((sum P**(1/r))**r / sum P)`` [1]_.

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
    .. [1] L. Stankovic, Signal Processing 81(3), 2001.

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
        if not 1 < self.r < np.inf:
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
        if not 0 < self.k < 2:
            raise ValueError(f"k={self.k!r} must lie between 0 and 2, both excluded")

    @property
    def statistics(self) -> Statistics:
        return Statistics.of((self.power / 2, False), (self.power * self.k / 4, False))

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, a = sums.totals
        return np.log(a) - self.k / 2 * np.log(z), np.array([-self.k / 2 / z, 1 / a]), np.zeros_like(z)


@dataclass(frozen=True, kw_only=True)
class Hoyer(Additive):
    """Hoyer's sparsity, negated: ``-(sqrt(M) - sum|S| / sqrt(sum |S|**2)) / (sqrt(M) - 1)`` [1]_.

    ``M`` is the number of bins (or the area they stand for); in a neighbourhood,
    the number over which its weights effectively spread.

    Parameters
    ----------
    scope, width, bands
        As in `Criterion`.

    References
    ----------
    .. [1] Hurley, Rickard, IEEE Trans. Inf. Theory 55(10), 2009.

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
# Criteria of the whole spectrogram


@dataclass(frozen=True)
class DenseReduction:
    """Value and slopes of a criterion that needs the whole spectrogram.

    Attributes
    ----------
    value : float
        The criterion.
    power : ndarray, shape (channels, frames, f_pts)
        Slope in ``|S|**2`` of every bin.
    weights, positions : ndarray, shape (frames,)
        Slopes in the weights and positions of the frames.
    """

    value: float
    power: Float64Array
    weights: Float64Array
    positions: Float64Array


@dataclass(frozen=True, kw_only=True)
class Gini(Criterion):
    """Minus the Gini index of the spectrogram [1]_. It sorts, so it holds ``|S|**2``, on the host.

    Parameters
    ----------
    power : float, optional
        ``P = |S|**power``.
    scope, width, bands
        As in `Criterion`.

    References
    ----------
    .. [1] Hurley, Rickard, IEEE Trans. Inf. Theory 55(10), 2009.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Gini(scope="frame").name
    'gini'
    """

    power: float = 2.0
    name: ClassVar[str] = "gini"

    @property
    def in_nats(self) -> bool:
        return False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("power", self.power)
        if self.bands is not None:
            raise ValueError(f"bands={self.bands}: the Gini index is not a function of sums that bands could divide")

    def reduce_dense(self, energy: Float64Array, view: FrameView) -> DenseReduction:
        """Value over all frames and slopes, from ``|S|**2``, shape (channels, frames, f_pts)."""
        p = energy ** (self.power / 2)
        value, slope, weights, positions = view.average_groups(p, self.scope or "global", _gini)
        # the slope at E = 0 belongs to a bin whose cotangent vanishes with S
        inner = np.where(energy > 0, energy, 1.0) ** (self.power / 2 - 1) * (self.power / 2)
        return DenseReduction(value, slope * np.where(energy > 0, inner, 0.0), weights, positions)


def _gini(p: Float64Array, weights: Float64Array) -> tuple[float, Float64Array, Float64Array]:
    """Minus the Gini index of values `p` with weights, and its slopes in both.

    It is ``A / (W Z) - 1`` with ``A = sum_j w_j p_j (w_j + 2 R_j)``, where
    ``R_j`` is the weight of all values above ``p_j``.
    """
    order = np.argsort(p, kind="stable")
    ps, ws = p[order], weights[order]
    total, z = ws.sum(), ws @ ps
    above = total - np.cumsum(ws)
    below = np.cumsum(ws * ps) - ws * ps
    a = ws * ps @ (ws + 2 * above)
    d_p = (ws * (ws + 2 * above) - a * ws / z) / (total * z)
    d_w = (2 * ps * (ws + above) + 2 * below - a / total - a * ps / z) / (total * z)
    slope_p, slope_w = np.empty_like(p), np.empty_like(p)
    slope_p[order], slope_w[order] = d_p, d_w
    return float(a / (total * z) - 1), slope_p, slope_w


@dataclass(frozen=True, kw_only=True)
class Callable_(Criterion):  # "Callable" is typing's
    """A loss of the user's, a function of ``|S|**2`` differentiated by autograd.

    Parameters
    ----------
    function : callable
        ``function(P) -> scalar`` for ``P`` of the shape that
        ``AdaptiveShortTimeFFT.spectrogram`` returns, written with
        ``autograd.numpy``: an array on the host, whatever the backend.

    Examples
    --------
    >>> import autograd.numpy as anp
    >>> from adaptstft import criteria
    >>> loss = criteria.resolve(lambda P: anp.sum(anp.sqrt(P)) / anp.sqrt(anp.sum(P)))
    >>> loss.name
    'callable'
    """

    function: Callable[[Any], Any] = field()
    name: ClassVar[str] = "callable"

    @property
    def in_nats(self) -> bool:
        return False

    def __post_init__(self) -> None:
        if self.scope is not None or self.width is not None or self.bands is not None:
            raise ValueError(
                f"scope={self.scope!r}, width={self.width!r}, bands={self.bands!r}: a callable criterion sees the "
                "whole spectrogram and takes no scope"
            )

    def evaluate(self, power: AnyArray) -> tuple[float, Float64Array]:
        """Value and slope at a spectrogram of any shape."""
        try:
            value, slope = value_and_grad(self.function)(power)
        except (TypeError, AttributeError, ValueError) as exc:
            raise TypeError(
                "criterion: the function must return a real scalar and be written with autograd.numpy in place "
                f"of numpy, as autograd differentiates it (it said: {exc})"
            ) from exc
        if np.ndim(value) != 0 or not np.isfinite(value):
            raise ValueError(f"criterion: the function must return a finite scalar, got {value!r}")
        return float(value), np.asarray(slope, dtype=float)


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
