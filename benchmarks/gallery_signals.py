"""Synthetic signals of the gallery: a rotor seen by a radar, and a machine that runs up with a damaged bearing."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Sampling rates in Hz.
RADAR_RATE, BEARING_RATE = 8000.0, 16000.0
_SEED = 20240501


def rotor_echo(duration: float = 0.6) -> Any:
    """Return the echo of a helicopter in a continuous-wave radar, complex, at 8 kHz.

    The body approaches with a Doppler shift of 700 Hz. Two blades of 5 m turn 5 times a second; the wavelength is
    0.1 m. The echo of a blade is the integral over its length, which is large only while the blade is across the line
    of sight: a flash. White noise lies 25 dB below the body.

    Parameters
    ----------
    duration : float, optional
        Duration in seconds.

    Returns
    -------
    ndarray of complex128, shape (n,)
        The samples.
    """
    t = np.arange(int(duration * RADAR_RATE)) / RADAR_RATE
    blade, wavelength, turns = 5.0, 0.1, 5.0
    body = np.exp(2j * np.pi * 700.0 * t)
    echo = np.zeros(t.size, dtype=complex)
    for number in range(2):
        along = 2 * blade / wavelength * np.cos(2 * np.pi * turns * t + np.pi * number)
        echo += np.sinc(along) * np.exp(1j * np.pi * along)
    rng = np.random.default_rng(_SEED)
    noise = rng.standard_normal((2, t.size))
    return body * (1 + 3 * echo) + 10 ** (-25 / 20) * (noise[0] + 1j * noise[1]) / np.sqrt(2)


def damaged_bearing(duration: float = 1.6) -> Any:
    """Return the acceleration of a machine that runs up from 20 to 40 turns a second, at 16 kHz.

    A damage of the outer ring gives an impact at 3.57 times the speed of the shaft, which rings at 3.2 kHz for a
    millisecond. A pair of gears with 23 teeth adds a tone and its double. White noise lies 20 dB below them.

    Parameters
    ----------
    duration : float, optional
        Duration in seconds.

    Returns
    -------
    ndarray of float64, shape (n,)
        The samples.
    """
    t = np.arange(int(duration * BEARING_RATE)) / BEARING_RATE
    turns = 20.0 * t + 10.0 * t**2 / duration
    passes = np.flatnonzero(np.diff(np.floor(3.57 * turns)))
    rng = np.random.default_rng(_SEED)
    impacts = np.zeros(t.size)
    impacts[passes] = 1.0 + 0.1 * rng.standard_normal(passes.size)
    ring = np.exp(-t / 1e-3) * np.sin(2 * np.pi * 3200.0 * t)
    rung = np.convolve(impacts, ring[: int(0.02 * BEARING_RATE)])[: t.size]
    gears = 0.3 * np.cos(2 * np.pi * 23 * turns) + 0.1 * np.cos(4 * np.pi * 23 * turns)
    return 2 * rung + gears + 0.03 * rng.standard_normal(t.size)
