"""Synthetic signals from the literature, with the best window length of each component.

Each function returns a `Signal`. A Gaussian window with a standard deviation of ``1 / sqrt(2 pi |c|)``
seconds concentrates a component of chirp rate ``c`` (Hz/s) most [1]_; `Signal.sigma_t` and
`Signal.win_length` return this. For a steady tone the longest window is the best, for a click the shortest.

References
----------
.. [1] S. Meignen, M. Colominas, D.-H. Pham, "On the use of Rényi entropy for optimal window size computation
   in the short-time Fourier transform", ICASSP 2020.
"""

from adaptstft.datasets.chirps import (
    chirps_in_parallel,
    chirps_in_sequence,
    linear_chirp,
    run_up,
    sine_modulated_chirp_and_tone,
    sinusoidal_fm,
)
from adaptstft.datasets.signal import Signal
from adaptstft.datasets.tones_and_clicks import (
    click,
    close_tones_and_clicks,
    decaying_tones_with_clicks,
    piecewise_tones,
    tone,
)

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
