"""Frames and the inverse transform, with dense matrices."""

import math

import numpy as np

from naive.transform import bin_factors, frequencies, phase_origin
from naive.windows import scaled_window


def frame_windows(window, theta, centres, n, *, scale_to=None, fs=1.0, window_offset=0.0):
    """w(n; t_p, theta_p) for n = 0 ... n-1, shape (p_num, n)."""
    theta = np.broadcast_to(np.asarray(theta, dtype=float), (len(centres),))
    frames = zip(theta, centres, strict=True)
    return np.array([scaled_window(window, th, t, np.arange(n), scale_to, fs, window_offset) for th, t in frames])


def matrix(window, theta, centres, samples, *, mfft, fft_mode="onesided", scale_to=None, fs=1.0, **options):
    """A[q, p, n] with S = A x, for signals that are zero outside `samples`."""
    f, centres = frequencies(fft_mode, mfft, fs), np.asarray(centres, dtype=float)
    theta = np.broadcast_to(np.asarray(theta, dtype=float), (len(f), len(centres)))
    max_length = options.get("max_length") or math.ceil(theta.max())
    origin = phase_origin(options.get("phase_shift", 0), max_length)
    w = scaled_window(window, theta, centres, samples, scale_to, fs, options.get("window_offset", 0.0))
    phases = (f / fs)[:, None, None] * (samples - centres[:, None] + origin)
    return bin_factors(fft_mode, mfft, scale_to)[:, None, None] * w * np.exp(-2j * np.pi * phases)


def multiplicity(fft_mode, mfft, scale_to):
    """Square root of the number of two-sided bins that each stored bin represents, divided by its factor."""
    weights = np.ones(len(frequencies(fft_mode, mfft)))
    if fft_mode in ("onesided", "onesided2X"):
        weights[1 : -1 if mfft % 2 == 0 else None] = math.sqrt(2)
    return weights / bin_factors(fft_mode, mfft, scale_to)


def twosided_matrix(window, theta, centres, samples, *, mfft, fft_mode="onesided", scale_to=None, **options):
    """Matrix whose product with a signal has the energy of the two-sided spectrum.

    For one-sided modes the rows are the real and imaginary parts, because the map is linear over the real numbers.
    """
    settings = {"mfft": mfft, "fft_mode": fft_mode, "scale_to": scale_to, **options}
    A = multiplicity(fft_mode, mfft, scale_to)[:, None, None] * matrix(window, theta, centres, samples, **settings)
    A = A.reshape(-1, len(samples))
    return np.concatenate([A.real, A.imag]) if fft_mode in ("onesided", "onesided2X") else A


def istft(S, window, theta, centres, n, *, mfft, fft_mode="onesided", scale_to=None, **options):
    """Signal of n samples whose two-sided transform is nearest to S, by dense least squares.

    A one-sided spectrum represents the two-sided spectrum of a real signal, so its paired bins count twice.
    """
    settings = {"mfft": mfft, "fft_mode": fft_mode, "scale_to": scale_to, **options}
    A = twosided_matrix(window, theta, centres, np.arange(n), **settings)
    b = (multiplicity(fft_mode, mfft, scale_to)[:, None] * S).ravel()
    if fft_mode in ("onesided", "onesided2X"):
        b = np.concatenate([b.real, b.imag])
    return np.linalg.lstsq(A, b, rcond=None)[0]


def frame_bounds(window, theta, centres, n, **settings):
    """Smallest and largest eigenvalue of the frame operator of the two-sided transform."""
    values = np.linalg.svd(twosided_matrix(window, theta, centres, np.arange(n), **settings), compute_uv=False)
    return (values[-1] ** 2 if len(values) == n else 0.0), values[0] ** 2
