r"""Stein's estimate of the error of shrunk coefficients, as a loss for `adaptstft.optimize`.

White noise of standard deviation :math:`\sigma` in a signal is complex noise of variance :math:`\sigma_c^2 =
\sigma^2 / f_s` in every coefficient ``S`` of windows of unit energy (``scale_to="psd"``), whatever their length.
Shrunk by a gain ``g`` of ``v = lam * sigma_c**2 / |S|**2``, a coefficient has an expected squared error of which

.. math:: -\sigma_c^2 + (1 - g)^2 |S|^2 + 2 \sigma_c^2 (g - v g')

is an unbiased estimate [1]_. Its mean over all coefficients, in variances of the noise, tells which windows bring the
noise down most without the signal, in one transform. What `adaptstft.denoise` minimises, the error of the signal that
the shrunk coefficients are put together to, takes three; both have their minimum at much the same length.

In frames that the ends of the signal cut there is less noise, so much less in long windows that their coefficients
would seem to be without errors: frames less than half the longest window from the ends are left out.

References
----------
.. [1] C. M. Stein, "Estimation of the mean of a multivariate normal distribution", Ann. Statist. 9(6), 1981.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from autograd.extend import defvjp, primitive

from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import as_signal, check_option, check_positive
from adaptstft.denoising.noise import check_noise
from adaptstft.denoising.shrinkage import GAINS, threshold_ratio

__all__ = ["SureLoss"]

#: Gains of single bins.
RiskMode = Literal["soft", "wiener", "smooth"]


def _risk(energy: Float64Array, variance: Float64Array, threshold: float, mode: RiskMode) -> Float64Array:
    """Estimate of the squared error of every coefficient of given ``|S|**2``, in variances of the noise."""
    gain = GAINS[mode](threshold_ratio(threshold, variance, energy))
    return (1 - gain.value) ** 2 * energy / variance - 1 + 2 * (gain.value - gain.gradient)


def _risk_gradient(energy: Float64Array, variance: Float64Array, threshold: float, mode: RiskMode) -> Float64Array:
    """Slope of `_risk` in the energies."""
    gain = GAINS[mode](threshold_ratio(threshold, variance, energy))
    rest = 1 - gain.value
    # there is no curvature where the energy is nearly zero
    turn = 2 * gain.curvature / np.where(gain.curvature == 0, 1.0, energy)
    return (rest**2 + 2 * rest * gain.gradient) / variance + turn


_differentiable_risk = primitive(_risk)
defvjp(
    _differentiable_risk,
    lambda ans, energy, variance, threshold, mode: lambda g: g * _risk_gradient(energy, variance, threshold, mode),
    argnums=[0],
)


class SureLoss:
    """Mean estimated error of shrunk coefficients in variances of the noise, a loss for ``criterion=``.

    Called with a spectrogram of the signal, ``|S|**2`` of windows of unit energy.

    Parameters
    ----------
    x : array_like
        The signal, real or complex, of at least twice `longest` samples along `axis`.
    fs : float
        Sampling frequency in Hz.
    longest : float
        Longest window in samples, the upper end of ``win_bounds``: frames within half of it from the ends of
        the signal are left out.
    noise_std : float or array_like, optional
        Standard deviation of the noise, or of that of each channel; estimated by default. It must be
        white, see `adaptstft.denoise`.
    mode : {"soft", "wiener", "smooth"}, optional
        How coefficients are shrunk, as in `adaptstft.denoise`.
    threshold : float, optional
        The threshold, as in `adaptstft.denoise`; it is kept.
    axis : int, optional
        Axis of time.

    Attributes
    ----------
    noise_std : ndarray of float64
        Standard deviation of the noise of each channel.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range; when called, for a spectrogram of other channels than the signal's.

    Warns
    -----
    UserWarning
        If the level is estimated and the noise does not look white.

    See Also
    --------
    adaptstft.denoise : Minimises the error of the signal itself, in the threshold too.

    Notes
    -----
    The frames are those of `adaptstft.optimize`, from the first sample to the last, and its ``scale_to`` must be
    ``"psd"``, which is the default. This is a callable: hop and FFT length stay what they are while lengths change, so
    give ``hop=`` for the shortest and ``mfft=`` for the longest window.

    Examples
    --------
    The window length that leaves the least error of a chirp of 60 Hz/s in noise:

    >>> import numpy as np
    >>> import adaptstft
    >>> from adaptstft.risk import SureLoss
    >>> t = np.arange(6000) / 1000
    >>> x = np.cos(2 * np.pi * (100 * t + 30 * t**2))
    >>> x += 0.5 * np.random.default_rng(0).standard_normal(6000)
    >>> loss = SureLoss(x, 1000.0, longest=1024)
    >>> options = {"win_bounds": (32, 1024), "hop": 16, "mfft": 1024}
    >>> res = adaptstft.optimize(x, 1000.0, criterion=loss, **options)
    >>> bool(180 < res.win_length < 360), bool(res.fun < 0.2)
    (True, True)
    """

    def __init__(
        self,
        x: Any,
        fs: float,
        *,
        longest: float,
        noise_std: Any = None,
        mode: RiskMode = "soft",
        threshold: float = 2.0,
        axis: int = -1,
    ) -> None:
        check_option("mode", mode, get_args(RiskMode))
        self._mode: RiskMode = mode
        self._threshold = check_positive("threshold", threshold)
        rate, self._longest = check_positive("fs", fs, "Hz"), check_positive("longest", longest, "samples")
        signal, _ = as_signal(x, axis)
        self._n = signal.shape[-1]
        if not 2 * self._longest <= self._n:
            raise ValueError(f"{longest=} must be at most half the {self._n} samples of the signal")
        self.noise_std = check_noise(signal, noise_std, stacklevel=3).reshape(signal.shape[:-1])
        if not np.all(self.noise_std > 0):
            raise ValueError("x has a silent channel, where there is no noise: leave it out")
        self._variance = (self.noise_std**2 / rate).reshape(-1, 1, 1)

    def __call__(self, power: Any) -> Any:
        """Evaluate the loss for ``|S|**2``, shape (..., f_pts, p_num), with the leading dimensions of the signal."""
        *lead, bins, frames = power.shape
        if np.prod(lead) != self.noise_std.size:
            raise ValueError(f"power has shape {power.shape}, but the signal's channels have {self.noise_std.shape}")
        power = power.reshape((-1, bins, frames))
        cut = int(np.ceil(self._longest / 2 * frames / self._n))
        inside = power[..., max(cut, 1) : frames - max(cut, 1)]
        risk = _differentiable_risk(inside, self._variance, self._threshold, self._mode)
        return risk.sum() / risk.size
