"""Samples at uneven times, moved to an even grid."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array

#: Points of the fine grid for each sample of the result.
_FINE = 4
#: Most samples of the result for each one of the file: a single early or late time would make a huge grid.
_MOST_GROWTH = 4


def resample_evenly(x: AnyArray, times: Float64Array) -> tuple[AnyArray, float, str]:
    """Resample channels to a constant rate, the usual one of their times.

    Cubic splines through the samples are evaluated on a grid that is four times finer than the result; a linear-phase
    filter then removes the frequencies that the result cannot hold.

    Parameters
    ----------
    x : ndarray, shape (channels, n)
        The samples.
    times : ndarray, shape (n,)
        Their times in seconds, increasing.

    Returns
    -------
    x : ndarray, shape (channels, m)
        The samples at a constant rate.
    fs : float
        The rate in Hz, the inverse of the median step.
    note : str
        What was done.
    """
    from scipy.interpolate import CubicSpline
    from scipy.signal import resample_poly

    n = times.size
    if n < 4:
        raise ValueError(f"{n} samples are too few to resample, at least 4 are needed")
    steps = np.diff(times)
    step = float(np.median(steps))
    count = int((times[-1] - times[0]) / step * (1 + 1e-12)) + 1 if times[-1] - times[0] < 1e15 * step else 1 << 62
    if count > _MOST_GROWTH * n:
        raise ValueError(
            f"resampling would make {count:,} samples of {n:,}: the times have gaps, the largest of {steps.max():.3g} "
            "s; cut the recording there"
        )
    fine = times[0] + np.arange(_FINE * (count - 1) + 1) * (step / _FINE)
    fine[-1] = min(fine[-1], times[-1])
    values = CubicSpline(times, x, axis=-1)(fine)
    even = resample_poly(values, 1, _FINE, axis=-1, padtype="line")[..., :count]
    fs = 1 / step
    note = (
        f"resampled with linear phase to {fs:.6g} Hz, {even.shape[-1]} samples of {n}; the steps of the clock were "
        f"{steps.min() / step:.3g} to {steps.max() / step:.3g} samples"
    )
    return even, fs, note
