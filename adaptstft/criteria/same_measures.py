r"""Measures that are the same one under several names.

The Rényi entropy of order ``alpha`` of ``P = |S|**power`` depends on two sums, of ``|S|**a`` with ``a = power`` and of
``|S|**b`` with ``b = power * alpha``:

.. math:: H = \frac{a \log \sum |S|^b - b \log \sum |S|^a}{a - b} .

The two exponents are exchangeable. Most of the other measures increase with one such entropy, so that they have the
same optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from adaptstft.criteria.base import Additive
from adaptstft.criteria.measures import Hoyer, Kurtosis, Lp, Renyi, Shannon, Stankovic


def as_entropy(criterion: Additive) -> tuple[float, float] | None:
    """Return the power and the order of the Rényi entropy that a criterion increases with.

    None if there is no such entropy, as for the kurtosis in scope ``"frame"``.
    """
    match criterion:
        case Shannon(power=power):
            return power, 1.0
        case Renyi(power=power, alpha=alpha):
            return power, alpha
        case Kurtosis(power=power) if criterion.scope != "frame":
            return power, 2.0
        case Stankovic(power=power, r=r):
            return power, 1 / r
        case Lp(power=power, k=k):
            return power, k / 2
        case Hoyer():
            return 2.0, 0.5
        case _:
            return None


def check_different(parts: Sequence[Additive]) -> None:
    """Require that no two of several criteria are the same measure."""
    for first, second in combinations(parts, 2):
        one, other = as_entropy(first), as_entropy(second)
        if one is None or other is None or not _equal(one, other):
            continue
        power, order = one
        raise ValueError(
            f"{first!r} and {second!r} cannot be combined, because they are the same measure: both increase with the "
            f"Rényi entropy of order {order:.4g} of |S|**{power:.4g}; keep one of them, with the weight of both"
        )


def _equal(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two pairs of power and order have the same exponents."""
    first, second = (sorted((power, power * order)) for power, order in (one, other))
    return bool(np.allclose(first, second, rtol=1e-6, atol=0))
