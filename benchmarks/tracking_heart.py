"""Heart rate from a pulse oximeter: `adaptstft.track` on three harmonics beside HeartPy, the field's usual tool.

``python -m benchmarks.tracking_heart`` needs ``pip install heartpy "setuptools<81"`` (HeartPy 1.2.7, MIT licence, which
contains the recordings). The truth are the times between the beats that HeartPy finds in the recording as it is. Both
tools then see the recording with white noise. The error is the root mean square over the beats, in beats a minute.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import adaptstft

#: Range of the pulse in Hz.
PULSE = (0.6, 2.5)
#: Band of the filter that HeartPy's documentation advises before its search for beats, in Hz.
PULSE_BAND = (0.7, 3.5)
LEVELS = (None, 10, 0, -5)
SEEDS = 5


def recording(heartpy: Any, number: int) -> tuple[np.ndarray, float]:
    """Return a recording of HeartPy and its sampling rate in Hz."""
    x, timer = heartpy.load_exampledata(number)
    return np.asarray(x, float), 100.0 if number == 0 else float(heartpy.get_samplerate_mstimer(timer))


def beats(heartpy: Any, x: np.ndarray, fs: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles of the intervals between accepted beats in s, and the rates in beats a minute."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, _ = heartpy.process(x, fs)
    peaks, accepted = np.asarray(found["peaklist"]) / fs, np.asarray(found["binary_peaklist"], bool)
    both = accepted[1:] & accepted[:-1]
    return ((peaks[1:] + peaks[:-1]) / 2)[both], (60 / np.diff(peaks))[both]


def compare(heartpy: Any, x: np.ndarray, fs: float, snr: float | None, seed: int) -> tuple[float, float, float, Any]:
    """Return the errors of both tools, the coverage of the intervals, and the ridge; NaN where HeartPy gives up."""
    time, rate = beats(heartpy, x, fs)
    pulse = x - np.mean(x)
    std = 0.0 if snr is None else np.std(pulse) / 10 ** (snr / 20)
    noisy = pulse + std * np.random.default_rng(seed).standard_normal(x.size)
    ridge = adaptstft.track(noisy, fs, orders=(1, 2, 3), f_bounds=PULSE)
    ours = 60 * np.interp(time, ridge.t, ridge.frequency[0])
    low, high = (60 * np.interp(time, ridge.t, bound) for bound in ridge.interval[0].T)
    covered = float(np.mean((low <= rate) & (rate <= high)))
    try:
        clean = heartpy.filter_signal(noisy, PULSE_BAND, fs, order=3, filtertype="bandpass")
        theirs = np.interp(time, *beats(heartpy, clean - clean.min(), fs))
        error = float(np.sqrt(np.mean((theirs - rate) ** 2)))
    except Exception:  # HeartPy has an error of its own for each kind of bad signal
        error = np.nan
    return float(np.sqrt(np.mean((ours - rate) ** 2))), error, covered, ridge


def main() -> None:
    """Compare both tools on two recordings."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--plot", type=Path, help="write a picture of the second recording at 0 dB")
    args = parser.parse_args()
    heartpy = importlib.import_module("heartpy")
    for number in (0, 1):
        x, fs = recording(heartpy, number)
        for snr in LEVELS:
            runs = [compare(heartpy, x, fs, snr, seed) for seed in range(1 if snr is None else SEEDS)]
            ours, theirs, covered = (np.array(values) for values in list(zip(*runs, strict=True))[:3])
            level = "as it is" if snr is None else f"{snr} dB"
            print(
                f"recording {number}, {level}: track {np.median(ours):.2f}, HeartPy {np.nanmedian(theirs):.2f} beats a "
                f"minute (no result in {np.isnan(theirs).sum()} of {theirs.size}); "
                f"{np.median(covered):.0%} in the intervals"
            )
            if args.plot is not None and number == 1 and snr == 0:
                ax = runs[0][3].plot()
                time, rate = beats(heartpy, x, fs)
                ax.plot(time, rate / 60, ".", color="white", markersize=3, label="beats without noise")
                ax.legend()
                ax.figure.savefig(args.plot, dpi=120)


if __name__ == "__main__":
    main()
