"""Steady tones and clicks: signals with no chirp, where the best window is the longest or the shortest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptstft.common.validation import as_index, as_real, check_positive
from adaptstft.datasets.signal import Seed, Signal, check_band, count_samples, from_laws, with_noise

#: Length in samples and frequency in Hz of each tone of `piecewise_tones`.
_PIECES = ((1484, 50.0), (1153, 228.0), (635, 65.0), (361, 171.0), (1796, 30.0), (1207, 144.0))
#: Samples of the clicks of `decaying_tones_with_clicks`.
_CLICKS = (138, 768, 1259, 1647)


def tone(frequency: float = 100.0, *, duration: float = 4.0, fs: float = 1000.0) -> Signal:
    """Make a steady tone of unit amplitude, for which the longest window is the best.

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
    laws = np.full((1, count_samples(duration, fs)), as_real("frequency", frequency))
    check_band(laws, fs)
    return from_laws("tone", fs, laws, np.zeros_like(laws))


def click(position: int = 2000, *, duration: float = 4.0, fs: float = 1000.0) -> Signal:
    """Make a unit impulse in silence, for which the shortest window is the best.

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
    empty = np.empty((0, count_samples(duration, fs)))
    index = as_index("position", position, 0)
    if index >= empty.shape[1]:
        raise ValueError(f"{position=} must lie between 0 and {empty.shape[1] - 1}")
    return from_laws("click", fs, empty, empty, clicks=[index], click_height=1.0)


def piecewise_tones(*, noise_std: float = 0.2, rng: Seed = 0) -> Signal:
    """Make six tones of unit amplitude, one after the other, in white noise (6636 samples at 1 kHz).

    The phase is continuous where the frequency jumps. For each tone the longest window that contains no other tone
    is the best.

    Parameters
    ----------
    noise_std : float
        Standard deviation of the noise.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None gives different noise in each call.

    Returns
    -------
    Signal
        One component; ``joints`` are the five samples where the frequency jumps.

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
    signal = from_laws("piecewise_tones", 1000.0, laws, np.zeros_like(laws), joints=joints)
    return with_noise(signal, noise_std, rng)


def decaying_tones_with_clicks(
    frequencies: Sequence[float] = (60.0, 150.0, 240.0, 330.0),
    *,
    decay: float = 0.4,
    click_height: float = 5.0,
    noise_std: float = 0.0,
    rng: Seed = 0,
) -> Signal:
    """Make four clicks, and with each click a tone that decays (3 s at 1 kHz).

    Parameters
    ----------
    frequencies : sequence of float
        Frequencies of the four tones in Hz.
    decay : float
        Time constant in seconds: a tone of unit amplitude falls to 1/e in this time.
    click_height : float
        Height of the clicks, which are one sample long.
    noise_std : float
        Standard deviation of white noise.
    rng : int, numpy.random.Generator or None
        Seed or generator of the noise; None gives different noise in each call.

    Returns
    -------
    Signal
        Four components; each is silent before its click at sample 138, 768, 1259 or 1647.

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
    check_band(laws, fs)
    decay_samples = check_positive("decay", decay) * fs
    envelope = np.exp(-np.maximum(since_click, 0) / decay_samples)
    signal = from_laws(
        "decaying_tones_with_clicks",
        fs,
        laws,
        np.where(since_click >= 0, 0.0, np.nan),
        amplitude=envelope,
        clicks=_CLICKS,
        click_height=click_height,
    )
    return with_noise(signal, noise_std, rng)


def close_tones_and_clicks(*, click_height: float = 10.0) -> Signal:
    """Make two close tones, then clicks, then a third tone (4 s at 1 kHz): several local optima.

    Only a long window separates the tones at 100 and 105 Hz in the first 1.6 s. Only a short window separates the
    clicks, one every 60 ms. For the tone at 220 Hz in the last 1.6 s all long windows are similar.

    Parameters
    ----------
    click_height : float
        Height of the clicks, which are one sample long; the tones have unit amplitude.

    Returns
    -------
    Signal
        Three components; ``joints`` are the two samples where the second and third part begin.

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
    return from_laws(
        "close_tones_and_clicks",
        1000.0,
        laws,
        np.where(np.isnan(laws), np.nan, 0.0),
        clicks=np.arange(1640, 2400, 60),
        click_height=click_height,
        joints=[1600, 2400],
    )
