"""The gradient of a loss in the parameters and the data of a transform."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array

__all__ = ["Gradient"]


@dataclass(frozen=True)
class Gradient:
    """Derivatives of a real loss with respect to the parameters and the data of a transform.

    A field is None if the derivative was not requested, or if the transform has no
    such parameter. `x` and `S` are CuPy arrays if the signal or the transform is one.

    Attributes
    ----------
    win_length : ndarray of float64 or None
        With respect to the window lengths, in the shape of the transform's `win_length`.
    positions : ndarray of float64, shape (p_num,), or None
        With respect to the position of each slice in samples.
    hop : float or None
        With respect to the hop; None for a transform made from positions.
    shape : ndarray of float64, shape (n_shape,), or None
        With respect to the shape parameters of the window; None if it has none.
    x : ndarray or None
        With respect to the signal, in its shape: real for a real signal, otherwise
        ``dC/dRe x + 1j dC/dIm x``. It contains that of the weights which a criterion
        of local scope computes from the signal.
    S : ndarray or None
        With respect to the transform; only from `AdaptiveShortTimeFFT.istft_vjp`.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import AdaptiveShortTimeFFT
    >>> sft = AdaptiveShortTimeFFT("hann", 20.5, 4, fs=1.0)
    >>> value, gradient = sft.value_and_grad(np.cos(np.arange(100.0)), "renyi", wrt=("hop",))
    >>> gradient.win_length is None, isinstance(gradient.hop, float)
    (True, True)
    """

    win_length: Float64Array | None = None
    positions: Float64Array | None = None
    hop: float | None = None
    shape: Float64Array | None = None
    x: AnyArray | None = None
    S: AnyArray | None = None


def hop_gradient(first: int, positions: Float64Array) -> float:
    """Return the derivative with respect to the hop: the sum of ``p * dC/dt_p`` over slices ``p`` from `first` on."""
    return float((first + np.arange(positions.size)) @ positions)
