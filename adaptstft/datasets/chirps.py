"""Components with varying frequency: linear chirps, sinusoidal modulation, and the run-up of a machine.

The best window length follows from the chirp rate, see `adaptstft.datasets`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptstft.common.validation import as_real, check_positive
from adaptstft.datasets.signal import Seed, Signal, check_band, count_samples, from_laws, with_noise


def linear_chirp(rate: float = 60.0, *, f0: float | None = None, duration: float = 4.0, fs: float = 1000.0) -> Signal:
    """Make a linear chirp of unit amplitude, for which one window length is the best at all times.

    Parameters
    ----------
    rate : float
        Chirp rate in Hz/s; negative for a falling chirp.
    f0 : float, optional
        Frequency of sample 0 in Hz. By default the chirp is centred on a quarter of `fs`.
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    Signal
        One component with constant ``sigma_t``.

    Raises
    ------
    ValueError
        If a value is out of range, or the chirp leaves the band from 0 to ``fs / 2``.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> s = datasets.linear_chirp(rate=100.0)
    >>> s.x.shape, round(float(s.sigma_t[0, 0]), 4)
    ((4000,), 0.0399)
    """
    n = count_samples(duration, fs)
    start = fs / 4 - as_real("rate", rate) * duration / 2 if f0 is None else as_real("f0", f0)
    frequency = start + float(rate) * np.arange(n, dtype=np.float64) / fs
    check_band(frequency, fs)
    return from_laws("linear_chirp", fs, frequency[None], np.full((1, n), float(rate)))


def chirps_in_sequence(
    rates: Sequence[float] = (15.0, 150.0), *, f0: float = 50.0, duration: float = 2.0, fs: float = 1000.0
) -> Signal:
    """Make linear chirps one after the other, so that the best window length changes with time.

    Frequency and phase are continuous; the chirp rate jumps.

    Parameters
    ----------
    rates : sequence of float
        Chirp rates in Hz/s.
    f0 : float
        Frequency of sample 0 in Hz.
    duration : float
        Duration of each chirp in seconds.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    Signal
        One component; ``joints`` are the samples where the chirp rate changes.

    Raises
    ------
    ValueError
        If a value is out of range, or the frequency leaves the band from 0 to ``fs / 2``.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> s = datasets.chirps_in_sequence()
    >>> s.joints, s.win_length()[0, [1000, 3000]].round()
    (array([2000]), array([618., 195.]))
    """
    if len(rates) == 0:
        raise ValueError(f"rates={rates!r} must hold at least one chirp rate")
    n = count_samples(duration, fs)
    chirp_rate = np.repeat([as_real("rates", rate) for rate in rates], n)
    steps = np.concatenate([[0.0], chirp_rate[:-1]]) / fs
    frequency = as_real("f0", f0) + np.cumsum(steps)
    check_band(frequency, fs)
    joints = n * np.arange(1, len(rates))
    return from_laws("chirps_in_sequence", fs, frequency[None], chirp_rate[None], joints=joints)


def chirps_in_parallel(
    rates: Sequence[float] = (8.0, 80.0),
    f0: Sequence[float] = (40.0, 180.0),
    *,
    duration: float = 3.0,
    fs: float = 1000.0,
) -> Signal:
    """Make simultaneous linear chirps in different bands, so that the best window length depends on frequency.

    Parameters
    ----------
    rates : sequence of float
        Chirp rates in Hz/s.
    f0 : sequence of float
        Frequencies of sample 0 in Hz, one for each rate.
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    Signal
        One component of unit amplitude for each rate.

    Raises
    ------
    ValueError
        If a value is out of range, `rates` and `f0` differ in length, or a frequency leaves the band from 0
        to ``fs / 2``.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> datasets.chirps_in_parallel().win_length()[:, 0].round()
    array([846., 268.])
    """
    if len(rates) != len(f0) or len(rates) == 0:
        raise ValueError(f"rates={rates!r} and f0={f0!r} must have the same length, at least 1")
    n = count_samples(duration, fs)
    chirp_rate = np.array([[as_real("rates", rate)] for rate in rates])
    start = np.array([[as_real("f0", value)] for value in f0])
    frequency = start + chirp_rate * np.arange(n) / fs
    check_band(frequency, fs)
    return from_laws("chirps_in_parallel", fs, frequency, np.broadcast_to(chirp_rate, frequency.shape).copy())


def sinusoidal_fm(
    frequency: float = 150.0,
    deviation: float = 80.0,
    period: float = 2.0,
    *,
    duration: float = 6.0,
    fs: float = 1000.0,
    noise_std: float = 0.0,
    rng: Seed = 0,
) -> Signal:
    """Make a component of unit amplitude with sinusoidal frequency modulation.

    Parameters
    ----------
    frequency, deviation : float
        Mean frequency and largest deviation from it, in Hz.
    period : float
        Period of the modulation in seconds.
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.
    noise_std : float
        Standard deviation of white noise.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None gives different noise in each call.

    Returns
    -------
    Signal
        One component.

    Raises
    ------
    ValueError
        If a value is out of range, or the frequency leaves the band from 0 to ``fs / 2``.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> datasets.sinusoidal_fm().frequency[0, [0, 500, 1500]].round()
    array([150., 230.,  70.])
    """
    n = count_samples(duration, fs)
    omega = 2 * np.pi / check_positive("period", period)
    phase = omega * np.arange(n)[None] / fs
    laws = as_real("frequency", frequency) + as_real("deviation", deviation) * np.sin(phase)
    check_band(laws, fs)
    rates = deviation * omega * np.cos(phase)
    return with_noise(from_laws("sinusoidal_fm", fs, laws, rates), noise_std, rng)


def sine_modulated_chirp_and_tone(*, noise_std: float = 0.1, rng: Seed = 0) -> Signal:
    """Make a chirp with a sinusoidal frequency law and a steady tone (25,000 samples at 10 kHz).

    The phases increase by ``(100 sin(2 pi t) + 100 + 50 t) / 200`` and ``500 / 200`` radians per sample, with
    ``t`` in seconds. The chirp is between 296 and 2489 Hz, and the tone at 3979 Hz.

    Parameters
    ----------
    noise_std : float
        Standard deviation of white noise; both components have unit amplitude.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None gives different noise in each call.

    Returns
    -------
    Signal
        Two components.

    Raises
    ------
    ValueError
        If `noise_std` is negative or not finite.

    References
    ----------
    .. [1] M. Leiber, Y. Marnissi, A. Barrau, S. Meignen, L. Massoulié, "Optimal adaptive time-frequency
       representation via differentiable short-time Fourier transform", IEEE Trans. Signal Process. 73, 2025,
       :doi:`10.1109/TSP.2025.3624477`.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> datasets.sine_modulated_chirp_and_tone().frequency[:, 0].round()
    array([ 796., 3979.])
    """
    fs = 10_000.0
    t = np.arange(25_000) / fs
    to_hz = fs / (2 * np.pi * 200.0)
    chirp = to_hz * (100.0 * np.sin(2 * np.pi * t) + 100.0 + 50.0 * t)
    rate = to_hz * (200.0 * np.pi * np.cos(2 * np.pi * t) + 50.0)
    laws = np.stack([chirp, np.full_like(t, to_hz * 500.0)])
    signal = from_laws("sine_modulated_chirp_and_tone", fs, laws, np.stack([rate, np.zeros_like(t)]))
    return with_noise(signal, noise_std, rng)


def run_up(
    f0: float = 30.0,
    f1: float = 180.0,
    *,
    amplitudes: Sequence[float] = (1.0,),
    duration: float = 6.0,
    fs: float = 1000.0,
    noise_std: float = 0.0,
    rng: Seed = 0,
) -> Signal:
    """Make the vibration of a machine whose speed rises from one value to another.

    The speed is constant for 3/10 of the time, rises along half a period of a cosine for 4/10, and is constant again.

    Parameters
    ----------
    f0, f1 : float
        First and last speed in Hz; the speed falls if `f1` is lower.
    amplitudes : sequence of float
        Amplitudes of the orders 1, 2, 3, ... (multiples of the speed).
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.
    noise_std : float
        Standard deviation of white noise.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None gives different noise in each call.

    Returns
    -------
    Signal
        One component for each amplitude; ``frequency[0]`` is the speed, and ``joints`` are the samples where the
        rise begins and ends.

    Raises
    ------
    ValueError
        If a value is out of range, or an order leaves the band from 0 to ``fs / 2``.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> s = datasets.run_up(amplitudes=(1.0, 0.5))
    >>> s.frequency[:, [0, 3000, 5999]].round()
    array([[ 30., 105., 180.],
           [ 60., 210., 360.]])
    """
    if len(amplitudes) == 0:
        raise ValueError(f"{amplitudes=} must hold at least one amplitude")
    n = count_samples(duration, fs)
    span, rise = 0.4 * duration, as_real("f1", f1) - as_real("f0", f0)
    phase = np.pi * np.clip((np.arange(n) / fs - 0.3 * duration) / span, 0.0, 1.0)
    orders = np.arange(1, len(amplitudes) + 1)[:, None]
    laws = orders * (f0 + rise * (1 - np.cos(phase)) / 2)
    check_band(laws, fs)
    sizes = np.array([[check_positive("amplitudes", value)] for value in amplitudes])
    rates = orders * (rise * np.pi / (2 * span) * np.sin(phase))
    joints = [round(0.3 * n), round(0.7 * n)]
    return with_noise(from_laws("run_up", fs, laws, rates, amplitude=sizes, joints=joints), noise_std, rng)
