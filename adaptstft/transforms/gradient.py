"""The derivatives that the gradient methods of a transform return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array

__all__ = ["Gradient"]


@dataclass(frozen=True)
class Gradient:
    """Derivatives of a real loss in the parameters of a transform.

    Fields are None where they were not asked for or the transform has no such
    parameter. `x` and `S` are CuPy arrays where the signal or transform is one.

    Attributes
    ----------
    win_length : ndarray of float64 or None
        In the window length(s), of the shape of the transform's `win_length`.
    positions : ndarray of float64, shape (p_num,), or None
        In the real centre of each slice, in samples.
    hop : float or None
        In the hop; None for a transform made from positions.
    shape : ndarray of float64, shape (n_shape,), or None
        In the shape parameters of the window; None if it has none.
    x : ndarray or None
        In the signal, of its shape: real for a real signal, otherwise
        ``dC/dRe x + 1j dC/dIm x``. The weights that a criterion of local scope
        takes from the signal are held fixed.
    S : ndarray or None
        In the transform; from `AdaptiveShortTimeFFT.istft_vjp` only.

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
    """Return the derivative in the hop, given that in the position of every slice from the one numbered `first` on."""
    return float((first + np.arange(positions.size)) @ positions)
