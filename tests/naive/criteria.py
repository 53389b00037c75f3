"""Criteria of concentration, with their scopes."""

import math

import numpy as np

from naive.transform import frequencies, stft


def shannon(P, g, magnitude):
    """log Z - sum P log P / Z, with 0 log 0 = 0."""
    Z = (g * P).sum()
    return math.log(Z) - (g * P * np.log(np.where(P > 0, P, 1))).sum() / Z


def renyi(P, g, magnitude, alpha=3):
    """log(sum (P/Z)**alpha) / (1 - alpha)"""
    return math.log((g * P**alpha).sum() / (g * P).sum() ** alpha) / (1 - alpha)


def jones_parks(P, g, magnitude):
    """-log(sum P**2 / (sum P)**2)"""
    return -math.log((g * P**2).sum() / (g * P).sum() ** 2)


def stankovic(P, g, magnitude, r=2):
    """log((sum P**(1/r))**r / sum P)"""
    return math.log((g * P ** (1 / r)).sum() ** r / (g * P).sum())


def lp(P, g, magnitude, k=1):
    """log(sum P**(k/2)) - (k/2) log(sum P)"""
    return math.log((g * P ** (k / 2)).sum()) - k / 2 * math.log((g * P).sum())


def hoyer(P, g, magnitude):
    """-(sqrt(M) - sum|S| / sqrt(sum |S|**2)) / (sqrt(M) - 1)

    The weights of a neighbourhood are scaled so that their sum is the effective number of frames.
    """
    if np.ndim(g):
        g = g * (g.sum() / (g**2).sum())
    root = math.sqrt((g * np.ones(P.shape)).sum())
    return -(root - (g * magnitude).sum() / math.sqrt((g * magnitude**2).sum())) / (root - 1)


def gini(P, g, magnitude):
    """Minus the Gini index: half the relative mean absolute difference of all pairs, weighted."""
    w = np.broadcast_to(g, P.shape)
    p, w = P[w > 0], w[w > 0]
    differences = w[:, None] * w[None, :] * np.abs(p[:, None] - p[None, :])
    return -differences.sum() / (2 * w.sum() * (w * p).sum())


MEASURES = {
    "shannon": shannon,
    "renyi": renyi,
    "kurtosis": jones_parks,
    "stankovic": stankovic,
    "lp": lp,
    "hoyer": hoyer,
    "gini": gini,
}


def criterion(name, S, scope="global", *, power=2, g=None, e=None, **parameters):
    """Criterion of S (..., f_pts, p_num), over all channels and bins.

    Frames and neighbourhoods without energy are left out of the average.
    ``scope="local"`` needs the neighbourhood weights `g` (r_num, p_num), or (r_num, f_pts, p_num) for tiles,
    and their energy shares `e` (r_num,).
    """
    magnitude = np.abs(np.asarray(S))
    P = magnitude**power
    measure = MEASURES[name]
    if scope == "global":
        return measure(P, 1.0, magnitude, **parameters)
    if scope == "frame":
        audible = [p for p in range(P.shape[-1]) if P[..., p].any()]
        if name == "kurtosis":
            return 1 / np.mean([np.mean(P[..., p] ** 2) / np.mean(P[..., p]) ** 2 for p in audible])
        return np.mean([measure(P[..., p], 1.0, magnitude[..., p], **parameters) for p in audible])
    audible = [r for r in range(len(e)) if e[r] > 0 and (g[r] * P).sum() > 0]
    values = [measure(P, g[r], magnitude, **parameters) for r in audible]
    return np.average(values, weights=[e[r] for r in audible])


def neighbourhoods(x, centres, width):
    """(g, e) of the local scope: raised cosines of support `width` at intervals of width/4, symmetric to the middle.

    `g` are the weights of the frames, (r_num, p_num); `e` is the share of the signal energy in each neighbourhood,
    (r_num,).
    """
    x = np.reshape(x, (-1, np.shape(x)[-1]))
    n = x.shape[1]
    steps = math.ceil((n - 1) / (width / 4))
    middles = (n - 1) / 2 + (np.arange(steps + 1) - steps / 2) * width / 4

    def weights(times):
        distance = (np.asarray(times) - middles[:, None]) / width
        return np.where(np.abs(distance) < 0.5, np.cos(np.pi * distance) ** 2, 0.0)

    e = weights(np.arange(n)) @ (np.abs(x) ** 2).sum(axis=0)
    return weights(centres), e / e.sum()


def bands(fft_mode, mfft, count):
    """Weights (count, f_pts) of smooth bands: raised cosines, evenly spaced on a warped frequency scale.

    The scale is log(1 + 64 |k|/mfft) with the sign of the bin k; the interval of bands is a quarter of their support.
    """
    k = frequencies(fft_mode, mfft) * mfft
    places = np.sign(k) * np.log(1 + 64 * np.abs(k) / mfft)
    if count == 1:
        return np.full((1, len(k)), 2.0)
    middles = np.linspace(places.min(), places.max(), count)
    distance = (places - middles[:, None]) / (4 * (middles[1] - middles[0]))
    return np.where(np.abs(distance) < 0.5, np.cos(np.pi * distance) ** 2, 0.0)


def tiles(x, centres, width, count, *, mfft, fft_mode, fs=1.0):
    """(g, e) of the local scope with bands: weights (tiles, f_pts, p_num) and shares (tiles,), band by band.

    The shares are energies of a spectrogram with Hann windows of length width/4, limited to 2 ... mfft samples, and
    a hop of a quarter of that length.
    """
    x = np.reshape(x, (-1, np.shape(x)[-1]))
    length = min(max(width / 4, 2.0), mfft)
    times = np.arange(math.ceil((x.shape[1] - 1) / (length / 4)) + 1) * length / 4
    scale_to = "psd"  # windows of unit energy
    S = np.array([stft(c, "hann", length, times, mfft=mfft, fft_mode=fft_mode, fs=fs, scale_to=scale_to) for c in x])
    b = bands(fft_mode, mfft, count)[:, None, :, None]
    e = (b * neighbourhoods(x, times, width)[0][:, None] * (np.abs(S) ** 2).sum(axis=0)).sum(axis=(2, 3))
    g = b * neighbourhoods(x, centres, width)[0][:, None]
    return g.reshape(-1, *g.shape[2:]), e.ravel() / e.sum()
