"""Signals from the frequency laws of their components, and checks that all generators have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from adaptstft.common.text import short_repr
from adaptstft.common.typing import Float64Array, IntArray
from adaptstft.common.validation import as_real, check_positive

Seed: TypeAlias = int | np.random.Generator | None


@dataclass(frozen=True, eq=False)
class Signal:
    """A synthetic signal with the frequencies of its components and the positions of its clicks.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The samples, including noise.
    fs : float
        Sampling rate in Hz.
    name : str
        Name of the function that made the signal.
    clean : ndarray, shape (n,)
        The samples without noise.
    frequency : ndarray, shape (n_components, n)
        Instantaneous frequency of each component in Hz, NaN where a component is silent. Clicks are not
        components.
    chirp_rate : ndarray, shape (n_components, n)
        Derivative of `frequency` in Hz/s, NaN where a component is silent.
    clicks : ndarray of int, shape (n_clicks,)
        Sample indices of the clicks, increasing.
    joints : ndarray of int, shape (n_joints,)
        Sample indices where a frequency law changes, increasing. Within a window length of these samples the best
        window is not the best window of a single component.

    Examples
    --------
    >>> from adaptstft import datasets
    >>> signal = datasets.piecewise_tones()
    >>> print(signal.fs, signal.frequency[0, [0, 2000]])
    1000.0 [ 50. 228.]
    """

    x: Float64Array
    fs: float
    name: str
    clean: Float64Array
    frequency: Float64Array
    chirp_rate: Float64Array
    clicks: IntArray
    joints: IntArray

    __repr__ = short_repr

    @property
    def sigma_t(self) -> Float64Array:
        """Best standard deviation of a Gaussian window in seconds, shape (n_components, n).

        Infinite for a steady tone, NaN where a component is silent.
        """
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / np.sqrt(2.0 * np.pi * np.abs(self.chirp_rate)))

    def win_length(self, ratio: float = 6.0) -> Float64Array:
        """Best length of a Gaussian window in samples, shape (n_components, n).

        Parameters
        ----------
        ratio : float
            Window length divided by the standard deviation of the window.

        Returns
        -------
        ndarray, shape (n_components, n)
            ``ratio * sigma_t * fs``: infinite for a steady tone, NaN where a component is silent.

        Examples
        --------
        >>> from adaptstft import datasets
        >>> round(float(datasets.linear_chirp(60.0).win_length()[0, 0]), 1)
        309.0
        """
        return np.asarray(check_positive("ratio", ratio) * self.fs * self.sigma_t)


def from_laws(
    name: str,
    fs: float,
    frequency: Float64Array,
    chirp_rate: Float64Array,
    *,
    amplitude: Float64Array | float = 1.0,
    clicks: Sequence[int] | IntArray = (),
    click_height: float = 0.0,
    joints: Sequence[int] | IntArray = (),
) -> Signal:
    """Make a signal as the sum of components with given frequency laws, and of clicks.

    Parameters
    ----------
    name : str
        Name of the function that makes the signal.
    fs : float
        Sampling rate in Hz.
    frequency, chirp_rate : ndarray, shape (n_components, n)
        Instantaneous frequency in Hz and its derivative in Hz/s, NaN where a component is silent.
    amplitude : float or ndarray
        Amplitudes, of a shape that broadcasts to `frequency`.
    clicks : sequence of int
        Sample indices of the clicks, increasing.
    click_height : float
        Height of the clicks.
    joints : sequence of int
        Sample indices where a frequency law changes, increasing.

    Returns
    -------
    Signal
        The signal without noise.
    """
    sounding = ~np.isnan(frequency)
    step = np.where(sounding, frequency, 0.0) / fs
    # With the trapezoidal rule the phase of a linear chirp is exact; a left sum would delay the law by half a sample.
    cycles = np.concatenate([np.zeros((len(step), 1)), np.cumsum((step[:, 1:] + step[:, :-1]) / 2, axis=1)], axis=1)
    x = np.sum(np.where(sounding, amplitude * np.sin(2 * np.pi * cycles), 0.0), axis=0)
    indices = np.asarray(clicks, dtype=np.int64)
    if indices.size:
        x[indices] += check_positive("click_height", click_height)
    return Signal(
        x=x,
        fs=float(fs),
        name=name,
        clean=x.copy(),
        frequency=frequency,
        chirp_rate=chirp_rate,
        clicks=indices,
        joints=np.asarray(joints, dtype=np.int64),
    )


def with_noise(signal: Signal, noise_std: float, rng: Seed) -> Signal:
    """Return the signal with white noise of standard deviation `noise_std`."""
    if as_real("noise_std", noise_std) < 0:
        raise ValueError(f"noise_std={noise_std!r} must be 0 or greater")
    noise = np.random.default_rng(rng).standard_normal(signal.x.size)
    return replace(signal, x=signal.clean + noise_std * noise)


def count_samples(duration: float, fs: float) -> int:
    """Return the number of samples of a duration in seconds, at least one."""
    n = round(check_positive("duration", duration) * check_positive("fs", fs))
    if n < 1:
        raise ValueError(f"duration={duration!r} must be at least one sample (1 / {fs=})")
    return n


def check_band(frequency: Float64Array, fs: float) -> None:
    """Require frequencies between 0 and half the sampling rate."""
    low, high = float(np.nanmin(frequency)), float(np.nanmax(frequency))
    if low < 0 or high > fs / 2:
        raise ValueError(
            f"the frequency runs from {low:g} to {high:g} Hz, it must lie within 0 and fs/2 = {fs / 2:g} Hz"
        )
