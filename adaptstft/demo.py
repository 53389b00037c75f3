"""Demonstration of ``make demo``: tune a real recording and draw it.

``python -m adaptstft.demo [OUT.png]``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import adaptstft
from adaptstft import datasets
from adaptstft.cli import save_picture
from adaptstft.common.optional import install_command
from adaptstft.common.typing import WindowMode
from adaptstft.recordings import Recording

__all__ = ["load_recording", "main"]

# PyWavelets does not give the sampling rate. 360 Hz, the rate of the usual arrhythmia recordings, puts the mains hum
# at 60 Hz and the heart rate at 66 beats per minute.
_ECG_RATE = 360.0

_RUNS: tuple[tuple[str, WindowMode], ...] = (
    ("One window length for the whole recording", "constant"),
    ("One window length per frame", "time"),
)


def load_recording() -> tuple[Recording, str]:
    """Load the recording of the demonstration.

    Returns
    -------
    recording : Recording
        The electrocardiogram that PyWavelets ships (1024 samples), or a generated signal if PyWavelets is
        not installed.
    origin : str
        A line that describes the signal.

    Examples
    --------
    >>> from adaptstft.demo import load_recording
    >>> recording, origin = load_recording()
    >>> recording.x.shape[0]
    1
    """
    try:
        import pywt.data
    except ImportError:
        signal = datasets.chirps_in_sequence()
        origin = (
            "a GENERATED signal, two chirps in sequence, not a recording: "
            f"PyWavelets is missing ({install_command('demo')})"
        )
        return Recording(signal.x[None], signal.fs, signal.name), origin
    x = pywt.data.ecg().astype(np.float64)
    origin = "a real recording: the electrocardiogram of PyWavelets (pywt.data.ecg, MIT licence), taken as 360 Hz"
    return Recording(x[None], _ECG_RATE, "ecg"), origin


def main(argv: Sequence[str] | None = None) -> int:
    """Tune the recording, print the results and write the picture.

    Parameters
    ----------
    argv : sequence of str, optional
        The name of the picture, ``demo.png`` by default. None takes the arguments of the process.

    Returns
    -------
    int
        0

    Raises
    ------
    SystemExit
        If there is more than one argument.
    """
    names = list(sys.argv[1:] if argv is None else argv)
    if len(names) > 1:
        raise SystemExit("usage: python -m adaptstft.demo [OUT.png]")
    picture = Path(names[0] if names else "demo.png").absolute()
    recording, origin = load_recording()
    x = recording.x[0]
    print(f"Signal: {origin}")
    print(f"        {x.size} samples, {x.size / recording.fs:.2f} s at {recording.fs:g} Hz\n")
    print("Before: 256 samples, the default of scipy.signal.spectrogram.\n")
    for title, mode in _RUNS:
        start = time.perf_counter()
        result = adaptstft.optimize(x, recording.fs, window_mode=mode)
        print(f"{title} ({time.perf_counter() - start:.1f} s)\n{result.summary()}\n")
    back = result.sft.istft(result.sft.stft(x), k1=x.size)
    print(f"Inverse: largest error {np.max(np.abs(back - x)) / np.max(np.abs(x)):.0e} of the largest sample")
    print(f"Picture: {draw(result, picture)}")
    return 0


def draw(result: adaptstft.TuningResult, picture: Path) -> str:
    """Write the picture; return its path, or the reason why it could not be written."""
    try:
        save_picture(result, picture)
    except ImportError as error:
        return f"none: {error}"
    return str(picture)


if __name__ == "__main__":
    sys.exit(main())
