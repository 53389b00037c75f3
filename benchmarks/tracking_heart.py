"""Heart rate from a pulse wave: `adaptstft.track` beside HeartPy, with the electrocardiogram as the truth.

``python -m benchmarks.tracking_heart`` needs ``pip install heartpy "setuptools<81" matplotlib`` and downloads the
package pyphysio without installing it. It writes the files ``tracking_heart.rst`` and ``tracking_heart_settings.rst``
beside it, and the figure of the documentation.

The recording of pyphysio (GPL-3) has an electrocardiogram and a pulse wave of the same two minutes; movements seem to
disturb the pulse wave. The truth are the intervals between the R peaks, one for each beat. The pulse wave follows them
after a delay, which is the median time from an R peak to the next maximum; all tools get the same one. The tools see
the pulse wave only, as it is and with white noise, and errors are in beats a minute.

The settings of `track` were chosen on this recording with the truth in view, so a second table has the errors with
other settings.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
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
#: Band of the R peaks, and that of the filter that HeartPy's documentation advises before its search for beats, in Hz.
ECG_BAND, PULSE_BAND = (5.0, 30.0), (0.7, 3.5)
#: Duration of the window of the spectrogram in s, usual for heart rates from pulse waves.
WINDOW = 8.0
LEVELS = (None, 10, 0, -5)
SEEDS = 5
TOOLS = {
    "track": "``track``",
    "HeartPy": "HeartPy",
    "HeartPy, filter": "HeartPy after its filter",
    "spectrogram": f"strongest bin, {WINDOW:g} s",
}


@dataclass(frozen=True)
class Settings:
    """Settings of `track`: harmonics of the pulse, largest change in Hz/s, sampling rate in Hz, derivative or not."""

    orders: tuple[int, ...] = (1, 2, 3)
    max_rate: float | None = 0.25
    fs: float = 32.0
    derivative: bool = True


#: Those of the first table, and others by their difference.
SETTINGS = {
    "as in the table above": Settings(),
    "changes of at most 0.17 Hz/s": Settings(max_rate=0.17),
    "changes of at most 0.4 Hz/s": Settings(max_rate=0.4),
    "no limit of the change": Settings(max_rate=None),
    "not the derivative": Settings(derivative=False),
    "two harmonics": Settings(orders=(1, 2)),
    "the fundamental only": Settings(orders=(1,)),
    "64 Hz": Settings(fs=64.0),
}


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


@dataclass(frozen=True)
class Tracked:
    """The ridge, its rate and its interval at each beat in beats a minute."""

    ridge: Any
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def coverage(self, heart: Heart) -> float:
        """Return the share of beats within the intervals."""
        return float(np.mean((self.low <= heart.rate) & (heart.rate <= self.high)))

    def half_width(self) -> float:
        """Return the median half width of the intervals."""
        return float(np.median(self.high - self.low) / 2)


def tracked(heart: Heart, x: np.ndarray, settings: Settings | None = None) -> Tracked:
    """Track the heart rate; with the derivative, as the pulse rises quickly and movements are slow."""
    used = settings or Settings()
    slow = decimate(x, round(heart.fs / used.fs), ftype="fir")
    if used.derivative:
        slow = np.gradient(slow)
    options = {"orders": used.orders, "f_bounds": RANGE, "max_rate": used.max_rate}
    ridge = adaptstft.track(slow, used.fs, workers=1, **options)
    values = ridge.frequency[0], *ridge.interval[0].T
    return Tracked(ridge, *(60 * np.interp(heart.time, ridge.t, row) for row in values))


def beats(heartpy: ModuleType, heart: Heart, x: np.ndarray, filtered: bool) -> np.ndarray | None:
    """Return the rates of HeartPy, without or with the filter of its documentation; None if it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if filtered:
                x = heartpy.filter_signal(x, PULSE_BAND, heart.fs, order=3, filtertype="bandpass")
            found, _ = heartpy.process(x - x.min(), heart.fs, bpmmin=60 * RANGE[0], bpmmax=60 * RANGE[1])
        except Exception:  # HeartPy has an error of its own for each kind of bad signal
            return None
    peaks, accepted = np.asarray(found["peaklist"]) / heart.fs, np.asarray(found["binary_peaklist"], bool)
    both = accepted[1:] & accepted[:-1]
    if not both.any():
        return None
    return np.interp(heart.time, ((peaks[1:] + peaks[:-1]) / 2)[both], (60 / np.diff(peaks))[both])


