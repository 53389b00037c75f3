"""Pictures of real recordings: SciPy's default, the practice of the field, and tuning with nothing chosen.

``python -m benchmarks.gallery`` writes them to the documentation. The recordings are those of the study of criteria,
which ``python -m benchmarks.recordings`` downloads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

import adaptstft
from benchmarks.criteria_recordings import RECORDINGS

mpl.use("Agg")

import matplotlib.pyplot as plt  # after the choice of the backend

_STATIC = Path(__file__).parent.parent / "docs" / "_static"
#: Name of each recording, the stretch that is shown in seconds, and the highest frequency shown in Hz.
SHOWN = {
    "arctic": ((0.4, 2.4), 6000.0),
    "bird3": ((0.0, 0.44), 12000.0),
    "bitalino": ((0.0, 4.0), 60.0),
    "tabla": ((0.0, 1.5), 8000.0),
}
#: Range of the pictures in dB below the maximum.
_DEPTH = 70.0


def draw(name: str) -> Path:
    """Draw the four spectrograms of a recording and return the path of the picture."""
    recording = next(one for one in RECORDINGS if one.name == name)
    (first, last), highest = SHOWN[name]
    fs, x = recording.load()
    x = x[int(first * fs) : int(last * fs)]
    constant = adaptstft.optimize(x, fs)
    by_time = adaptstft.optimize(x, fs, window_mode="time")
    practice = fs * float(np.sqrt(recording.practice.shortest * recording.practice.longest))
    figure, axes = plt.subplots(1, 4, figsize=(16, 3.6), sharex=True, sharey=True, layout="constrained")
    _show(axes[0], _transform(256, fs), x, f"256 samples = {_duration(256 / fs)}: SciPy's default")
    _show(axes[1], _transform(practice, fs), x, f"practice: {_duration(practice / fs)}")
    _show(axes[2], constant.sft, x, f"optimize: {_duration(constant.win_duration)}")
    low, high = np.percentile(by_time.win_length, [5, 95]) / fs
    _show(axes[3], by_time.sft, x, f"window_mode='time': {_duration(low)} to {_duration(high)}")
    line = axes[3].twinx()
    line.plot(by_time.positions / fs, 1000 * by_time.win_length / fs, color="tab:cyan", linewidth=1)
    line.set_yscale("log")
    line.set_ylabel("window length in ms", color="tab:cyan")
    axes[0].set_ylim(0, min(highest, fs / 2))
    axes[0].set_ylabel("frequency in Hz")
    for one in axes:
        one.set_xlabel("time in s")
    path = _STATIC / f"gallery_{name}.png"
    figure.savefig(path, dpi=80)
    plt.close(figure)
    return path


def _transform(length: float, fs: float) -> adaptstft.AdaptiveShortTimeFFT:
    """Return a transform with a constant window."""
    return adaptstft.AdaptiveShortTimeFFT("hann", length, max(1, int(length // 8)), fs, mfft=2 * int(length))


def _show(axes: Any, sft: adaptstft.AdaptiveShortTimeFFT, x: Any, title: str) -> None:
    """Draw a spectrogram in dB below its maximum."""
    power = sft.spectrogram(x)
    times = sft.positions / sft.fs if sft.positions is not None else sft.t(x.size)
    inside = (times >= 0) & (times <= x.size / sft.fs)
    power = power[:, inside]
    level = 10 * np.log10(np.maximum(power / power.max(), 10 ** (-_DEPTH / 10)))
    axes.pcolormesh(times[inside], sft.f, level, vmin=-_DEPTH, vmax=0, cmap="magma", shading="nearest", rasterized=True)
    axes.set_xlim(0, x.size / sft.fs)
    axes.set_title(title, fontsize=10)


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


if __name__ == "__main__":
    for name in SHOWN:
        print(draw(name))
