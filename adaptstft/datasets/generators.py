"""Synthetic signals of the literature, each with the truth that a tuned transform should find.

Every function returns a `Signal`. A component of instantaneous chirp rate ``c`` (Hz/s) is most concentrated
by a Gaussian window of standard deviation ``1 / sqrt(2 pi |c|)`` seconds [1]_, which is what `Signal.sigma_t`
and `Signal.win_length` give; a steady tone wants the longest window there is, a click the shortest.

References
----------
.. [1] S. Meignen, M. Colominas, D.-H. Pham, "On the use of Rényi entropy for optimal window size computation
   in the short-time Fourier transform", ICASSP 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptstft.common.validation import as_index, as_real, check_positive
from adaptstft.datasets.signal import Seed, Signal
from adaptstft.datasets.signal import check_band as _check_band
from adaptstft.datasets.signal import count_samples as _samples
from adaptstft.datasets.signal import from_laws as _from_laws
from adaptstft.datasets.signal import with_noise as _with_noise

__all__ = [
    "Signal",
    "chirps_in_parallel",
    "chirps_in_sequence",
    "click",
    "close_tones_and_clicks",
    "decaying_tones_with_clicks",
    "linear_chirp",
    "piecewise_tones",
    "run_up",
    "sine_modulated_chirp_and_tone",
    "sinusoidal_fm",
    "tone",
]

_PIECES = ((1484, 50.0), (1153, 228.0), (635, 65.0), (361, 171.0), (1796, 30.0), (1207, 144.0))
_CLICKS = (138, 768, 1259, 1647)


def linear_chirp(rate: float = 60.0, *, f0: float | None = None, duration: float = 4.0, fs: float = 1000.0) -> Signal:
    """One linear chirp of unit amplitude: one window length is the best throughout, and known.

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
        One component; ``sigma_t`` is the same at every instant.

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
    n = _samples(duration, fs)
    start = fs / 4 - as_real("rate", rate) * duration / 2 if f0 is None else as_real("f0", f0)
    frequency = start + float(rate) * np.arange(n, dtype=np.float64) / fs
    _check_band(frequency, fs)
    return _from_laws("linear_chirp", fs, frequency[None], np.full((1, n), float(rate)))


def chirps_in_sequence(
    rates: Sequence[float] = (15.0, 150.0), *, f0: float = 50.0, duration: float = 2.0, fs: float = 1000.0
) -> Signal:
    """Linear chirps one after another: the best window length changes in time, and is known.

    Frequency and phase are continuous, only the chirp rate jumps.

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
        One component; ``joints`` holds the samples where the rate changes.

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
    n = _samples(duration, fs)
    chirp_rate = np.repeat([as_real("rates", rate) for rate in rates], n)
    steps = np.concatenate([[0.0], chirp_rate[:-1]]) / fs
    frequency = as_real("f0", f0) + np.cumsum(steps)
    _check_band(frequency, fs)
    joints = n * np.arange(1, len(rates))
    return _from_laws("chirps_in_sequence", fs, frequency[None], chirp_rate[None], joints=joints)


def chirps_in_parallel(
    rates: Sequence[float] = (8.0, 80.0),
    f0: Sequence[float] = (40.0, 180.0),
    *,
    duration: float = 3.0,
    fs: float = 1000.0,
) -> Signal:
    """Linear chirps at the same time in different bands: the best length depends on frequency.

    Parameters
    ----------
    rates : sequence of float
        Chirp rates in Hz/s.
    f0 : sequence of float
        Frequencies of sample 0 in Hz, one per rate.
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    Signal
        One component per rate, of unit amplitude each.

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
    n = _samples(duration, fs)
    chirp_rate = np.array([[as_real("rates", rate)] for rate in rates])
    start = np.array([[as_real("f0", value)] for value in f0])
    frequency = start + chirp_rate * np.arange(n) / fs
    _check_band(frequency, fs)
    return _from_laws("chirps_in_parallel", fs, frequency, np.broadcast_to(chirp_rate, frequency.shape).copy())


