"""HTML of transforms and tuning results for notebooks: a table and, if matplotlib is installed, a picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.detrend import remove_trend
from adaptstft.common.optional import require
from adaptstft.common.text import describe_duration, describe_hops, describe_lengths, describe_window, in_samples
from adaptstft.common.typing import Float64Array
from adaptstft.display import plots
from adaptstft.display.drawing import draw_spectrogram
from adaptstft.display.protocols import Frames, FrequencyAxis, Result, SampledTransform
from adaptstft.display.spectrogram import RANGE_DB, View, is_tied

#: Names and values of a table.
Rows = Sequence[tuple[str, str]]

#: Grey with a contrast of 4.5 to 1 against white and against black, because the picture may be shown on either.
_INK = "#767676"
_BLUE, _ORANGE = "#2f7fc1", "#d9730d"
_INCHES = (5.6, 2.2)
_PIXELS_PER_INCH = 120  # shown at 96: more pixels look sharp on fine screens
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 9.0,
    "figure.facecolor": "none",
    "font.size": 8.0,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
#: Most work for a spectrogram, in samples that are windowed and transformed.
_BUDGET = 1 << 22
#: Fewest frames of a spectrogram that is drawn.
_FEWEST = 32
#: Largest number of samples, over all channels, of a signal whose spectrogram is drawn.
_MOST_SAMPLES = 1 << 22
#: Instants at which curves over time are computed.
_INSTANTS = 400
#: Most windows on each side in the sum of squares.
_MOST_WINDOWS = 256
#: Most neighbouring windows that are drawn.
_MOST_DRAWN = 24
#: Most rows and columns of a picture of window lengths.
_CELLS = (64, 120)


@dataclass(frozen=True)
class _Picture:
    """A picture for a page: its description as text, and the function that draws it on a figure."""

    text: str
    draw: Callable[[Any], None]


def result_html(result: Result, rows: Rows) -> str:
    """Return a table of `rows` and the spectrogram of a tuning result.

    The windows are drawn instead if the result holds no signal or its spectrogram would take too long.
    """
    return _page(rows, _spectrogram(result) or _windows(result.sft))


def transform_html(sft: Frames) -> str:
    """Return a table of the settings of a transform and a picture of its windows."""
    rows = [
        ("window", describe_window(sft.window)),
        ("win_length", describe_lengths(sft.win_length, sft.fs)),
        ("hop", describe_hops(_positions(sft), sft.hop, sft.fs)),
        *_fft_rows(sft),
        ("backend", sft.backend),
    ]
    return _page(rows, _windows(sft), type(sft).__name__)


def sampled_html(sft: SampledTransform) -> str:
    """Return a table of the settings of a transform with a sampled window and a picture of its windows."""
    overlap = 100 * (1 - sft.hop / sft.m_num)
    rows = [
        ("window", f"{in_samples(sft.m_num)} = {describe_duration(sft.m_num / sft.fs)}"),
        ("hop", f"{in_samples(sft.hop)} = {describe_duration(sft.hop / sft.fs)}, windows overlap by {overlap:.3g} %"),
        *_fft_rows(sft),
        ("invertible", "yes" if sft.invertible else "no"),
    ]
    offsets = np.arange(sft.m_num) - sft.m_num_mid
    magnitude = np.abs(sft.win)

    def sample(k: Float64Array) -> Float64Array:
        return np.interp(k, offsets, magnitude, left=0.0, right=0.0)

    picture = _repeated_window(sample, -float(offsets[0]), float(offsets[-1]), float(sft.hop), sft.fs)
    return _page(rows, picture, type(sft).__name__)


# ---------------------------------------------------------------------- the page


def _fft_rows(sft: FrequencyAxis) -> Rows:
    return [
        ("fs", f"{sft.fs:g} Hz"),
        ("mfft", f"{sft.mfft}, {sft.f_pts} bins {sft.delta_f:.4g} Hz apart, {sft.fft_mode}"),
        ("scaling", str(sft.scaling)),
        ("phase_shift", str(sft.phase_shift)),
    ]


def _page(rows: Rows, picture: _Picture, title: str = "") -> str:
    caption = f"<caption style='text-align:left'>{html.escape(title)}</caption>" if title else ""
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in rows
    )
    return f"<table>{caption}{cells}</table>{_image(picture)}"


def _image(picture: _Picture) -> str:
    """Return a picture as an HTML image; an empty string if matplotlib is not installed."""
    try:
        style = require("matplotlib.style", extra="plot")
        Figure = require("matplotlib.figure", extra="plot").Figure
    except ImportError:
        return ""
    stream = io.BytesIO()
    with style.context(["default", _STYLE]):  # independent of the settings of the session
        figure = Figure(figsize=_INCHES, dpi=_PIXELS_PER_INCH)
        picture.draw(figure)
        figure.savefig(stream, format="png")
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    alt = html.escape(picture.text, quote=True)
    return f'<img alt="{alt}" width="{96 * _INCHES[0]:.0f}" src="data:image/png;base64,{data}">'


def _axes(figure: Any, width: float = 0.76, height: float = 0.66) -> Any:
    return figure.add_axes((0.12, 0.2, width, height))


# ---------------------------------------------------------------------- the spectrogram of a result


def _spectrogram(result: Result) -> _Picture | None:
    """Return a picture of the tuned spectrogram; None if there is no signal or it would take too long."""
    sft, signal = result.sft, result.signal
    positions = result.positions if sft.positions is None else sft.positions
    if signal is None or positions is None or signal.size > _MOST_SAMPLES:
        return None
    channels = signal.size // signal.shape[-1]
    work = sft.f_pts * float(np.mean(sft.win_length)) if sft.per_bin else float(sft.mfft)
    most = int(_BUDGET / (work * channels))
    if most < min(_FEWEST, positions.size):
        return None
    step = -(-positions.size // most)
    lengths = np.asarray(sft.win_length)
    along_time = is_tied(sft)
    shown = sft.remade(
        hop=None,
        positions=positions[::step],
        samples=None,
        win_length=lengths[..., ::step] if along_time else lengths,
        backend="numpy",  # starts at once, without compilation
    )

    def draw(figure: Any) -> None:
        by_frequency = lengths.ndim == 2 and not along_time  # its axis of lengths takes the space of the title
        ax = _axes(figure, height=0.56 if by_frequency else 0.66)
        x = remove_trend(signal, result.detrend)
        view = View(f_range=plots.band_range(shown, result.f_bounds))
        draw_spectrogram(ax, shown, x, "" if by_frequency else f"spectrogram, {RANGE_DB:.0f} dB", view)
        if lengths.ndim:
            plots.draw_lengths(ax, shown, x.shape[-1])

    return _Picture(f"Spectrogram with windows of {describe_lengths(result.win_length, sft.fs)}", draw)


# ---------------------------------------------------------------------- the windows of a transform


def _positions(sft: Frames) -> Float64Array | None:
    """Return the positions of the frames in samples; None if their number is not fixed."""
    if sft.positions is not None:
        return sft.positions
    lengths = np.asarray(sft.win_length)
    if sft.hop is None or lengths.shape[-1:] in ((), (1,)):
        return None
    return np.asarray((sft.p_min + np.arange(lengths.shape[-1])) * sft.hop)


def _windows(sft: Frames) -> _Picture:
    """Return a picture of the window if all frames have the same, otherwise of the window lengths."""
    lengths, positions = np.asarray(sft.win_length), _positions(sft)
    if sft.per_bin:
        if lengths.shape[1] == 1 or positions is None:
            return _lengths_by_frequency(sft)
        return _lengths_by_bin(sft, positions)
    if lengths.ndim and positions is not None and np.ptp(lengths):
        return _lengths_by_time(sft, positions)
    length = float(lengths.flat[0])
    hop = sft.hop
    if hop is None:
        assert positions is not None
        spacing = np.diff(positions)
        if spacing.size and np.ptp(spacing) > 1e-9 * spacing.mean():
            return _lengths_by_time(sft, positions)
        hop = float(spacing.mean()) if spacing.size and spacing.mean() > 0 else length

    def sample(k: Float64Array) -> Float64Array:
        return np.abs(sft.window(k / length))

    return _repeated_window(sample, length / 2, length / 2, hop, sft.fs)


def _repeated_window(
    sample: Callable[[Float64Array], Float64Array], before: float, after: float, hop: float, fs: float
) -> _Picture:
    """Return a picture of one window, its neighbours, and the sum of the squares of all windows.

    The window begins `before` samples before the position of its frame and ends `after` samples after it.
    """
    reach = before + after
    hop *= np.ceil(reach / hop / _MOST_WINDOWS)  # with more windows the sum is no smoother
    k = np.linspace(-reach, reach, _INSTANTS)
    first, last = int(np.ceil((k[0] - after) / hop)), int(np.floor((k[-1] + before) / hop))
    positions = hop * np.arange(first, last + 1)
    total = np.array([np.sum(sample(instant - positions) ** 2) for instant in k])

    def draw(figure: Any) -> None:
        ax = _axes(figure)
        for position in positions[:: max(1, positions.size // _MOST_DRAWN)]:
            if position:
                ax.plot(k / fs, sample(k - position), color=_INK, linewidth=0.6, alpha=0.7)
        ax.plot(k / fs, sample(k), color=_BLUE, linewidth=1.8, label="window")
        peak, top = sample(k).max(), total.max()
        ax.plot(k / fs, total * peak / top, color=_ORANGE, linestyle="--", label="sum of squares, scaled")
        ax.set(xlabel="time in s", xlim=(k[0] / fs, k[-1] / fs), ylim=(0, 1.08 * peak))
        ax.locator_params(axis="x", nbins=7)  # labels in seconds are long
        figure.legend(loc="upper center", ncols=2)

    return _Picture("A window with its neighbours, and the sum of the squares of all of them", draw)


def _lengths_by_time(sft: Frames, positions: Float64Array) -> _Picture:
    """Return a picture of the window length of each frame and of the number of windows at each instant."""
    lengths = np.broadcast_to(np.asarray(sft.win_length), positions.shape)
    begins, ends = np.sort(positions - lengths / 2), np.sort(positions + lengths / 2)
    instants = np.linspace(positions[0], positions[-1], _INSTANTS)
    count = np.searchsorted(begins, instants, "right") - np.searchsorted(ends, instants, "right")

    def draw(figure: Any) -> None:
        ax = _axes(figure)
        style = "." if positions.size == 1 else "-"
        ax.plot(positions / sft.fs, 1e3 * lengths / sft.fs, style, color=_BLUE)
        ax.set_xlabel("time in s")
        ax.set_ylabel("window length in ms", color=_BLUE)
        ax.set_ylim(bottom=0)
        twin = ax.twinx()
        twin.fill_between(instants / sft.fs, count, step="mid", color=_ORANGE, alpha=0.25, linewidth=0)
        twin.set_ylabel("windows at once", color=_ORANGE)
        twin.set_ylim(0, 1.6 * max(1, count.max()))

    return _Picture("Window length of each frame, and the number of windows at each instant", draw)


def _lengths_by_frequency(sft: Frames) -> _Picture:
    """Return a picture of the window length of each frequency."""

    def draw(figure: Any) -> None:
        ax = _axes(figure)
        order = np.argsort(sft.f)
        ax.plot(sft.f[order], 1e3 * np.asarray(sft.win_length)[order, 0] / sft.fs, color=_BLUE)
        ax.set(xlabel="frequency in Hz", ylabel="window length in ms")
        ax.set_ylim(bottom=0)

    return _Picture("Window length of each frequency", draw)


def _lengths_by_bin(sft: Frames, positions: Float64Array) -> _Picture:
    """Return a picture of the window length of each time-frequency bin; large ones are thinned out."""
    order = np.argsort(sft.f)
    rows = order[:: -(-order.size // _CELLS[0])]
    columns = np.arange(positions.size)[:: -(-positions.size // _CELLS[1])]
    lengths = 1e3 * np.asarray(sft.win_length)[np.ix_(rows, columns)] / sft.fs

    def draw(figure: Any) -> None:
        ax = _axes(figure, width=0.82)
        mesh = ax.pcolormesh(positions[columns] / sft.fs, sft.f[rows], lengths, shading="nearest", cmap="viridis")
        ax.set(xlabel="time in s", ylabel="frequency in Hz")
        figure.colorbar(mesh, ax=ax, label="window length in ms", pad=0.02)

    return _Picture("Window length of each time-frequency bin", draw)
