"""The transform: frequencies, padding, phase, and the sums over samples."""

import math

import numpy as np

from naive.windows import scaled_window, support, window_samples

FFT_MODES = ("onesided", "onesided2X", "twosided", "centered")


SCALINGS = (None, "magnitude", "psd")


#: All legal pairs of fft_mode and scaling; in SciPy onesided2X needs a scaling.
MODE_SCALINGS = [(m, s) for m in FFT_MODES for s in SCALINGS if (m, s) != ("onesided2X", None)]


def sample_padded(x, n, padding):
    """x[n] for any integer n, extended by `padding`."""
    last = len(x) - 1
    if 0 <= n <= last:
        return x[n]
    if padding == "zeros":
        return 0.0
    edge = 0 if n < 0 else last
    if padding == "edge" or last == 0:  # a single sample has no reflection
        return x[edge]
    mirrored = sample_padded(x, 2 * edge - n, padding)
    if padding == "even":
        return mirrored
    if padding == "odd":
        return 2 * x[edge] - mirrored
    raise ValueError(f"no padding {padding!r}")


def frequencies(fft_mode, mfft, fs=1.0):
    """f_q in Hz."""
    if fft_mode in ("onesided", "onesided2X"):
        bins = np.arange(mfft // 2 + 1)
    elif fft_mode == "centered":
        bins = np.arange(-(mfft // 2), mfft - mfft // 2)
    else:
        bins = np.array([q if q < (mfft + 1) // 2 else q - mfft for q in range(mfft)])
    return bins * fs / mfft


def bin_factors(fft_mode, mfft, scale_to):
    """Factor of each stored bin in the mode 'onesided2X'."""
    factors = np.ones(len(frequencies(fft_mode, mfft)))
    if fft_mode == "onesided2X":
        paired = slice(1, -1 if mfft % 2 == 0 else None)
        factors[paired] = {"psd": math.sqrt(2), "magnitude": 2.0}[scale_to]
    return factors


def phase_origin(phase_shift, max_length):
    """Samples added to n - t_p in the phase: SciPy rolls by (phase_shift + m_num//2) modulo m_num."""
    if phase_shift is None:
        return max_length // 2
    return max_length // 2 - (phase_shift + max_length // 2) % max_length


def stft(
    x,
    window,
    theta,
    centres,
    *,
    mfft,
    fs=1.0,
    fft_mode="onesided",
    scale_to=None,
    phase_shift=0,
    max_length=None,
    window_offset=0.0,
    padding="zeros",
):
    """S[q, p] for one channel; `theta` broadcasts to (f_pts, p_num), `centres` are real numbers in samples."""
    x = np.asarray(x)
    x = x.astype(complex if np.iscomplexobj(x) else float)
    f = frequencies(fft_mode, mfft, fs)
    factors = bin_factors(fft_mode, mfft, scale_to)
    # One row where a frame has one length for all frequencies.
    theta, centres = np.atleast_2d(np.asarray(theta, dtype=float)), np.asarray(centres, dtype=float)
    theta = np.broadcast_to(theta, (len(theta), len(centres)))
    max_length = math.ceil(theta.max()) if max_length is None else max_length
    origin = phase_origin(phase_shift, max_length)
    first = np.floor(centres + window_offset - theta.max(axis=0) / 2).astype(int)
    n = first[:, None] + np.arange(math.ceil(theta.max()) + 2)  # each row contains the support of its frame
    padded = np.array([sample_padded(x, i, padding) for i in range(n.min(), n.max() + 1)])[n - n.min()]
    S = np.zeros((len(f), len(centres)), dtype=complex)
    # Many frames at a time, as calls of NumPy take longer than the sums; not all, which may need much memory.
    for some in np.array_split(np.arange(len(centres)), 1 + len(f) * n.size // 100_000):
        t, m = centres[some, None], n[some]
        phasors = np.exp(-2j * np.pi * (f / fs)[:, None, None] * (m - t + origin))
        w = scaled_window(window, theta[:, some], centres[some], m, scale_to, fs, window_offset)
        S[:, some] = factors[:, None] * (w * phasors * padded[some]).sum(axis=-1)
    return S


def slice_range(window, theta, hop, n, window_offset=0.0):
    """(p_min, p_max) of the frames with nonzero window samples in 0 ... n-1, by steps outwards from 0 and n//hop."""

    def touches(p):
        m = support(theta, p * hop + window_offset)
        w = window_samples(window, theta, m - p * hop - window_offset)
        return bool(np.any(w[(m >= 0) & (m < n)] != 0))

    p_min, p_last = 0, math.floor(n / hop)
    while touches(p_min - 1):
        p_min -= 1
    while touches(p_last + 1):
        p_last += 1
    return p_min, p_last + 1


def stft_of(transform, window, x, p0=None, p1=None, *, k_offset=0, padding="zeros"):
    """Expected result of ``transform.stft(x, ...)``, from the attributes of the transform."""
    first, stop = transform.p_range(np.shape(x)[-1], p0, p1)
    centres = np.arange(first, stop) * transform.hop if transform.positions is None else transform.positions[first:stop]
    theta = np.asarray(transform.win_length)
    if theta.ndim == 1 or (theta.ndim == 2 and theta.shape[1] > 1):
        theta = theta[..., first - transform.p_min : stop - transform.p_min]
    settings = {name: getattr(transform, name) for name in ("mfft", "fs", "fft_mode", "phase_shift", "window_offset")}
    settings |= {"scale_to": transform.scaling, "max_length": transform.m_num, "padding": padding}
    channels = np.reshape(x, (-1, np.shape(x)[-1]))
    S = np.array([stft(channel, window, theta, centres + k_offset, **settings) for channel in channels])
    return S.reshape(*np.shape(x)[:-1], *S.shape[1:])