def tone(frequency: float = 100.0, *, duration: float = 4.0, fs: float = 1000.0) -> Signal:
    """Make a steady tone of unit amplitude: the longest window is the best.

    Parameters
    ----------
    frequency : float
        Frequency in Hz, between 0 and ``fs / 2``.
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    Signal
        One component with an infinite ``win_length()``.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> float(datasets.tone().win_length().min())
    inf
    """
    laws = np.full((1, _samples(duration, fs)), as_real("frequency", frequency))
    _check_band(laws, fs)
    return _from_laws("tone", fs, laws, np.zeros_like(laws))


def click(position: int = 2000, *, duration: float = 4.0, fs: float = 1000.0) -> Signal:
    """One sample of height 1 in silence: the shortest window is the best.

    Parameters
    ----------
    position : int
        Sample index of the click.
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    Signal
        No components, one click.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> s = datasets.click(500)
    >>> s.clicks, float(s.x[500])
    (array([500]), 1.0)
    """
    empty = np.empty((0, _samples(duration, fs)))
    where = as_index("position", position, 0)
    if where >= empty.shape[1]:
        raise ValueError(f"{position=} must lie between 0 and {empty.shape[1] - 1}")
    return _from_laws("click", fs, empty, empty, clicks=[where], click_height=1.0)


def piecewise_tones(*, noise_std: float = 0.2, rng: Seed = 0) -> Signal:
    """Six tones of unit amplitude, one after another, in white noise (6636 samples at 1 kHz).

    The phase is continuous across the joints. Between them the longest window that stays within the piece is
    the best.

    Parameters
    ----------
    noise_std : float
        Standard deviation of the noise.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None draws a different noise each time.

    Returns
    -------
    Signal
        One component; ``joints`` holds the five samples where the frequency jumps.

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
    >>> s = datasets.piecewise_tones()
    >>> s.x.shape, s.joints
    ((6636,), array([1484, 2637, 3272, 3633, 5429]))
    """
    lengths, frequencies = zip(*_PIECES, strict=True)
    laws = np.repeat(frequencies, lengths)[None]
    joints = np.cumsum(lengths)[:-1]
    signal = _from_laws("piecewise_tones", 1000.0, laws, np.zeros_like(laws), joints=joints)
    return _with_noise(signal, noise_std, rng)


def decaying_tones_with_clicks(
    frequencies: Sequence[float] = (60.0, 150.0, 240.0, 330.0),
    *,
    decay: float = 0.4,
    click_height: float = 5.0,
    noise_std: float = 0.0,
    rng: Seed = 0,
) -> Signal:
    """Four clicks, each setting off a tone that decays (3 s at 1 kHz).

    Parameters
    ----------
    frequencies : sequence of float
        Frequencies of the four tones in Hz.
    decay : float
        Time in seconds in which a tone falls to 1/e of its unit amplitude.
    click_height : float
        Height of the clicks, which are one sample wide.
    noise_std : float
        Standard deviation of white noise.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None draws a different noise each time.

    Returns
    -------
    Signal
        Four components, each silent before its click at sample 138, 768, 1259 or 1647.

    Raises
    ------
    ValueError
        If a value is out of range, or there are not four frequencies.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> datasets.decaying_tones_with_clicks().clicks
    array([ 138,  768, 1259, 1647])
    """
    if len(frequencies) != len(_CLICKS):
        raise ValueError(f"frequencies={frequencies!r} must hold {len(_CLICKS)} values, one per click")
    fs, n = 1000.0, 3000
    since_click = np.arange(n) - np.array(_CLICKS)[:, None]
    values = np.array([[as_real("frequencies", value)] for value in frequencies])
    laws = np.where(since_click >= 0, values, np.nan)
    _check_band(laws, fs)
    decay_samples = check_positive("decay", decay) * fs
    envelope = np.exp(-np.maximum(since_click, 0) / decay_samples)
    signal = _from_laws(
        "decaying_tones_with_clicks",
        fs,
        laws,
        np.where(since_click >= 0, 0.0, np.nan),
        amplitude=envelope,
        clicks=_CLICKS,
        click_height=click_height,
    )
    return _with_noise(signal, noise_std, rng)


