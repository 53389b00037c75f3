"""Phase retrieval: signals from magnitudes by the algorithm of Griffin and Lim, on transforms with any windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft.common.device import is_device_array
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_index, as_inexact, check_finite, check_option
from adaptstft.tracking.framed_signal import times_power_of_two
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

__all__ = ["griffin_lim"]


def griffin_lim(
    magnitude: Any,
    sft: AdaptiveShortTimeFFT,
    n: int,
    *,
    n_iter: int = 100,
    phase: Any = None,
    rng: Any = None,
    full_output: bool = False,
) -> Any:
    r"""Find a signal whose short-time Fourier transform has given magnitudes.

    Each iteration computes the transform, replaces its magnitudes by the given ones,
    and computes the least-squares inverse [1]_. Because the inverse is exact, the
    distance

    .. math:: \| |S| - A \| / \| A \|

    from the given magnitudes ``A`` (over the two-sided spectrum) never increases.

    Parameters
    ----------
    magnitude : array_like, shape (..., f_pts, p_num)
        Magnitudes ``A``, not negative, in the shape of ``sft.stft`` of `n` samples.
    sft : AdaptiveShortTimeFFT
        An invertible transform.
    n : int
        Number of samples of the signal.
    n_iter : int, optional
        Number of iterations.
    phase : array_like, shape of `magnitude`, optional
        Initial phases in radians; random by default.
    rng : int or numpy.random.Generator, optional
        Seed of the random phases.
    full_output : bool, optional
        Whether to return the distances too.

    Returns
    -------
    x : ndarray, shape (..., n)
        The signal.
    errors : ndarray of float64, shape (n_iter + 1,)
        The distance before the first iteration and after each one; only if
        `full_output` is true.

    Raises
    ------
    ValueError
        If magnitudes are negative or do not have the shape of the transform of `n`
        samples, if phases are not real or have another shape, or if the transform is
        not invertible.

    References
    ----------
    .. [1] D. Griffin, J. Lim, "Signal estimation from modified short-time
       Fourier transform", IEEE Trans. Acoust. Speech Signal Process. 32(2),
       1984.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> x = np.cos(0.002 * np.arange(400.0) ** 2)
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 64, 8, fs=1.0)
    >>> y, errors = adaptstft.griffin_lim(abs(sft.stft(x)), sft, 400, rng=0, full_output=True)
    >>> bool(errors[-1] < 0.5 * errors[0])
    True
    """
    n, n_iter = as_index("n", n, 1), as_index("n_iter", n_iter, 1)
    check_option("full_output", full_output, (True, False))
    A = as_inexact("magnitude", magnitude, device=True)
    xp = sft._plan_for("magnitude", A).kernels.xp if is_device_array(A) else np
    check_finite("magnitude", A)
    if np.iscomplexobj(A) or np.any(A < 0):
        raise ValueError("magnitude must be real and not negative; take abs() of a transform")
    expected = (sft.f_pts, sft.p_num(n))
    if A.shape[-2:] != expected:
        raise ValueError(
            f"magnitude has shape {A.shape}, but the transform of {n=} samples ends with {expected}, (f_pts, p_num)"
        )
    if phase is None:
        angle = xp.asarray(np.random.default_rng(rng).uniform(-np.pi, np.pi, A.shape).astype(A.dtype))
    else:
        angle = _as_phase(phase, A.shape, xp)
    # powers of very small or large magnitudes would underflow or overflow; a power of two changes no other bit
    exponent = int(np.frexp(float(A.max()) if A.size else 0.0)[1])
    A = times_power_of_two(A, -exponent)
    weights = xp.asarray(_multiplicity(sft)[:, np.newaxis].astype(A.dtype))
    scale = float(np.sqrt(np.sum(weights * A**2, dtype=float))) or 1.0
    x = sft.istft(A * np.exp(1j * angle), k1=n, n=n)
    errors = []
    for iteration in range(n_iter + 1):
        S = sft.stft(x)
        size = np.abs(S)
        errors.append(float(np.sqrt(np.sum(weights * (size - A) ** 2, dtype=float))) / scale)
        if iteration < n_iter:
            x = sft.istft(A * _phasor(S, size), k1=n, n=n)
    x = times_power_of_two(x, exponent)
    return (x, np.array(errors)) if full_output else x


def _as_phase(phase: Any, shape: tuple[int, ...], xp: Any) -> Any:
    """Check phases and broadcast them to the shape of the magnitudes."""
    angle = xp.asarray(as_inexact("phase", phase, device=xp is not np))
    check_finite("phase", angle)
    if np.iscomplexobj(angle):
        raise ValueError("phase must be real, in radians; take numpy.angle() of a transform")
    try:
        return xp.broadcast_to(angle, shape)
    except ValueError:
        raise ValueError(f"phase has shape {angle.shape}, but the magnitudes have {shape}") from None


def _multiplicity(sft: AdaptiveShortTimeFFT) -> Float64Array:
    """Weight of each stored bin in the energy of the two-sided spectrum, shape (f_pts,)."""
    weights = np.ones(sft.f_pts)
    if sft.onesided_fft:
        paired = slice(1, -1 if sft.mfft % 2 == 0 else None)
        doubled = {"onesided": 2.0, "onesided2X": 1.0 if sft.scaling == "psd" else 0.5}
        weights[paired] = doubled[sft.fft_mode]
    return weights


def _phasor(S: AnyArray, size: AnyArray) -> AnyArray:
    """Return ``S / |S|``, 1 where ``S`` is zero; `size` is ``|S|``."""
    safe = np.where(size > 0, size, 1)
    return np.where(size > 0, S / safe, 1)
