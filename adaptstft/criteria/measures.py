"""The additive measures of concentration; `adaptstft.criteria` has the references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import as_real, check_positive
from adaptstft.criteria.base import Additive
from adaptstft.criteria.scopes import Sums
from adaptstft.engine.statistics import Statistics


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
        gradients = np.array([1 / z + z_log / z**2, -self.power / 2 / z])
        return np.log(z) - z_log / z, gradients, np.zeros_like(z)


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

    Notes
    -----
    The entropies of order `alpha` with `power`, and of order ``1 / alpha`` with
    ``alpha * power``, are equal: both depend on ``sum |S|**power`` and
    ``sum |S|**(alpha * power)`` in the same way. Other names of this measure are
    `Kurtosis` (order 2), `Stankovic` (orders below 1) and `Lp` (orders below 1), up to a
    factor.

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
    as for the differentiable short-time Fourier transform [2]_.

    Parameters
    ----------
    power : float, optional
        ``P = |S|**power``.
    scope, width, bands
        As in `Criterion`.

    Notes
    -----
    In scopes ``"global"`` and ``"local"`` it is equal to `Renyi` of order 2 with the same
    `power`.

    References
    ----------
    .. [1] D. L. Jones, T. W. Parks, "A high resolution data-adaptive
       time-frequency representation", IEEE Trans. Acoust. Speech Signal Process. 38(12), 1990.
    .. [2] M. Leiber et al., "Optimal adaptive time-frequency representation via
       differentiable short-time Fourier transform", IEEE Trans. Signal Process. 73, 2025.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Kurtosis(scope="frame").is_logarithm
    False
    """

    power: float = 2.0
    name: ClassVar[str] = "kurtosis"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("power", self.power)

    @property
    def is_logarithm(self) -> bool:
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

    Notes
    -----
    It is ``r - 1`` times `Renyi` of order ``1 / r`` with the same `power`, and so has the
    same optimum.

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

    Notes
    -----
    It is ``1 - k / 2`` times `Renyi` of order ``k / 2`` with the same `power`, and so has
    the same optimum.

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

    ``M`` is the number of bins, or their area if values are comparable between
    framings; in a neighbourhood, it is the effective number of weighted bins.

    Parameters
    ----------
    scope, width, bands
        As in `Criterion`.

    Notes
    -----
    With the same number of bins, it increases with `Renyi` of order 1/2: it is
    ``-(sqrt(M) - exp(H / 2)) / (sqrt(M) - 1)`` for the entropy ``H``. So both have the same
    optimum for one framing in scope ``"global"``.

    References
    ----------
    .. [1] N. Hurley, S. Rickard, "Comparing measures of sparsity", IEEE Trans. Inf. Theory 55(10), 2009.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.Hoyer().is_logarithm
    False
    """

    name: ClassVar[str] = "hoyer"
    spread: ClassVar[bool] = True

    @property
    def is_logarithm(self) -> bool:
        return False

    @property
    def statistics(self) -> Statistics:
        return Statistics.of((1.0, False), (0.5, False))

    def combine(self, sums: Sums) -> tuple[Float64Array, Float64Array, Float64Array]:
        z, a = sums.totals
        root = np.sqrt(sums.count)
        if np.any(root <= 1):
            raise ValueError(f"the Hoyer measure needs more than one bin in each group, got {sums.count.min()}")
        ratio, span = a / np.sqrt(z), root - 1
        gradients = np.array([-ratio / (2 * z), 1 / np.sqrt(z)]) / span
        return -(root - ratio) / span, gradients, (1 - ratio) / span**2 / (2 * root)
