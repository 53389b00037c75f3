"""`Ridges`, the result of `adaptstft.ridges` and `adaptstft.track`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from adaptstft.common.optional import require
from adaptstft.common.text import short_repr
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_index
from adaptstft.display.ridge_plot import plot_ridges
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Ridges"]


def normal_interval(frequency: Float64Array, uncertainty: Float64Array, confidence: float) -> Float64Array:
    """Return the bounds of intervals around normally distributed values, on a new last axis of 2."""
    half = float(ndtri((1 + confidence) / 2)) * uncertainty
    return np.stack([frequency - half, frequency + half], axis=-1)


@dataclass(frozen=True, eq=False)
class Ridges:
    """Frequencies, their uncertainties and amplitudes over time: the result of `ridges` and `track`.

    Attributes
    ----------
    t : ndarray of float64, shape (p_num,)
        Times of the frames in seconds.
    frequency : ndarray of float64, shape (..., n_ridges, p_num)
        Instantaneous frequencies in Hz, the ridge with the highest score first.
    uncertainty : ndarray of float64, shape of `frequency`
        Standard deviations of the frequencies in Hz: the root of the sum of the variance
        due to noise and the squared bias due to the curvature of the ridge within the
        window. Infinite where the window contains no signal.
    amplitude : ndarray of float64, shape of `frequency`, or (..., n_ridges, orders, p_num)
        Amplitudes of the components in the units of the signal; one for each order if
        `orders` are given.
    win_length : ndarray of float64, shape of `frequency`
        Window lengths in samples; with windows per bin those at the lowest order.
    interval : ndarray of float64, shape (..., n_ridges, p_num, 2)
        Lower and upper bounds of the frequencies in Hz.
    confidence : float
        Probability with which an interval contains the frequency.
    orders : tuple of float or None
        Multiples of the frequency that belong to one ridge.
    sft : AdaptiveShortTimeFFT
        Transform for the picture: that of `ridges`, or one with a typical length from `track`.
    signal : ndarray, shape (channels, n)
        Channels of the signal.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 100, 10, fs=1000.0)
    >>> ridge = adaptstft.ridges(sft, 3 * np.cos(2 * np.pi * 0.12 * np.arange(1000)))
    >>> p = abs(ridge.t - 0.5).argmin()
    >>> print(ridge.frequency[0, p].round(2), ridge.amplitude[0, p].round(2))
    120.0 3.0
    """

    t: Float64Array
    frequency: Float64Array
    uncertainty: Float64Array
    amplitude: Float64Array
    win_length: Float64Array
    interval: Float64Array
    confidence: float
    orders: tuple[float, ...] | None
    sft: AdaptiveShortTimeFFT = field(repr=False)
    signal: AnyArray = field(repr=False)

    __repr__ = short_repr

    def columns(self) -> dict[str, AnyArray]:
        """Return the values as columns of a table with one row for each channel, ridge and time.

        Returns
        -------
        dict of str to ndarray
            ``channel`` and ``ridge`` (counted from 0), ``time`` (s), ``frequency``, ``low``, ``high`` and
            ``uncertainty`` (Hz), ``win_length`` (samples), and ``amplitude``, or for orders 1 and 2
            ``amplitude_1`` and ``amplitude_2``. ``channel`` is left out if the signal had no channels.

        Examples
        --------
        >>> import numpy as np
        >>> import adaptstft
        >>> ridge = adaptstft.track(np.cos(np.arange(500.0)), 1000.0)
        >>> list(ridge.columns())[:4]
        ['ridge', 'time', 'frequency', 'low']
        """
        shape = (len(self.signal), *self.frequency.shape[-2:])
        channel, ridge, frame = (index.ravel() for index in np.indices(shape))
        single = self.frequency.ndim == 2
        table = {} if single else {"channel": channel}
        table |= {
            "ridge": ridge,
            "time": self.t[frame],
            "frequency": self.frequency.ravel(),
            "low": self.interval[..., 0].ravel(),
            "high": self.interval[..., 1].ravel(),
            "uncertainty": self.uncertainty.ravel(),
            "win_length": self.win_length.ravel(),
        }
        if self.orders is None:
            return table | {"amplitude": self.amplitude.ravel()}
        by_order = np.moveaxis(self.amplitude, -2, 0)
        return table | {f"amplitude_{k:g}": part.ravel() for k, part in zip(self.orders, by_order, strict=True)}

    def to_frame(self) -> DataFrame:
        """Return a `pandas.DataFrame` with one row for each channel, ridge and time.

        Returns
        -------
        pandas.DataFrame
            The columns of `columns`.

        Raises
        ------
        ImportError
            If pandas is not installed, with the command that installs it.

        Examples
        --------
        >>> import numpy as np
        >>> import adaptstft
        >>> frame = adaptstft.track(np.cos(np.arange(500.0)), 1000.0).to_frame()
        >>> print(frame.frequency.median().round(2))
        159.15
        """
        frame: DataFrame = require("pandas", extra="many").DataFrame(self.columns())
        return frame

    def plot(self, ax: Axes | None = None, *, channel: int = 0) -> Axes:
        """Draw the ridges of a channel with their intervals over the spectrogram.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.
        channel : int
            The channel, counted from 0 over all leading dimensions of the signal.

        Returns
        -------
        matplotlib Axes
            The axes.

        Raises
        ------
        ImportError
            If matplotlib is not installed, with the command that installs it.
        ValueError
            If there is no such channel.

        Examples
        --------
        >>> import numpy as np
        >>> import adaptstft
        >>> ridge = adaptstft.track(np.cos(np.arange(500.0)), 1000.0)
        >>> ax = ridge.plot()
        >>> print(ax.get_xlabel())
        time in s
        """
        channel = as_index("channel", channel, 0)
        if channel >= len(self.signal):
            raise ValueError(f"{channel=} must be at most {len(self.signal) - 1}, as x has {len(self.signal)} channels")
        frequency = self.frequency.reshape(-1, *self.frequency.shape[-2:])[channel]
        interval = self.interval.reshape(-1, *self.interval.shape[-3:])[channel]
        sft = self.sft
        if sft.positions is None:
            sft = sft.remade(hop=None, positions=self.t * sft.fs)
        axes: Axes = plot_ridges(
            ax, sft, self.signal[channel], self.t, frequency, interval, self.orders or (1.0,), self.confidence
        )
        return axes