def strongest_bin(heart: Heart, x: np.ndarray) -> np.ndarray:
    """Return the rates of the strongest bins of a spectrogram with one window."""
    size = round(WINDOW * heart.fs)
    padded = np.pad(x, size // 2)
    options = {"window": "hann", "nperseg": size, "noverlap": size - size // 32, "nfft": 16 * size}
    f, t, power = spectrogram(padded, heart.fs, detrend=False, **options)
    inside = (f >= RANGE[0]) & (f <= RANGE[1])
    return np.interp(heart.time, t - WINDOW / 2, 60 * f[inside][power[inside].argmax(axis=0)])


def errors(heart: Heart, rate: np.ndarray | None) -> tuple[float, float]:
    """Return the root mean square of the errors and the median of their magnitudes; both infinite without rates."""
    if rate is None:
        return np.inf, np.inf
    error = rate - heart.rate
    return float(np.sqrt(np.mean(error**2))), float(np.median(np.abs(error)))


@dataclass
class Measured:
    """Errors of each tool, and the intervals of `track`, once for each seed."""

    errors: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {tool: [] for tool in TOOLS})
    coverage: list[float] = field(default_factory=list)
    half_width: list[float] = field(default_factory=list)

    def failures(self, tool: str) -> int:
        """Return the number of seeds for which a tool has no result."""
        return sum(np.isinf(rms) for rms, _ in self.errors[tool])

    def cell(self, tool: str) -> str:
        """Return the medians over seeds of both errors, and the range of the first one."""
        values = np.array(self.errors[tool])
        rms, magnitude = np.median(values, axis=0)
        text = f"{rms:.1f} ({magnitude:.2f})"
        if len(values) > 1:
            text += f", {values[:, 0].min():.1f} to {values[:, 0].max():.1f}"
        return text


def measure(heart: Heart, snr: float | None, heartpy: ModuleType) -> Measured:
    """Run all tools, with the noise of each seed."""
    found = Measured()
    for seed in range(1 if snr is None else SEEDS):
        x = heart.noisy(snr, seed)
        ours = tracked(heart, x)
        found.coverage.append(ours.coverage(heart))
        found.half_width.append(ours.half_width())
        rates = {
            "track": ours.rate,
            "HeartPy": beats(heartpy, heart, x, False),
            "HeartPy, filter": beats(heartpy, heart, x, True),
            "spectrogram": strongest_bin(heart, x),
        }
        for tool, rate in rates.items():
            found.errors[tool].append(errors(heart, rate))
    return found


def _list_table(rows: list[list[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def table(found: dict[float | None, Measured]) -> str:
    """Return the errors at all levels of noise as a table of reStructuredText."""
    rows = [["", *("no noise" if snr is None else f"{snr} dB" for snr in found)]]
    rows += [[name, *(one.cell(tool) for one in found.values())] for tool, name in TOOLS.items()]
    rows.append(["coverage of ``track``", *(f"{100 * np.median(one.coverage):.0f} %" for one in found.values())])
    rows.append(["half width of its intervals", *(f"{np.median(one.half_width):.2f}" for one in found.values())])
    return _list_table(rows)


def settings_table(heart: Heart, reference: Measured) -> str:
    """Return the errors without noise with other settings of `track`, and those of HeartPy in `reference`."""
    rows = [["settings of ``track``, no noise", "error", "coverage", "half width"]]
    for name, settings in SETTINGS.items():
        ours = tracked(heart, heart.x, settings)
        error, _ = errors(heart, ours.rate)
        rows.append([name, f"{error:.2f}", f"{100 * ours.coverage(heart):.0f} %", f"{ours.half_width():.2f}"])
        print(", ".join(rows[-1]), flush=True)
    rows.append(["HeartPy", f"{reference.errors['HeartPy'][0][0]:.2f}", "", ""])
    return _list_table(rows)


def draw(heart: Heart, heartpy: ModuleType, path: Path) -> None:
    """Draw the rates from the pulse wave as it is, beside the truth, and the pulse wave."""
    from matplotlib import pyplot, rc_context

    ridge, of_heartpy = tracked(heart, heart.x).ridge, beats(heartpy, heart, heart.x, False)
    with rc_context({"svg.hashsalt": "heart", "font.size": 8, "svg.fonttype": "path"}):
        figure, (above, below) = pyplot.subplots(
            2, sharex=True, height_ratios=(3, 1), figsize=(7.5, 4.2), layout="constrained"
        )
        above.plot(ridge.t, 60 * ridge.frequency[0], color="C0", lw=1, label="track, from the pulse wave")
        low, high = 60 * ridge.interval[0].T
        above.fill_between(ridge.t, low, high, color="C0", alpha=0.3, lw=0, label="interval of 95 %")
        if of_heartpy is not None:
            above.plot(heart.time, of_heartpy, color="C1", lw=0.8, label="HeartPy, from the pulse wave")
        above.plot(heart.time, heart.rate, "k.", markersize=3, label="electrocardiogram")
        above.set(ylabel="beats a minute", ylim=(55, 90))
        above.legend(ncols=2, loc="upper right")
        shown = slice(None, None, 4)  # 32 Hz show the pulse and keep the file small
        below.plot((np.arange(heart.x.size) / heart.fs)[shown], heart.x[shown], color="0.4", lw=0.5)
        below.set(xlabel="time in s", ylabel="pulse wave", xlim=(0, heart.x.size / heart.fs), yticks=[])
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _installed(name: str) -> ModuleType:
    """Import a package that the benchmark needs, before anything is measured or written."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SystemExit(f"{error}: pip install heartpy 'setuptools<81' matplotlib") from error


def main() -> None:
    """Compare the tools, and write the tables and the figure."""
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    heartpy, _ = _installed("heartpy"), _installed("matplotlib")
    heart, found = load(), {}
    change = np.abs(np.diff(heart.rate) / 60 / np.diff(heart.time)).max()
    print(f"{heart.rate.size} beats, {heart.rate.min():.0f} to {heart.rate.max():.0f} a minute")
    print(f"changes of at most {change:.2f} Hz/s; HeartPy {version('heartpy')}")
    for snr in LEVELS:
        row = found[snr] = measure(heart, snr, heartpy)
        texts = [f"{tool} {row.cell(tool)}" for tool in TOOLS]
        failed = [f"{row.failures(tool)} failures of {tool}" for tool in ("HeartPy", "HeartPy, filter")]
        covered = f"coverage {np.round(row.coverage, 2)}, half width {np.round(row.half_width, 2)}"
        print(f"{snr} dB: " + "; ".join([*texts, covered, *failed]), flush=True)
    texts = {"tracking_heart": table(found), "tracking_heart_settings": settings_table(heart, found[None])}
    for name, text_of_table in texts.items():
        (HERE / f"{name}.rst").write_text(text_of_table, encoding="utf-8")
    draw(heart, heartpy, FIGURE)


if __name__ == "__main__":
    main()
