"""Terms of the sums over the bins of a frame, of which criteria are made; all backends number their kinds alike.

With an exponent ``a`` the terms of a sum are ``E**a`` (`POWER`), ``E**a log E`` (`POWER_LOG`), or
``log(1 + E**a) / a`` with ``a >= 1`` (`LOG1P`), which is not mixed with logarithms of powers or other exponents.
"""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray

POWER, POWER_LOG, LOG1P = 0, 1, 2


def terms(energy: AnyArray, a: float, kind: int) -> tuple[AnyArray, AnyArray]:
    """Return the terms of a sum and their derivatives in ``E``, zero where a derivative is infinite at ``E = 0``."""
    if kind == LOG1P and a <= 2:  # energies relative to a distortion are far below 1e154, whose square overflows
        power = energy ** (a - 1)
        return np.log1p(power * energy) / a, power / (1 + power * energy)
    if kind == LOG1P:
        large = energy > 1  # E**a may overflow, E**-a does not
        inverse = 1 / np.where(large, energy, 1.0)
        small = np.where(large, inverse, energy)
        power = small ** (a - 1)
        tail = power * small
        return np.log1p(tail) / a - np.log(inverse), np.where(large, inverse, power) / (1 + tail)
    if kind == POWER and a in (1.0, 2.0, 3.0):
        return energy ** int(a), a * energy ** int(a - 1)
    alive = energy > 0
    safe = np.where(alive, energy, 1.0)
    power = np.where(alive, safe ** (a - 1), 0.0)
    if kind == POWER:
        return power * energy, a * power
    logarithm = np.log(safe)
    return power * energy * logarithm, power * (a * logarithm + 1)
