"""Heart rate from a pulse wave: `adaptstft.track` beside HeartPy, with the electrocardiogram as the truth.

``python -m benchmarks.tracking_heart`` needs ``pip install heartpy "setuptools<81"`` and downloads the package pyphysio
without installing it. It writes the file ``tracking_heart.rst`` beside it, and the figure of the documentation.

The recording of pyphysio (GPL-3) has an electrocardiogram and a pulse wave of the same two minutes; movements seem to
disturb the pulse wave. The truth are the intervals between the R peaks, one for each beat. The pulse wave follows them
after a delay, which is the median time from an R peak to the next maximum; all tools get the same one. The tools see
the pulse wave only, as it is and with white noise, and errors are in beats a minute.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import butter, decimate, find_peaks, sosfiltfilt, spectrogram

import adaptstft
from benchmarks import recordings
from benchmarks.recording_formats import text

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "_static" / "tracking_heart.svg"
_FS = 2048.0
_PATH = "pyphysio/test_data/medical.txt.bz2"
SOURCES = tuple(
    recordings.Source(
        f"medical-{name}",
        "pyphysio==4.10.0",
        _PATH,
        f"{description}, 2048 Hz, 120 s",
        "GPL-3",
        text(_FS, column=column, delimiter="\t"),
    )
    for name, column, description in (("ecg", 0, "electrocardiogram"), ("pulse", 2, "pulse wave of the same time"))
)
#: Range of the heart rate in Hz: 40 to 120 beats a minute, for a person who sits.
RANGE = (40 / 60, 120 / 60)
#: Largest change of the heart rate in Hz/s, 15 beats a minute within a second.
MAX_RATE = 0.25
#: Harmonics of the pulse that are tracked, and the sampling rate, which suffices for them.
ORDERS, TRACKED_FS = (1, 2, 3), 32.0
#: Band of the R peaks, and that of the filter that HeartPy's documentation advises before its search for beats, in Hz.
ECG_BAND, PULSE_BAND = (5.0, 30.0), (0.7, 3.5)
#: Duration of the window of the spectrogram in s, usual for heart rates from pulse waves.
WINDOW = 8.0
LEVELS = (None, 10, 0, -5)
SEEDS = 5


@dataclass(frozen=True)
class Heart:
    """A pulse wave, with the R peaks of the same time in s."""

    x: np.ndarray
    fs: float
    peaks: np.ndarray

    @cached_property
    def rate(self) -> np.ndarray:
        """Heart rates of the intervals between beats, in beats a minute."""
        return 60 / np.diff(self.peaks)

    @cached_property
    def time(self) -> np.ndarray:
        """Middles of these intervals in the pulse wave, in s."""
        span = round(0.6 * self.fs)
        first = np.rint(self.peaks * self.fs).astype(int)
        first = first[first + span <= self.x.size]
        delay = np.median([self.x[i : i + span].argmax() for i in first]) / self.fs
        return (self.peaks[1:] + self.peaks[:-1]) / 2 + delay

    def noisy(self, snr: float | None, seed: int) -> np.ndarray:
        """Return the pulse wave with white noise."""
        std = 0.0 if snr is None else np.std(self.x) / 10 ** (snr / 20)
        return self.x + std * np.random.default_rng(seed).standard_normal(self.x.size)


def load() -> Heart:
    """Download the recording where it is missing, and find the R peaks."""
    if problems := recordings.fetch(sources=SOURCES):
        raise SystemExit("\n".join(problems.values()))
    fs, ecg = recordings.load("medical-ecg")
    _, pulse = recordings.load("medical-pulse")
    ecg = sosfiltfilt(butter(2, ECG_BAND, "bandpass", fs=fs, output="sos"), ecg)
    peaks, _ = find_peaks(ecg, height=0.4 * np.percentile(ecg, 99.5), distance=0.4 * fs)
    x = decimate(decimate(pulse, 4, ftype="fir"), 4, ftype="fir")
    return Heart(x - x.mean(), fs / 16, peaks / fs)


def tracked(heart: Heart, x: np.ndarray) -> tuple[Any, np.ndarray, float]:
    """Return the ridge, its rate at each beat, and the share of beats within its intervals.

    The derivative is tracked: the pulse rises quickly, and movements are slow.
    """
    slow = np.gradient(decimate(x, round(heart.fs / TRACKED_FS), ftype="fir"))
    ridge = adaptstft.track(slow, TRACKED_FS, orders=ORDERS, f_bounds=RANGE, max_rate=MAX_RATE, workers=1)
    rate, low, high = (
        60 * np.interp(heart.time, ridge.t, values) for values in (ridge.frequency[0], *ridge.interval[0].T)
    )
    return ridge, rate, float(np.mean((low <= heart.rate) & (heart.rate <= high)))


def beats(heart: Heart, x: np.ndarray, filtered: bool) -> np.ndarray:
    """Return the rates of HeartPy, without or with the filter of its documentation; it may raise any error."""
    heartpy = importlib.import_module("heartpy")
    if filtered:
        x = heartpy.filter_signal(x, PULSE_BAND, heart.fs, order=3, filtertype="bandpass")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, _ = heartpy.process(x - x.min(), heart.fs, bpmmin=60 * RANGE[0], bpmmax=60 * RANGE[1])
    peaks, accepted = np.asarray(found["peaklist"]) / heart.fs, np.asarray(found["binary_peaklist"], bool)
    both = accepted[1:] & accepted[:-1]
    return np.interp(heart.time, ((peaks[1:] + peaks[:-1]) / 2)[both], (60 / np.diff(peaks))[both])


def strongest_bin(heart: Heart, x: np.ndarray) -> np.ndarray:
    """Return the rates of the strongest bins of a spectrogram with one window."""
    size = round(WINDOW * heart.fs)
    padded = np.pad(x, size // 2)
    options = {"window": "hann", "nperseg": size, "noverlap": size - size // 32, "nfft": 16 * size}
    f, t, power = spectrogram(padded, heart.fs, detrend=False, **options)
    inside = (f >= RANGE[0]) & (f <= RANGE[1])
    return np.interp(heart.time, t - WINDOW / 2, 60 * f[inside][power[inside].argmax(axis=0)])


def errors(heart: Heart, rate: np.ndarray) -> tuple[float, float]:
    """Return the root mean square of the errors and the median of their magnitudes."""
    error = rate - heart.rate
    return float(np.sqrt(np.mean(error**2))), float(np.median(np.abs(error)))


def measure(heart: Heart, snr: float | None) -> dict[str, Any]:
    """Return medians over seeds: errors of each tool, and the coverage of `track`."""
    found: dict[str, list[Any]] = {"coverage": []}
    for seed in range(1 if snr is None else SEEDS):
        x = heart.noisy(snr, seed)
        _, rate, coverage = tracked(heart, x)
        found["coverage"].append(coverage)
        found.setdefault("track", []).append(errors(heart, rate))
        found.setdefault("spectrogram", []).append(errors(heart, strongest_bin(heart, x)))
        for name, filtered in (("HeartPy", False), ("HeartPy, filter", True)):
            try:
                pair = errors(heart, beats(heart, x, filtered))
            except Exception:  # HeartPy has an error of its own for each kind of bad signal
                pair = (np.inf, np.inf)
            found.setdefault(name, []).append(pair)
    return {name: np.median(values, axis=0) for name, values in found.items()}


def table(rows: dict[float | None, dict[str, Any]]) -> str:
    """Return the rows as a table of reStructuredText."""
    tools = ("track", "HeartPy", "HeartPy, filter", "spectrogram")
    names = ("``track``", "HeartPy", "HeartPy after its filter", f"strongest bin, {WINDOW:g} s")
    lines = [".. list-table::", "   :header-rows: 1", ""]
    head = ["", *("no noise" if snr is None else f"{snr} dB" for snr in rows)]
    cells = [
        [name, *(f"{row[tool][0]:.1f} ({row[tool][1]:.2f})" for row in rows.values())]
        for name, tool in zip(names, tools, strict=True)
    ]
    cells.append(["coverage of ``track``", *(f"{100 * row['coverage']:.0f} %" for row in rows.values())])
    for row in [head, *cells]:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def draw(heart: Heart, path: Path) -> None:
    """Draw the rates from the pulse wave as it is, beside the truth, and the pulse wave."""
    from matplotlib import pyplot, rc_context

    ridge, _, _ = tracked(heart, heart.x)
    with rc_context({"svg.hashsalt": "heart", "font.size": 8, "svg.fonttype": "path"}):
        figure, (above, below) = pyplot.subplots(
            2, sharex=True, height_ratios=(3, 1), figsize=(7.5, 4.2), layout="constrained"
        )
        above.plot(ridge.t, 60 * ridge.frequency[0], color="C0", lw=1, label="track, from the pulse wave")
        low, high = 60 * ridge.interval[0].T
        above.fill_between(ridge.t, low, high, color="C0", alpha=0.3, lw=0, label="interval of 95 %")
        above.plot(heart.time, beats(heart, heart.x, False), color="C1", lw=0.8, label="HeartPy, from the pulse wave")
        above.plot(heart.time, heart.rate, "k.", markersize=3, label="electrocardiogram")
        above.set(ylabel="beats a minute", ylim=(55, 90))
        above.legend(ncols=2, loc="upper right")
        shown = slice(None, None, 4)  # 32 Hz show the pulse and keep the file small
        below.plot((np.arange(heart.x.size) / heart.fs)[shown], heart.x[shown], color="0.4", lw=0.5)
        below.set(xlabel="time in s", ylabel="pulse wave", xlim=(0, heart.x.size / heart.fs), yticks=[])
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def main() -> None:
    """Compare the tools, and write the table and the figure."""
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    heart, rows = load(), {}
    print(f"{heart.rate.size} beats, {heart.rate.min():.0f} to {heart.rate.max():.0f} a minute")
    for snr in LEVELS:
        row = rows[snr] = measure(heart, snr)
        print(f"{snr} dB: " + ", ".join(f"{name} {np.round(value, 2)}" for name, value in row.items()), flush=True)
    (HERE / "tracking_heart.rst").write_text(table(rows), encoding="utf-8")
    draw(heart, FIGURE)


if __name__ == "__main__":
    main()
