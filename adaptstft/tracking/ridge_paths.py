"""Ridges: instantaneous frequencies of components over time, on transforms with any windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft.common.levels import times_power_of_two
from adaptstft.common.validation import as_index, check_positive
from adaptstft.tracking.framed_signal import frame_signal, host_transform, scaled_noise
from adaptstft.tracking.ridge_grid import as_orders, bin_powers, in_bounds, largest_steps, make_grid
from adaptstft.tracking.ridge_result import Ridges, normal_interval
from adaptstft.tracking.ridge_tracker import RidgeTracker
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

__all__ = ["ridges"]

#: Probability of the intervals.
_CONFIDENCE = 0.95


def ridges(
    sft: AdaptiveShortTimeFFT,
    x: Any,
    *,
    n_ridges: int = 1,
    max_rate: float | None = None,
    f_bounds: tuple[float, float] | None = None,
    orders: Any = None,
    noise_std: float | None = None,
    axis: int = -1,
) -> Ridges:
    r"""Follow the instantaneous frequencies of the strongest components.

    A ridge is the path through the bins with the largest sum [1]_, over the frames, of

    .. math:: \log(1 + P / N) - |\Delta f| / (\Delta t \cdot \mathrm{max\_rate})

    where ``P / N`` is the ratio of the power of a bin to the power of the noise. Dynamic programming finds this path.
    The frequency of a frame is then that of the peak of its continuous spectrum, the maximum-likelihood estimate in
    white noise. For the next ridge, the peaks of the previous ridges are removed.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        Transform, such as ``res.sft`` of `optimize`, with any window lengths and
        positions.
    x : array_like
        Signal as for ``sft.stft``. Each channel has its own ridges. The mean of a
        signal is a component at 0 Hz: subtract it, or use `f_bounds`.
    n_ridges : int, optional
        Number of ridges.
    max_rate : float, optional
        Largest change of frequency in Hz/s, rounded up to whole bins per frame. A
        path with such a change needs e times the power of a path without it. By
        default 5 times the rate of the linear chirp that suits the windows of a
        frame best.
    f_bounds : (float, float), optional
        Lowest and highest bin of the path of a ridge in Hz. The peak between bins may
        lie outside by up to one resolution cell, the inverse of the window's duration.
        Components elsewhere do not attract the path.
    orders : array_like of float, shape (orders,), optional
        Multiples of the frequency at which there are components, such as
        ``(1, 2, 3)`` for harmonics. A ridge follows all of them together. `f_bounds`
        and `max_rate` are those of the frequency itself, not of its multiples.
    noise_std : float, optional
        Standard deviation of white noise in `x`; for complex signals the root of the
        mean of ``|noise|**2``. By default it is estimated from the bins between the
        ridges.
    axis : int, optional
        Time axis of `x`. In the result time is the last axis.

    Returns
    -------
    Ridges
        Frequencies, their uncertainties, and amplitudes.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range. The message names the value and the range.

    See Also
    --------
    track : The same with a window length chosen at each time.
    synchrosqueeze : Its inverse extracts a component along a ridge.

    Notes
    -----
    The uncertainty is the standard deviation of the peak in white noise, to first order,

    .. math:: \sigma_f = \frac{\sigma}{2 \pi |V_0|} \frac{\sqrt{\frac12 \sum s^2 w^2}}{\mathrm{Re}(V_2/V_0)} , \qquad
              V_j = \sum_n x[n]\, s^j\, w\, e^{-2 j \pi f s}

    with ``s`` in seconds from the window's centre. It includes the effects of the window and of a constant chirp rate.
    For a steady tone it is the Cramér-Rao bound [2]_, ``1 / sqrt(SNR)`` times a constant of the window. The squared
    bias due to the curvature of the ridge within the window is added to the variance. It is estimated from a parabola
    through the frequencies of neighbouring frames. The uncertainty does not include the effects of other components,
    or of ridges that follow noise. The amplitude is that of a steady tone: a change of frequency within a window
    lowers it.

    The window that concentrates a component most is not the best one for tracking. For a linear chirp the uncertainty
    is least with Gaussian windows that are ``(3/7)**(1/4)``, about 0.8, times as long as the most concentrated ones.
    Where the chirp rate changes, shorter windows follow the frequency better.
    ``sft.remade(win_length=0.8 * sft.win_length)`` shortens tuned windows.

    Within a resolution cell (the inverse of the window's duration) of 0 and ``fs/2`` the peak of a real component
    merges with that of its mirror image, and the frequency may be 0 or ``fs/2``. Within two cells the frequency is
    displaced by a few hundredths of a cell. The uncertainty does not include this. Longer windows help.

    In two-sided modes ridges do not cross ``fs/2``. The frequency of a frame beyond the ends of the signal
    is that of the samples in its window.

    References
    ----------
    .. [1] R. Carmona, W.-L. Hwang, B. Torrésani, "Multiridge detection and time-frequency
       reconstruction", IEEE Trans. Signal Process. 47(2), 1999.
    .. [2] D. C. Rife, R. R. Boorstyn, "Single-tone parameter estimation from
       discrete-time observations", IEEE Trans. Inf. Theory 20(5), 1974.

    Examples
    --------
    >>> import adaptstft
    >>> signal = adaptstft.datasets.chirps_in_parallel()  # 40 + 8 t and 180 + 80 t Hz
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 256, 20, signal.fs)
    >>> both = adaptstft.ridges(sft, signal.x, n_ridges=2)
    >>> p = abs(both.t - 1.0).argmin()
    >>> print(sorted(both.frequency[:, p].round(2).tolist()))
    [48.0, 260.0]
    """
    sft = host_transform(sft)
    n_ridges = as_index("n_ridges", n_ridges, 1)
    rate = None if max_rate is None else check_positive("max_rate", max_rate, "Hz/s")
    multiples = as_orders(orders)
    noise = None if noise_std is None else check_positive("noise_std", noise_std)
    grid = make_grid(sft, f_bounds, multiples)
    framed = frame_signal(sft, x, axis)
    steps = largest_steps(sft, framed, grid, rate)
    noise = None if noise is None else scaled_noise(framed.layout.channels, framed.exponent, noise)
    powers = within = bin_powers(sft, framed)
    if f_bounds is not None:
        passed = in_bounds(framed.layout.channels[:, : framed.layout.n], sft.fs, f_bounds, multiples)
        own = frame_signal(sft, passed, -1)
        within = times_power_of_two(bin_powers(sft, own), 2 * own.exponent)
    tracked = [
        RidgeTracker(sft, framed, grid, steps, channel, power, inside, noise).track(n_ridges)
        for channel, power, inside in zip(framed.layout.channels, powers, within, strict=True)
    ]
    frequency, uncertainty, amplitude, duration = (
        np.stack(values).reshape(*framed.layout.lead, *values[0].shape) for values in zip(*tracked, strict=True)
    )
    amplitude = times_power_of_two(amplitude, framed.exponent)
    return Ridges(
        sft.t(framed.layout.n),
        frequency,
        uncertainty,
        amplitude[..., 0, :] if orders is None else amplitude,
        duration * sft.fs,
        normal_interval(frequency, uncertainty, _CONFIDENCE),
        _CONFIDENCE,
        None if orders is None else tuple(multiples.tolist()),
        sft,
        times_power_of_two(framed.layout.channels[:, : framed.layout.n], framed.exponent),
    )
