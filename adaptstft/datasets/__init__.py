"""Synthetic signals of the literature, with their ground truth."""

from adaptstft.datasets.generators import (
    chirps_in_parallel,
    chirps_in_sequence,
    click,
    close_tones_and_clicks,
    decaying_tones_with_clicks,
    linear_chirp,
    piecewise_tones,
    run_up,
    sine_modulated_chirp_and_tone,
    sinusoidal_fm,
    tone,
)
from adaptstft.datasets.signal import Signal

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
