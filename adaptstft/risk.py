r"""Stein's estimate of the error of shrunk coefficients, as a loss for `adaptstft.optimize`.

White noise of standard deviation :math:`\sigma` in a signal is complex noise of variance :math:`\sigma_c^2 =
\sigma^2 / f_s` in every coefficient ``S`` of windows of unit energy (``scale_to="psd"``), for any window length.
If a coefficient is shrunk by a gain ``g`` of ``v = lam * sigma_c**2 / |S|**2``,

.. math:: -\sigma_c^2 + (1 - g)^2 |S|^2 + 2 \sigma_c^2 (g - v g')

is an unbiased estimate of its squared error [1]_. The loss is the mean over all coefficients, in variances of the
noise. It needs one transform of the noisy signal. `adaptstft.denoise` minimises the error of the signal after the
inverse transform, which needs three transforms. Both have their minimum at nearly the same window length.

Frames at the ends of the signal contain less noise. With long windows it would be so much less that their coefficients
would seem to have no error. So frames less than half the longest window from the ends are left out.

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

#: Names of the gains of single bins.
RiskMode = Literal["soft", "wiener", "smooth"]


def _risk(energy: Float64Array, variance: Float64Array, threshold: float, mode: RiskMode) -> Float64Array:
    """Estimate the squared error of coefficients with energies ``|S|**2``, in variances of the noise."""
    gain = GAINS[mode](threshold_ratio(threshold, variance, energy))
    return (1 - gain.value) ** 2 * energy / variance - 1 + 2 * (gain.value - gain.gradient)


def _risk_gradient(energy: Float64Array, variance: Float64Array, threshold: float, mode: RiskMode) -> Float64Array:
    """Differentiate `_risk` in the energies."""
    gain = GAINS[mode](threshold_ratio(threshold, variance, energy))
    rest = 1 - gain.value
    # where the energy is nearly zero, the curvature is exactly zero
    in_gain = 2 * gain.curvature / np.where(gain.curvature == 0, 1.0, energy)
    return (rest**2 + 2 * rest * gain.gradient) / variance + in_gain


_differentiable_risk = primitive(_risk)
defvjp(
    _differentiable_risk,
    lambda ans, energy, variance, threshold, mode: lambda g: g * _risk_gradient(energy, variance, threshold, mode),
    argnums=[0],
)


class SureLoss:
    """Mean estimated error of shrunk coefficients in variances of the noise, for ``criterion=``.

    An instance is called with a spectrogram ``|S|**2`` of the signal, with windows of unit energy.

    Parameters
    ----------
    x : array_like
        The signal, real or complex, of at least twice `longest` samples along `axis`.
    fs : float
        Sampling frequency in Hz.
    longest : float
        Longest window in samples, the upper end of ``win_bounds``. Frames less than
        half of it from the ends of the signal are left out.
    noise_std : float or array_like, optional
        Standard deviation of the noise: one number, or one for each channel. It is
        estimated by default. The noise must be white, see `adaptstft.denoise`.
    mode : {"soft", "wiener", "smooth"}, optional
        Kind of shrinkage, as in `adaptstft.denoise`.
    threshold : float, optional
        The threshold, as in `adaptstft.denoise`; it is not tuned.
    axis : int, optional
        Time axis of `x`.

    Attributes
    ----------
    noise_std : ndarray of float64
        Standard deviation of the noise of each channel.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range. When called: if the spectrogram does not have the
        channels of the signal.

    Warns
    -----
    UserWarning
        If the noise level is estimated and the noise does not look white.

    See Also
    --------
    adaptstft.denoise : Minimises the error of the signal itself, and tunes the threshold too.

    Notes
    -----
    The frames are those of `adaptstft.optimize`, from the first sample to the last, and its ``scale_to`` must be
    ``"psd"``, the default. With a callable as criterion, hop and FFT length are constant while the lengths change: give
    a ``hop=`` that suits the shortest window and an ``mfft=`` that suits the longest one.

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
            raise ValueError("x has a silent channel without noise: leave it out")
        self._variance = (self.noise_std**2 / rate).reshape(-1, 1, 1)

    def __call__(self, power: Any) -> Any:
        """Return the loss for ``|S|**2``, shape (..., f_pts, p_num), with the channels of the signal."""
        *lead, bins, frames = power.shape
        if np.prod(lead) != self.noise_std.size:
            raise ValueError(f"power has shape {power.shape}, but the signal's channels have {self.noise_std.shape}")
        power = power.reshape((-1, bins, frames))
        cut = int(np.ceil(self._longest / 2 * frames / self._n))
        inside = power[..., max(cut, 1) : frames - max(cut, 1)]
        risk = _differentiable_risk(inside, self._variance, self._threshold, self._mode)
        return risk.sum() / risk.size
