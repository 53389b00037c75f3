"""The Gini index, which is not a function of sums over frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import check_positive
from adaptstft.criteria.base import Criterion
from adaptstft.criteria.scopes import FrameView


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
        value, gradient, weights, positions = view.average_groups(p, self.scope or "global", _gini)
        # the slope at E = 0 belongs to a bin whose cotangent vanishes with S
        inner = np.where(energy > 0, energy, 1.0) ** (self.power / 2 - 1) * (self.power / 2)
        return DenseReduction(value, gradient * np.where(energy > 0, inner, 0.0), weights, positions)


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
    gradient_p, gradient_w = np.empty_like(p), np.empty_like(p)
    gradient_p[order], gradient_w[order] = d_p, d_w
    return float(a / (total * z) - 1), gradient_p, gradient_w
