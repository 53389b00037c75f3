"""Criteria of the whole spectrogram, which no sums over its frames add up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from autograd import value_and_grad

from adaptstft._typing import AnyArray, Float64Array
from adaptstft._validation import check_positive
from adaptstft.criterion import Criterion
from adaptstft.scopes import FrameView


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
    """Minus the Gini index of the spectrogram. It sorts, so it holds ``|S|**2``, on the host.

    Parameters
    ----------
    power : float, optional
        ``P = |S|**power``.
    scope, width, bands
        As in `Criterion`.

    References
    ----------
    .. [1] N. Hurley, S. Rickard, "Comparing measures of sparsity", IEEE Trans. Inf. Theory 55(10), 2009.

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
