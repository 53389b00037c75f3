"""Numba kernel of short sums over a signal: a window, a power of time and the conjugate of a chirp."""

from __future__ import annotations

import numpy as np

from adaptstft.kernels.cpu.jit import kernel

#: Samples after which the rotation is computed anew, so that rounding errors do not add up.
_RENEWED = 256


@kernel
def chirp_sums(x, w, centre, f, rate, out):  # type: ignore[no-untyped-def]
    """Write ``out[j, p] = sum_k x[centre[p] + k] w[M + k] k**j exp(-2i pi (f[p] k + rate[p] k**2 / 2))``, j = 0, 1, 2.

    The window `w` has ``2 M + 1`` samples, `f` is in cycles per sample, `rate` in cycles per squared sample. The signal
    is zero outside.
    """
    half = w.size // 2
    turn = 2 * np.pi
    for p in range(centre.size):
        c, frequency, slope = centre[p], f[p], rate[p]
        first, last = max(-half, -c), min(half + 1, x.size - c)
        v0, v1, v2 = 0j, 0j, 0j
        q = np.exp(-1j * turn * slope)
        for start in range(first, last, _RENEWED):
            z = np.exp(-1j * turn * ((frequency + slope * start / 2) * start))
            r = np.exp(-1j * turn * (frequency + slope * (start + 0.5)))
            for k in range(start, min(start + _RENEWED, last)):
                value = x[c + k] * w[half + k] * z
                moved = k * value
                v0 += value
                v1 += moved
                v2 += k * moved
                z *= r
                r *= q
        out[0, p], out[1, p], out[2, p] = v0, v1, v2
