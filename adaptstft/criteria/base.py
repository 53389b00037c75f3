"""Base classes of the criteria: `Criterion` has a scope, `Additive` is a function of sums over the scope."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from adaptstft.common.typing import Float64Array, Scope
from adaptstft.common.validation import as_index, check_option, check_positive
from adaptstft.criteria.scopes import FrameView, Reduction, Sums, mean_values, reduce_sums
from adaptstft.engine.statistics import Statistics


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """Base class of the criteria.

    Parameters
    ----------
    scope : {"global", "frame", "local"}, optional
        Bins that share one normalisation: all bins, those of a frame, or those
        of a smooth neighbourhood in time. If None, `adaptstft.optimize` takes
        ``"local"`` if window lengths or positions vary, in time or with
        frequency; everything else takes ``"global"``.
    width : float, optional
        Duration of a neighbourhood in seconds. It implies scope ``"local"``.
        If None, the function that evaluates the criterion chooses it.
    bands : int, optional
        Number of smooth frequency bands of each neighbourhood. It implies scope
        ``"local"``, and needs a window length for each frequency or bin. If None,
        neighbourhoods have all frequencies, or `adaptstft.optimize` chooses.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> isinstance(criteria.Gini(), criteria.Criterion)
    True
    >>> criteria.Renyi(width=0.5).scope
    'local'
    """

    scope: Scope | None = None
    width: float | None = None
    bands: int | None = None

    name: ClassVar[str]

    @property
    def is_logarithm(self) -> bool:
        """Whether the value is a logarithm, whose differences are relative changes."""
        return True

    @property
    def unit(self) -> str:
        """Unit of the value for labels: ``"nat"``, ``"nat per bin"``, or ``""`` for a number without a unit."""
        return "nat" if self.is_logarithm else ""

    def __post_init__(self) -> None:
        if self.scope is not None:
            check_option("scope", self.scope, ("global", "frame", "local"))
        if self.width is not None:
            check_positive("width", self.width, "s")
            if self.scope not in (None, "local"):
                raise ValueError(f"width={self.width!r} needs scope='local', got scope={self.scope!r}")
            object.__setattr__(self, "scope", "local")
        if self.bands is not None:
            object.__setattr__(self, "bands", as_index("bands", self.bands, 1))
            if self.scope not in (None, "local"):
                raise ValueError(f"bands={self.bands!r} needs scope='local', got scope={self.scope!r}")
            object.__setattr__(self, "scope", "local")

    def with_scope(self, scope: Scope, width: float | None = None, bands: int | None = None) -> Criterion:
        """Return the same criterion with another scope."""
        return replace(self, scope=scope, width=width, bands=bands)

    def within(self, margin: float) -> Criterion:
        """Return the criterion with a margin in seconds, if it has one and none is given."""
        return self

    @property
    def margin_used(self) -> float:
        """Time in seconds at both ends of the signal in which frames do not count."""
        return 0.0

    def with_margin(self, margin: float) -> Criterion:
        """Return the criterion with another margin in seconds, if it has one."""
        return self

    def frame_weights(self, positions: Float64Array, n: float, T: float, *, steps: bool = False) -> Float64Array:
        """Return the weight of frames at positions within a signal of `n` samples, with a sampling interval `T`.

        With `steps` a weight that depends on the position jumps from one value to the next: its derivative is zero.
        """
        return np.ones(positions.size)

    def frame_weight_slopes(self, positions: Float64Array, n: float, T: float) -> Float64Array:
        """Return the derivatives of `frame_weights` in the positions."""
        return np.zeros(positions.size)

    def settings(self) -> dict[str, Any]:
        """Return the name and the fields, from which the same criterion can be made again."""
        return {"name": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}


class Additive(Criterion, ABC):
    """Base class of criteria that are functions of sums of ``E**a``, ``E**a log E`` or ``log(1 + E**a)``.

    ``E = |S|**2`` is the energy of a bin.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> isinstance(criteria.Renyi(), criteria.Additive), isinstance(criteria.Gini(), criteria.Additive)
    (True, False)
    """

    @property
    @abstractmethod
    def statistics(self) -> Statistics:
        """The sums; the first is positive where the signal has energy, such as ``sum P``."""

    @abstractmethod
    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the value for each group, and its derivatives with respect to the sums and the number of bins."""

    #: Whether each neighbourhood has a normalisation of its own, and the value is the mean over them.
    normalised: ClassVar[bool] = True
    #: Whether the value depends on the number of bins, see ``adaptstft.criteria.scopes.GroupedSums``.
    spread: ClassVar[bool] = False

    def reduce(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
        """Return the value over all frames and its derivatives, from the sums of each frame.

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
            Value and derivatives.
        """
        if self._averaged == "frame":
            mean = reduce_sums(self.each_frame, "frame", totals, counts, view)
            return mean.scaled(*self.of_mean(mean.value))
        return reduce_sums(self.combine, self._averaged, totals, counts, view, spread=self.spread)

    @property
    def _averaged(self) -> Scope:
        """Scope over whose groups the value is averaged."""
        return self.scope or "global"

    def value(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> float:
        """Return the value of `reduce`, which has the same arguments, without its derivatives."""
        return float(self.values(totals[:, np.newaxis], counts, view)[0])

    def values(self, totals: Float64Array, counts: Float64Array, view: FrameView) -> Float64Array:
        """Return `value` for several transforms of the same frames.

        `totals` has the shape (statistics, transforms, frames), the result (transforms,).
        """
        if self._averaged == "frame":
            means = mean_values(self.each_frame, "frame", totals, counts, view)
            return np.array([self.of_mean(mean)[0] for mean in means.tolist()])
        return mean_values(self.combine, self._averaged, totals, counts, view, spread=self.spread)

    def each_frame(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the values whose mean is taken in scope ``"frame"``, and their derivatives as in `combine`."""
        return self.combine(sums)

    def frame_terms(self, totals: Float64Array, counts: Float64Array) -> Float64Array:
        """Return the contribution of each frame to scope ``"frame"`` from its sums; smaller is better."""
        return np.asarray(np.sign(self.of_mean(1.0)[1]) * self.each_frame(Sums(totals, counts))[0])

    def of_mean(self, mean: float) -> tuple[float, float]:
        """Return the value in scope ``"frame"`` for the mean of `each_frame`, and its derivative."""
        return mean, 1.0
