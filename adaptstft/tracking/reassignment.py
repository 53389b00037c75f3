"""Reassigned spectrograms: energy at its own times and frequencies, with any windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.text import short_repr
from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.common.validation import as_inexact, check_finite
from adaptstft.tracking.framed_signal import check_continuous_window, frame_signal, host_transform, stft_of
from adaptstft.tracking.moments import compute_moments, first_order_frequency, group_time, significant_bins
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

__all__ = ["Reassigned", "reassign"]


@dataclass(frozen=True, eq=False)
class Reassigned:
    """Powers, times and frequencies of all bins: the result of `reassign`.

    Attributes
    ----------
    P : ndarray, shape (..., f_pts, p_num)
        Spectrogram ``abs(S)**2``.
    t_hat : ndarray of float64, shape of `P`
        Times of the energy of each bin in seconds.
    f_hat : ndarray of float64, shape of `P`
        Frequencies of the energy of each bin in Hz.
    t : ndarray of float64, shape (p_num,)
        Times of the frames in seconds.
    f : ndarray of float64, shape (f_pts,)
        Frequencies of the bins in Hz.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 32, 4, fs=100.0)
    >>> reassigned = adaptstft.reassign(sft, np.cos(0.4 * np.pi * np.arange(200)))  # 20 Hz
    >>> q, p = np.unravel_index(np.argmax(reassigned.P), reassigned.P.shape)
    >>> print(reassigned.f[q], reassigned.f_hat[q, p].round(2))
    18.75 19.99
    """

    P: AnyArray
    t_hat: Float64Array
    f_hat: Float64Array
    t: Float64Array
    f: Float64Array

    __repr__ = short_repr

    def picture(self, t: Any = None, f: Any = None) -> Float64Array:
        """Sum the energy in the cells of a grid.

        Parameters
        ----------
        t : array_like, shape (columns,), optional
            Times of the columns in seconds, increasing; by default those of the
            frames.
        f : array_like, shape (rows,), optional
            Frequencies of the rows in Hz, increasing; by default those of the bins,
            in ascending order.

        Returns
        -------
        ndarray of float64, shape (..., rows, columns)
            Sum of `P` over the bins in each cell. Bins more than half a cell outside
            the grid are left out.

        Raises
        ------
        ValueError
            If a grid is not increasing, or has less than two values.

        Examples
        --------
        >>> import numpy as np
        >>> import adaptstft
        >>> x = np.cos(0.4 * np.pi * np.arange(200))
        >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 32, 4, fs=100.0)
        >>> reassigned = adaptstft.reassign(sft, x)
        >>> Z = reassigned.picture()
        >>> Z.shape == reassigned.P.shape
        True
        >>> bool(np.sum(Z[6]) > 0.9 * np.sum(reassigned.P))  # all in the bin at 18.75 Hz
        True
        """
        columns = _as_grid("t", self.t if t is None else t)
        rows = _as_grid("f", np.sort(self.f) if f is None else f)
        j, i = _cell_of(columns, self.t_hat), _cell_of(rows, self.f_hat)
        inside = (j >= 0) & (i >= 0)
        cells = rows.size * columns.size
        lead = self.P.shape[:-2]
        out = np.empty((int(np.prod(lead, dtype=int)), cells))
        planes = (values.reshape(-1, *self.P.shape[-2:]) for values in (inside, i * columns.size + j, self.P))
        for channel, (mask, cell, power) in enumerate(zip(*planes, strict=True)):
            out[channel] = np.bincount(cell[mask], power[mask], cells)
        return out.reshape(*lead, rows.size, columns.size)


def _as_grid(name: str, values: Any) -> Float64Array:
    """Check the centres of the columns or rows of a picture."""
    grid = as_inexact(name, values).astype(float)
    if grid.ndim != 1 or np.any(np.diff(grid) <= 0):
        raise ValueError(f"{name} has shape {grid.shape}: it must be 1-D and increasing")
    check_finite(name, grid)
    if grid.size < 2:
        raise ValueError(f"{name}={grid.tolist()} must have at least 2 values: their distance is the size of a cell")
    return grid


def _cell_of(grid: Float64Array, values: Float64Array) -> IntArray:
    """Index of the cell of each value; -1 outside the grid."""
    middle = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate([[2 * grid[0] - middle[0]], middle, [2 * grid[-1] - middle[-1]]])
    cell = np.searchsorted(edges, values, side="right") - 1
    cell[values == edges[-1]] = grid.size - 1
    return np.where(cell < grid.size, cell, -1)


def reassign(sft: AdaptiveShortTimeFFT, x: Any, *, axis: int = -1) -> Reassigned:
    r"""Compute the time and frequency of the energy in each bin.

    The transforms with the derivative of the window and with the window times
    the time from its centre, in the units of seconds and Hz, give [1]_

    .. math:: \hat t = t_p + \mathrm{Re}\frac{S_{s w}}{S_w}, \qquad
              \hat f = f_q - \frac{1}{2\pi}\,\mathrm{Im}\frac{S_{w'}}{S_w} .

    For any window lengths, a tone is moved to its frequency and an impulse to its
    time. A linear chirp is moved to its line if the window is a Gaussian.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        Transform, such as ``res.sft`` of `optimize`, with any window lengths and
        positions. Its window must be continuous.
    x : array_like
        Signal as for ``sft.stft``.
    axis : int, optional
        Time axis of `x`. In the result time is the last axis and frequency the one
        before it.

    Returns
    -------
    Reassigned
        Powers, times and frequencies of all bins. Its method `~Reassigned.picture`
        sums them on a grid.

    Raises
    ------
    ValueError, TypeError
        For a bad signal, or a window that is not continuous.

    See Also
    --------
    synchrosqueeze : Moves the transform in frequency only and can be inverted.

    Notes
    -----
    A bin with less than 1e-12 of the largest magnitude stays where it is. The formulas need a window that is zero at
    its ends. A window that ends with the value ``e``, relative to its mean, displaces frequencies by up to about
    ``e / pi`` of a resolution cell ``fs / win_length``. For the default, the Gaussian that ends at 3 sigma, this is
    0.8 %; take ``("gaussian", 8)`` or longer where that matters.

    References
    ----------
    .. [1] F. Auger, P. Flandrin, "Improving the readability of time-frequency
       and time-scale representations by the reassignment method", IEEE Trans.
       Signal Process. 43(5), 1995.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> x = np.exp(2j * np.pi * 12.34 * np.arange(400) / 100)
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 64, 8, fs=100.0, fft_mode="centered")
    >>> reassigned = adaptstft.reassign(sft, x)
    >>> q, p = np.unravel_index(np.argmax(reassigned.P), reassigned.P.shape)
    >>> print(f"{sft.f[q]:.3f} Hz -> {reassigned.f_hat[q, p]:.3f} Hz")
    12.500 Hz -> 12.340 Hz
    """
    sft = host_transform(sft)
    check_continuous_window(sft)
    framed = frame_signal(sft, x, axis)
    moments = compute_moments(framed)
    significant = significant_bins(moments.V)
    S = framed.to_public(stft_of(sft, framed))
    P = S.real**2 + S.imag**2
    return Reassigned(
        P.astype(np.float32) if framed.single else P,
        framed.to_public(group_time(framed, moments, significant)),
        framed.to_public(first_order_frequency(framed, moments, significant)),
        sft.t(framed.layout.n),
        sft.f,
    )
