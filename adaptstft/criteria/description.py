"""The description length of a signal by its time-frequency transform."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, Scope
from adaptstft.common.validation import as_real
from adaptstft.criteria.base import Additive
from adaptstft.criteria.distortion import Distortion, SignalLevel
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import Sums
from adaptstft.engine.statistics import EnergyUnits, Statistics
from adaptstft.kernels.terms import LOG1P

#: Largest noise floor that may be given, relative to the square of the largest sample: below it nothing is described.
_MOST_GIVEN = 1e10
#: Weight of frames in the margins: with a coarse hop there may be no others.
_OUTSIDE = 1e-6
#: Distance in which the weight rises to one beside a margin, relative to the margin: about the hop of a survey, so that
#: a small change of the margin or of the frames changes the criterion little.
_RAMP = 0.5


@dataclass(frozen=True, kw_only=True)
class DescriptionLength(Additive):
    r"""Mean description length of a bin in nats, ``mean(log(1 + (P / D)**s) / s)`` with ``P = |S|**2``.

    This is the number of nats that describe a bin of the transform with a mean square error ``D``, the distortion: bins
    below it cost nothing, and each bin above it costs ``log(P / D)`` [1]_. The sharpness ``s`` smooths the step between
    them. A real signal has half as many independent values as bins, so that half of the mean is the number of nats for
    each of its samples.

    ``P`` is that of windows of unit energy for every ``scale_to``. ``D`` is the larger of a share of the power of
    the signal and of its noise floor. It is computed from the signal once, and does not depend on the windows. In scope
    ``"local"`` the power is that of a neighbourhood in time (and of a band, where window lengths vary with the
    frequency), so that quiet passages count.

    Parameters
    ----------
    distortion : float, optional
        Share of the power, from 0 to 1.
    sharpness : float, optional
        Exponent ``s``, at least 1. With more sharpness, noise near the distortion counts less.
    floor : float, optional
        Variance of white noise at the level of the floor, in the units of ``x**2``, less than the energy of the signal;
        None estimates it.
    margin : float, optional
        Time in seconds at both ends of the signal in which frames do not count, because their windows would reach over
        the end and see a jump to zero. The weight of a frame rises linearly from 0 to 1 between one and one and a half
        margins from the end. The margin is at most a quarter of the signal. By default, `adaptstft.optimize` takes half
        of the window length from which the last descent began, and everything else 0.
    units : EnergyUnits, optional
        The distortion at every place of the plane, which `adaptstft.optimize` sets.
    scope : {"global", "local"}, optional
        Extent of the mean power.
    width, bands
        As in `Criterion`.

    Notes
    -----
    The derivative with respect to the signal needs a `distortion` of 0 and a `floor`, because otherwise ``D`` depends
    on the signal.

    References
    ----------
    .. [1] T. M. Cover, J. A. Thomas, "Elements of Information Theory", 2nd ed., Wiley, 2006, section 10.3.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.DescriptionLength(distortion=0.001).name
    'description-length'
    """

    distortion: float = 0.005
    sharpness: float = 1.5
    floor: float | None = None
    margin: float | None = None
    units: EnergyUnits | None = field(default=None, repr=False, compare=False)
    name: ClassVar[str] = "description-length"
    normalised: ClassVar[bool] = False

    @property
    def is_logarithm(self) -> bool:
        """False: the value is in nats, but its differences are no relative changes."""
        return False

    @property
    def unit(self) -> str:
        return "nat per bin"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= as_real("distortion", self.distortion) <= 1:
            raise ValueError(f"distortion={self.distortion!r} must be a share of the power, from 0 to 1")
        if not 1 <= as_real("sharpness", self.sharpness) <= 100:
            raise ValueError(f"sharpness={self.sharpness!r} must be from 1 to 100")
        if self.floor is not None and not 0 <= as_real("floor", self.floor) < np.inf:
            raise ValueError(f"floor={self.floor!r} must be a variance of at least 0, or None")
        if self.margin is not None and not 0 <= as_real("margin", self.margin) < np.inf:
            raise ValueError(f"margin={self.margin!r} must be a time in s of at least 0, or None")
        if self.distortion == 0 and self.floor == 0:
            raise ValueError("distortion=0 and floor=0: one of them must be positive")

    @property
    def statistics(self) -> Statistics:
        return replace(Statistics.of((float(self.sharpness), LOG1P)), units=self.units)

    def measured(
        self,
        level: SignalLevel,
        places: Neighbourhoods | Tiles | None,
        n: int,
        *,
        offset: float = 0.0,
    ) -> DescriptionLength:
        """Return the criterion with its distortion, for a signal of `n` samples with a level."""
        if self.floor is not None and level.floor >= n * level.power > 0:
            raise ValueError(
                f"floor={self.floor!r} must be less than the energy of the signal, "
                f"{n * level.power * (self.floor / level.floor):.3g}: no bin of any spectrogram would be above it"
            )
        return replace(self, units=Distortion.of_level(level, self.distortion, places, n, offset))

    def floor_of(self, scale: float) -> float | None:
        """Return the given floor for a signal that is divided by its largest magnitude `scale`."""
        if self.floor is None:
            return None
        relative = self.floor / scale / scale  # the square of the scale may be zero
        if relative > _MOST_GIVEN:
            raise ValueError(
                f"floor={self.floor!r} must be at most {_MOST_GIVEN:g} times the square of the largest sample, which "
                f"is {scale:.3g}"
            )
        return relative

    def level(self, x: AnyArray, scale: float = 1.0) -> SignalLevel:
        """Return the level of channels `x`, which are those of the signal divided by `scale`."""
        return SignalLevel.of_signal(x, self.floor_of(scale))

    def check_scope(self) -> None:
        """Require a scope in which the distortion does not depend on the window."""
        if self.scope == "frame":
            raise ValueError(f"criterion={self.name!r} has scope 'global' or 'local', got scope={self.scope!r}")

    def check_constant(self) -> None:
        """Require a distortion that does not depend on the signal."""
        if self.distortion > 0 or self.floor is None:
            raise ValueError(
                f"{self!r} has no derivative in x, because its distortion depends on the signal: leave 'x' out of wrt, "
                "or give the distortion as DescriptionLength(distortion=0, floor=...)"
            )

    @property
    def margin_used(self) -> float:
        return self.margin or 0.0

    def with_margin(self, margin: float) -> DescriptionLength:
        return replace(self, margin=margin)

    def within(self, margin: float) -> DescriptionLength:
        return self.with_margin(margin) if self.margin is None else self

    def frame_weights(self, positions: Float64Array, n: float, T: float, *, steps: bool = False) -> Float64Array:
        margin = self._margin_in_samples(n, T)
        if margin == 0:
            return np.ones(positions.size)
        distance = np.minimum(positions, n - 1 - positions)
        if steps:
            return np.where(distance >= margin, 1.0, _OUTSIDE)
        return np.asarray(np.clip((distance - margin) / (_RAMP * margin), _OUTSIDE, 1.0))

    def frame_weight_slopes(self, positions: Float64Array, n: float, T: float) -> Float64Array:
        margin, weights = self._margin_in_samples(n, T), self.frame_weights(positions, n, T)
        slopes = np.zeros(positions.size)
        partly = (weights > _OUTSIDE) & (weights < 1)
        slopes[partly] = np.where(positions[partly] < (n - 1) / 2, 1.0, -1.0) / (_RAMP * margin)
        return slopes

    def _margin_in_samples(self, n: float, T: float) -> float:
        return min(self.margin_used / T, n / 4)

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        mean = sums.totals[0] / sums.count
        return mean, 1 / sums.count[np.newaxis], -mean / sums.count

    @property
    def _averaged(self) -> Scope:
        """All bins: the distortion has the extent of the scope, and the terms need none."""
        return "global"

    def settings(self) -> dict[str, Any]:
        return {name: value for name, value in super().settings().items() if name != "units"}
