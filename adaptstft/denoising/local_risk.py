"""Local risk: sums of the estimated risk around each sample, which weight window lengths.

References
----------
.. [1] A. S. Dalalyan, J. Salmon, "Sharp oracle inequalities for aggregation of affine estimators", Ann. Statist. 40(4),
   2012.
"""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array

#: Divisor of the local risk in the exponent of a weight. Sharp oracle inequalities for averages of linear estimators
#: hold from 8 variances of the noise on [1]_.
TEMPERATURE = 8.0


def local_sums(risk: Float64Array, width: float) -> Float64Array:
    """Sum risks, shape (channels, n), around each sample, under a raised cosine with a support of `width` samples.

    Near the ends of the signal, where a part of the raised cosine is missing, the sums are scaled up.
    """
    from scipy.signal import oaconvolve  # a slow import that little else needs

    half = max(1, round(width / 2))
    kernel = np.cos(np.pi * np.arange(1 - half, half) / (2 * half)) ** 2
    sums = oaconvolve(np.vstack([risk, np.ones(risk.shape[-1])]), kernel[None], mode="same", axes=-1)
    return np.asarray(sums[:-1] / sums[-1] * kernel.sum())
