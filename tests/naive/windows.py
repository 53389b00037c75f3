"""Window families and windows: ``omega(u)`` on [-1/2, 1/2), 1 at the centre."""

import math
from functools import cache

import numpy as np
from scipy.special import i0

COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.50, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
    "boxcar": (1.0,),
}


def cosine_sum(u, coefficients):
    """sum_k a_k cos(2 pi k u)"""
    return sum(a * np.cos(2 * np.pi * k * u) for k, a in enumerate(coefficients))


def tukey(u, alpha):
    """Flat in the middle 1 - alpha of the support, raised-cosine tapers of length alpha/2 on both sides."""
    distance = 0.5 - np.abs(u)  # from the nearer end
    if alpha <= 0:
        return np.ones_like(u)
    taper = 0.5 * (1 - np.cos(2 * np.pi * distance / alpha))
    return np.where(distance < alpha / 2, taper, 1.0)


def evaluate_family(window, u):
    """omega(u) for u in the support; `window` is a name, (name, shape), (name, (a0, a1, ...)) or a function."""
    if callable(window):
        return np.asarray(window(u), dtype=float)
    name, shape = (window, ()) if isinstance(window, str) else (window[0], np.ravel(window[1]))
    if name in COSINE_SUMS:
        return cosine_sum(u, COSINE_SUMS[name])
    if name == "general_cosine":
        return cosine_sum(u, shape)
    if name == "general_hamming":
        return cosine_sum(u, (shape[0], 1 - shape[0]))
    if name == "cosine":
        return np.cos(np.pi * u)
    if name == "gaussian":  # shape: length / sigma
        return np.exp(-0.5 * (shape[0] * u) ** 2)
    if name == "kaiser":
        return i0(shape[0] * np.sqrt(np.maximum(1 - 4 * u**2, 0))) / i0(shape[0])
    if name == "tukey":
        return tukey(u, shape[0])
    if name == "dpss":  # shape: half the time-bandwidth product
        return prolate(2 * u, np.pi * shape[0])
    raise ValueError(f"no family {name!r}")


def prolate(x, c):
    """The eigenfunction of largest energy in the band of ``sin(c (x - y)) / (pi (x - y))`` on [-1, 1], 1 at 0."""
    nodes, vector = prolate_at_nodes(c)
    at = np.append(np.ravel(x), 0.0)
    found = c / np.pi * np.sinc(c / np.pi * np.subtract.outer(at, nodes)) @ vector
    return (found[:-1] / found[-1]).reshape(np.shape(x))


@cache
def prolate_at_nodes(c):
    """Gauss-Legendre quadrature makes `prolate` an eigenvector, and its equation extends that to all x."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    kernel = c / np.pi * np.sinc(c / np.pi * np.subtract.outer(nodes, nodes))
    root = np.sqrt(weights)
    values, vectors = np.linalg.eigh(root[:, None] * kernel * root)
    return nodes, root * vectors[:, -1] / values[-1]


def window_samples(window, theta, distance):
    """omega(distance/theta) for -theta/2 <= distance < theta/2, otherwise 0; both arguments broadcast."""
    theta, distance = np.broadcast_arrays(np.asarray(theta, dtype=float), np.asarray(distance, dtype=float))
    inside = (distance >= -theta / 2) & (distance < theta / 2)
    values = np.zeros(distance.shape)
    values[inside] = evaluate_family(window, distance[inside] / theta[inside])
    return values


def support(theta, centre):
    """Integers that include all n with -theta/2 <= n - centre < theta/2."""
    return np.arange(math.floor(centre - theta / 2), math.ceil(centre + theta / 2) + 1)


def scale_factor(window, theta, scale_to, fs=1.0, window_offset=0.0):
    """c(theta) for an array of lengths, from the window samples of a frame at time 0."""
    theta = np.asarray(theta, dtype=float)
    n = support(theta.max(), window_offset)
    w = window_samples(window, theta[..., None], n - window_offset)
    if scale_to is None:
        return np.ones(theta.shape)
    if scale_to == "magnitude":
        return 1 / abs(w.sum(axis=-1))
    if scale_to == "psd":
        return np.sqrt(1 / fs / (w**2).sum(axis=-1))
    raise ValueError(f"no scaling {scale_to!r}")


def scaled_window(window, theta, t, n, scale_to=None, fs=1.0, window_offset=0.0):
    """w(n; t, theta); the last axis of the result is n, the axes before are those of t and theta."""
    t, theta = np.asarray(t, dtype=float)[..., None], np.asarray(theta, dtype=float)
    c = scale_factor(window, theta, scale_to, fs, window_offset)
    return c[..., None] * window_samples(window, theta[..., None], n - t - window_offset)
