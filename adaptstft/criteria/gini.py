"""The Gini index, a criterion that is not a function of sums over bins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import check_positive
from adaptstft.criteria.base import Criterion
from adaptstft.criteria.scopes import EnergyGradients, FrameView, check_any_counted


@dataclass(frozen=True, kw_only=True)
class Gini(Criterion):
    """Minus the Gini index of the spectrogram.

    It sorts the values, so the whole spectrogram is kept in memory, on the host.

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
    def is_logarithm(self) -> bool:
        return False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("power", self.power)
        if self.bands is not None:
            raise ValueError(f"bands={self.bands}: the Gini index has no bands, because it is not a function of sums")

    def reduce_dense(self, energy: Float64Array, view: FrameView) -> EnergyGradients:
        """Return the value over all frames and its derivatives from ``|S|**2``, shape (channels, frames, f_pts)."""
        p = energy ** (self.power / 2)
        average = _average_groups(_gini, p, self.scope or "global", view)
        # where E = 0, the derivative may be infinite; it is set to zero, as the cotangent has the factor S
        inner = np.where(energy > 0, energy, 1.0) ** (self.power / 2 - 1) * (self.power / 2)
        return replace(average, energy=average.energy * np.where(energy > 0, inner, 0.0))


def _average_groups(
    measure: Callable[[Float64Array, Float64Array], tuple[float, Float64Array, Float64Array]],
    p: Float64Array,
    scope: str,
    view: FrameView,
) -> EnergyGradients:
    """Average a measure of weighted values `p`, shape (channels, frames, f_pts), over the groups of a scope.

    ``measure(values, weights)`` returns its value and its derivatives with respect to both. The field `energy` of the
    result is the derivative with respect to `p`.
    """
    member, member_gradient, share = view.groups(scope)
    silent = np.asarray(p.sum(axis=(0, 2)) == 0)
    share = np.where(silent, 0.0, view.weights) if share is None else share
    channels, _, bins = p.shape
    total, value = 0.0, 0.0
    counted, values = np.zeros(share.size, dtype=bool), np.zeros(share.size)
    d_p, d_weights, d_positions = np.zeros_like(p), np.zeros(silent.size), np.zeros(silent.size)
    for group in np.flatnonzero(share):
        entries = slice(member.indptr[group], member.indptr[group + 1])
        frames = member.indices[entries]
        if not frames.size or np.all(silent[frames]):
            continue
        inner = member.data[entries] * (view.weights[frames] if scope != "frame" else 1.0)
        of_bins = np.broadcast_to(inner[:, None], (channels, frames.size, bins))
        group_value, by_p, by_weights = measure(p[:, frames].ravel(), of_bins.ravel())
        total += share[group]
        value += share[group] * group_value
        counted[group], values[group] = True, group_value
        d_p[:, frames] += share[group] * by_p.reshape(of_bins.shape)
        d_inner = share[group] * by_weights.reshape(of_bins.shape).sum(axis=(0, 2))
        if scope == "frame":
            d_weights[group] += group_value  # the mean is subtracted below
        else:
            d_weights[frames] += d_inner * member.data[entries]
        if member_gradient is not None:
            d_positions[frames] += d_inner * view.weights[frames] * member_gradient.data[entries]
    check_any_counted(np.asarray(total > 0))
    value /= total
    if scope == "frame":
        d_weights = np.where(share > 0, d_weights - value, 0.0)
    by_share = np.where(counted, values - value, 0.0) / total if scope == "local" else np.zeros(1)
    return EnergyGradients(value, d_p / total, d_weights / total, d_positions / total, by_share)


def _gini(p: Float64Array, weights: Float64Array) -> tuple[float, Float64Array, Float64Array]:
    """Return minus the Gini index of values `p` with weights, and its derivatives with respect to both.

    It is ``A / (W Z) - 1`` with ``W = sum_j w_j``, ``Z = sum_j w_j p_j`` and ``A = sum_j w_j p_j (w_j + 2 R_j)``, where
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