def close_tones_and_clicks(*, click_height: float = 10.0) -> Signal:
    """Two close tones, then clicks, then a third tone (4 s at 1 kHz): a problem with several local optima.

    Only a long window separates the tones at 100 and 105 Hz of the first 1.6 s, only a short one the clicks
    that follow every 60 ms, and the tone at 220 Hz of the last 1.6 s is indifferent once the window is long.

    Parameters
    ----------
    click_height : float
        Height of the clicks, which are one sample wide; the tones have unit amplitude.

    Returns
    -------
    Signal
        Three components; ``joints`` holds the two samples where one part ends and the next begins.

    Raises
    ------
    ValueError
        If `click_height` is not positive and finite.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> s = datasets.close_tones_and_clicks()
    >>> s.joints, s.clicks.size
    (array([1600, 2400]), 13)
    """
    n = np.arange(4000)
    first, last = n < 1600, n >= 2400
    laws = np.stack([np.where(first, 100.0, np.nan), np.where(first, 105.0, np.nan), np.where(last, 220.0, np.nan)])
    return _from_laws(
        "close_tones_and_clicks",
        1000.0,
        laws,
        np.where(np.isnan(laws), np.nan, 0.0),
        clicks=np.arange(1640, 2400, 60),
        click_height=click_height,
        joints=[1600, 2400],
    )


def sine_modulated_chirp_and_tone(*, noise_std: float = 0.1, rng: Seed = 0) -> Signal:
    """Make a chirp with a sinusoidal frequency law beside a steady tone (25,000 samples at 10 kHz).

    The phases advance by ``(100 sin(2 pi t) + 100 + 50 t) / 200`` and ``500 / 200`` radians a sample, with
    ``t`` in seconds: the chirp runs between 296 and 2489 Hz and the tone stands at 3979 Hz.

    Parameters
    ----------
    noise_std : float
        Standard deviation of white noise; both components have unit amplitude.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None draws a different noise each time.

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
    signal = _from_laws("sine_modulated_chirp_and_tone", fs, laws, np.stack([rate, np.zeros_like(t)]))
    return _with_noise(signal, noise_std, rng)


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
    """Make the sound of a machine that runs up from one speed to another.

    The speed stands still for 3/10 of the time, rises along half a period of a cosine for 4/10, and stands again.

    Parameters
    ----------
    f0, f1 : float
        First and last speed in Hz; a run-down if `f1` is the lower one.
    amplitudes : sequence of float
        Amplitudes of the multiples 1, 2, 3, ... of the speed.
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.
    noise_std : float
        Standard deviation of white noise.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None draws a different noise each time.

    Returns
    -------
    Signal
        One component for each amplitude; ``frequency[0]`` is the speed, and ``joints`` holds the samples where
        it begins and ceases to rise.

    Raises
    ------
    ValueError
        If a value is out of range, or a multiple leaves the band from 0 to ``fs / 2``.

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
    n = _samples(duration, fs)
    span, rise = 0.4 * duration, as_real("f1", f1) - as_real("f0", f0)
    phase = np.pi * np.clip((np.arange(n) / fs - 0.3 * duration) / span, 0.0, 1.0)
    orders = np.arange(1, len(amplitudes) + 1)[:, None]
    laws = orders * (f0 + rise * (1 - np.cos(phase)) / 2)
    _check_band(laws, fs)
    sizes = np.array([[check_positive("amplitudes", value)] for value in amplitudes])
    rates = orders * (rise * np.pi / (2 * span) * np.sin(phase))
    joints = [round(0.3 * n), round(0.7 * n)]
    return _with_noise(_from_laws("run_up", fs, laws, rates, amplitude=sizes, joints=joints), noise_std, rng)


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
    """Make a component of unit amplitude whose frequency swings like a sine.

    Parameters
    ----------
    frequency, deviation : float
        Middle of the swing and how far it reaches, in Hz.
    period : float
        Period of the swing in seconds.
    duration : float
        Duration in seconds.
    fs : float
        Sampling rate in Hz.
    noise_std : float
        Standard deviation of white noise.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None draws a different noise each time.

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
    n = _samples(duration, fs)
    omega = 2 * np.pi / check_positive("period", period)
    phase = omega * np.arange(n)[None] / fs
    laws = as_real("frequency", frequency) + as_real("deviation", deviation) * np.sin(phase)
    _check_band(laws, fs)
    rates = deviation * omega * np.cos(phase)
    return _with_noise(_from_laws("sinusoidal_fm", fs, laws, rates), noise_std, rng)
