"""What tasks want from a window length: denoising, coding, tracking of ridges, and onsets.

Each function returns a loss for every window length; its minimum over the grid is the oracle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.fft import dct, irfft

from adaptstft import datasets
from benchmarks.criteria_measures import hann, plane, stft

#: Spread of a sine window relative to that of a Hann window of the same length (standard deviations of their squares).
SINE_SPREAD = float(np.sqrt((1 / 12 - 1 / (2 * np.pi**2)) / (1 / 12 - 5 / (8 * np.pi**2))))


def denoised(y: Any, length: float, variance: float) -> Any:
    """Denoise by the empirical Wiener gain, the positive part of ``1 - variance / P``."""
    hop = max(1, int(length / 4))
    S, mfft, _ = stft(y, length, hop)
    P = S.real**2 + S.imag**2
    w = hann(length)
    frames = irfft(S * np.maximum(1 - variance / np.maximum(P, 1e-300), 0), mfft, axis=1)[:, : w.size] * w
    total = _overlap_add(frames, hop)
    cover = _overlap_add(np.broadcast_to(w * w, frames.shape), hop)
    first = 2 * (w.size // 2)
    return (total / np.maximum(cover, 1e-12))[first : first + y.size]


def _overlap_add(frames: Any, hop: int) -> Any:
    """Add frames that begin every `hop` samples."""
    count, size = frames.shape
    together = -(-size // hop)  # frames with the same remainder do not overlap
    out = np.zeros((count + together) * hop + size)
    for first in range(together):
        part = frames[first::together]
        block = np.zeros((len(part), together * hop))
        block[:, :size] = part
        out[first * hop : first * hop + block.size] += block.ravel()
    return out


def denoising_loss(x: Any, y: Any, variance: float, lengths: Any) -> Any:
    """Return the error of denoising in dB relative to the signal."""
    errors = [np.sum((x - denoised(y, float(length), variance)) ** 2) for length in lengths]
    return 10 * np.log10(np.array(errors) / np.sum(x**2))


def mdct(x: Any, half: int) -> Any:
    """Return the orthonormal MDCT with sine windows of ``2 * half`` samples, shape (frames, half); `half` is even."""
    count = -(-x.size // half) + 1
    padded = np.zeros((count + 1) * half)
    padded[half : half + x.size] = x
    blocks = padded.reshape(-1, half)
    sine = np.sin(np.pi * (np.arange(2 * half) + 0.5) / (2 * half))
    early, late = blocks[:-1] * sine[:half], blocks[1:] * sine[half:]
    q = half // 2
    folded = np.concatenate([-late[:, :q][:, ::-1] - late[:, q:], early[:, :q] - early[:, q:][:, ::-1]], axis=1)
    return dct(folded, 4, axis=1, norm="ortho")


def rate(x: Any, half: int, db: float) -> float:
    """Return bits per sample of uniformly quantised MDCT coefficients at a signal-to-noise ratio.

    A Laplace distribution codes each number. Its scale follows from numbers that the decoder has already, the
    neighbours in the previous frame and at lower frequencies, as in audio coders with adaptive contexts.
    """
    c = mdct(x, half)
    allowed = np.sum(x**2) * 10 ** (-db / 10)
    low, high = -12.0, 3.0
    for _ in range(16):
        step = float(np.exp((low + high) / 2)) * np.sqrt(np.mean(x**2))
        q = np.rint(c / step)
        low, high = (low, (low + high) / 2) if np.sum((c - step * q) ** 2) > allowed else ((low + high) / 2, high)
    return _code_length(np.abs(q)) / x.size


def _code_length(q: Any) -> float:
    """Return the bits for magnitudes and signs of whole numbers."""
    p = np.pad(q, ((1, 0), (2, 1)))
    before, now = p[:-1], p[1:]
    near = (2 * now[:, 1:-2] + now[:, :-3] + 2 * before[:, 2:-1] + before[:, 3:] + before[:, 1:-2]) / 7
    return min(_laplace_bits(q, a * near + b) for a in (0.8, 1.1, 1.5) for b in (0.03, 0.06, 0.12, 0.25))


def _laplace_bits(q: Any, scale: Any) -> float:
    """Return the bits of whole numbers under Laplace distributions of these scales."""
    half = 0.5 / scale
    zero = -np.log(-np.expm1(-half))
    other = q / scale - np.log(np.sinh(np.minimum(half, 300.0))) - np.maximum(half - 300.0, 0.0)
    return float(np.sum(np.where(q == 0, zero, other)) / np.log(2))


def rates(x: Any, lengths: Any, db: float) -> Any:
    """Return the bits per sample at the MDCT window with the spread of the Hann window of each length."""
    halves = [max(8, 2 * round(length / SINE_SPREAD / 4)) for length in lengths]
    return np.array([rate(x, half, db) for half in halves])


@dataclass(frozen=True)
class Law:
    """A synthetic signal with instantaneous frequencies.

    Attributes
    ----------
    name : str
        Name of the signal.
    x : ndarray, shape (n,)
        Samples without noise.
    frequency : ndarray, shape (components, n)
        Frequencies in cycles per sample, NaN where a component is silent.
    """

    name: str
    x: Any
    frequency: Any


def laws() -> Iterator[Law]:
    """Yield the synthetic signals."""
    for name, signal in (
        ("slow linear chirp", datasets.linear_chirp(20.0)),
        ("fast linear chirp", datasets.linear_chirp(100.0)),
        ("chirps in sequence", datasets.chirps_in_sequence()),
        ("chirps in parallel", datasets.chirps_in_parallel()),
        ("sinusoidal modulation", datasets.sinusoidal_fm()),
        ("run-up", datasets.run_up()),
        ("modulated chirp and tone", datasets.sine_modulated_chirp_and_tone(noise_std=0.0)),
        ("tones in sequence", datasets.piecewise_tones()),
    ):
        yield Law(name, signal.clean, signal.frequency / signal.fs)
    t = np.arange(3000) / 1000
    yield _from_laws("hyperbolic chirp", 60 / (1.2 - 0.36 * t))
    yield _from_laws("quadratic chirp", 60 + 30 * t**2)
    yield _from_laws("crossing chirps", 60 + 90 * t, 400 - 100 * t)
    yield _from_laws("two tones", 120 + 0 * t, 130 + 0 * t)


def _from_laws(name: str, *frequencies: Any) -> Law:
    f = np.array(frequencies) / 1000
    return Law(name, np.cos(2 * np.pi * np.cumsum(f, axis=1)).sum(0), f)


def ridge_loss(law: Law, y: Any, lengths: Any, frames: int = 300) -> Any:
    """Return the error of ridges in cycles per sample: root mean square over components and frames."""
    return np.array([_ridge_error(law, y, float(length), max(1, y.size // frames)) for length in lengths])


def _ridge_error(law: Law, y: Any, length: float, hop: int) -> float:
    p = plane(y, length, hop)
    inside = (p.centres > 0.03 * y.size) & (p.centres < 0.97 * y.size)
    f = law.frequency[:, p.centres[inside]]
    power = np.log(p.power[inside] + 1e-300)
    errors = []
    for i in range(len(f)):
        others = np.abs(np.delete(f, i, axis=0) - f[i])
        gap = np.nanmin(others, axis=0, initial=0.1)
        # components closer than the shortest useful resolution have no ridges of their own
        there = np.isfinite(f[i]) & (gap > 0.008)
        errors.append(_peaks(power[there], p.frequencies, f[i][there], 0.5 * gap[there]) - f[i][there])
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def _peaks(power: Any, frequencies: Any, law: Any, gate: Any) -> Any:
    """Return the frequency of the largest value within a gate around the law, interpolated by a parabola."""
    masked = np.where(np.abs(frequencies - law[:, None]) <= gate[:, None], power, -np.inf)
    k = np.clip(np.argmax(masked, axis=1), 1, frequencies.size - 2)
    rows = np.arange(len(law))
    a, b, c = power[rows, k - 1], power[rows, k], power[rows, k + 1]
    curvature = a - 2 * b + c
    shift = np.where(curvature < 0, 0.5 * (a - c) / np.where(curvature < 0, curvature, 1.0), 0.0)
    return frequencies[k] + np.clip(shift, -0.5, 0.5) * frequencies[1]


def onset_signal(kind: str, seed: int, fs: float = 8000.0) -> tuple[Any, Any]:
    """Return short pulses (``"pulses"``) or struck notes (``"notes"``) within 4 s, and their times in samples."""
    rng = np.random.default_rng(seed)
    times = np.round(fs * (0.15 + 0.18 * np.arange(20) + 0.08 * rng.random(20))).astype(int)
    x, t = np.zeros(round(4 * fs)), np.arange(round(4 * fs)) / fs
    for time in times:
        after = t[: x.size - time]
        decay, frequency = (0.001, 2000.0) if kind == "pulses" else (0.05, rng.uniform(300, 2000))
        x[time:] += np.exp(-after / decay) * np.sin(2 * np.pi * frequency * after)
    return x, times


def onset_loss(y: Any, times: Any, lengths: Any, fs: float = 8000.0) -> Any:
    """Return the mean error of onsets in ms, without the constant delay of each length.

    The onset is the largest increase of magnitudes, summed over frequency (spectral flux), within 50 ms.
    """
    near = round(0.05 * fs)
    losses = []
    for length in lengths:
        reach = near + int(np.ceil(length / 2))
        padded = np.pad(y, reach)
        errors = [_onset(padded[time : time + 2 * reach], float(length), near, reach) for time in times]
        losses.append(1000 / fs * np.mean(np.abs(np.array(errors) - np.median(errors))))
    return np.array(losses)


def _onset(y: Any, length: float, near: int, middle: int, hop: int = 2) -> float:
    """Return the time of the largest spectral flux relative to the middle, in samples."""
    p = plane(y, length, hop)
    around = np.abs(p.centres - middle) < near
    flux = np.sum(np.maximum(np.diff(np.sqrt(p.power[around]), axis=0), 0) * p.area, axis=1)
    return float(p.centres[around][np.argmax(flux)] + hop / 2 - middle)


def noisy(x: Any, db: float, seed: int) -> tuple[Any, float]:
    """Return the signal with white noise at a signal-to-noise ratio, and the variance of the noise."""
    variance = float(np.mean(x**2)) * 10 ** (-db / 10)
    return x + np.sqrt(variance) * np.random.default_rng(seed).standard_normal(x.size), variance
