"""How results and transforms look in notebooks: a table and, where matplotlib is installed, a small picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft.common.optional import require
from adaptstft.common.text import describe_duration, describe_hops, describe_lengths, describe_window
from adaptstft.common.typing import Float64Array

if TYPE_CHECKING:
    from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
    from adaptstft.transforms.scipy_compatible import ShortTimeFFT
    from adaptstft.tuning.result.result import TuningResult

Rows = Sequence[tuple[str, str]]

#: Grey that stands out by 4.5 to 1 from white and from black alike: a picture does not know the theme it is shown in.
_INK = "#767676"
_BLUE, _ORANGE = "#2f7fc1", "#d9730d"
_INCHES = (5.6, 2.2)
_PIXELS_PER_INCH = 144  # pictures are shown at 96 and stay sharp on finer screens
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
_COLOURS = 96
#: Work for a spectrogram, in samples that are multiplied and transformed, and the fewest slices that show something.
_BUDGET = 1 << 22
_FEWEST = 32
#: Samples, over all channels, up to which a signal is looked at.
_MOST_SAMPLES = 1 << 22
_INSTANTS = 400
_MOST_WINDOWS = 256
_CELLS = (64, 120)


@dataclass(frozen=True)
class _Picture:
    """What is drawn, in words for those who do not see it, and the function that draws on a figure."""

    text: str
    draw: Callable[[Any], None]


def result_html(result: TuningResult, rows: Rows) -> str:
    """Show a result of tuning with the spectrogram, or with its windows if there is no signal or a very long one."""
    return _page(rows, _spectrogram(result) or _windows(result.sft))


def transform_html(sft: AdaptiveShortTimeFFT) -> str:
    """Show a transform with its windows and how they overlap."""
    rows = [
        ("window", describe_window(sft.window)),
        ("win_length", describe_lengths(sft.win_length, sft.fs)),
        ("hop", describe_hops(_times(sft), sft.hop, sft.fs)),
        ("fs", f"{sft.fs:g} Hz"),
        ("mfft", f"{sft.mfft}, {sft.f_pts} bins {sft.delta_f:.4g} Hz apart, {sft.fft_mode}"),
        ("scaling", str(sft.scaling)),
        ("phase_shift", str(sft.phase_shift)),
        ("backend", sft.backend),
    ]
    return _page(rows, _windows(sft), type(sft).__name__)


def sampled_html(sft: ShortTimeFFT) -> str:
    """Show a transform with a window of samples."""
    overlap = 100 * (1 - sft.hop / sft.m_num)
    rows = [
        ("window", f"{sft.m_num} samples = {describe_duration(sft.m_num / sft.fs)}"),
        ("hop", f"{sft.hop} samples = {describe_duration(sft.hop / sft.fs)}, windows overlap by {overlap:.3g} %"),
        ("fs", f"{sft.fs:g} Hz"),
        ("mfft", f"{sft.mfft}, {sft.f_pts} bins {sft.delta_f:.4g} Hz apart, {sft.fft_mode}"),
        ("scaling", str(sft.scaling)),
        ("phase_shift", str(sft.phase_shift)),
        ("invertible", "yes" if sft.invertible else "no"),
    ]
    offsets = np.arange(sft.m_num) - sft.m_num_mid
    magnitude = np.abs(sft.win)

    def sample(k: Float64Array) -> Float64Array:
        return np.interp(k, offsets, magnitude, left=0.0, right=0.0)

    picture = _repeated(sample, -float(offsets[0]), float(offsets[-1]), float(sft.hop), sft.fs)
    return _page(rows, picture, type(sft).__name__)


# ---------------------------------------------------------------------- the page


def _page(rows: Rows, picture: _Picture, title: str = "") -> str:
    caption = f"<caption style='text-align:left'>{html.escape(title)}</caption>" if title else ""
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in rows
    )
    return f"<table>{caption}{cells}</table>{_image(picture)}"


def _image(picture: _Picture) -> str:
    """Draw a picture for a page; nothing without matplotlib."""
    try:
        style = require("matplotlib.style", extra="plot")
        figures = require("matplotlib.figure", extra="plot")
        canvas = require("matplotlib.backends.backend_agg", extra="plot").FigureCanvasAgg
        images = require("PIL.Image", extra="plot")
    except ImportError:
        return ""
    stream = io.BytesIO()
    with style.context(["default", _STYLE]):  # whatever the user has set for figures of their own
        figure = figures.Figure(figsize=_INCHES, dpi=_PIXELS_PER_INCH)
        picture.draw(figure)
        drawn = canvas(figure)
        drawn.draw()
        image = images.fromarray(np.asarray(drawn.buffer_rgba()))
    # a palette of few colours makes a third of the size; this method is the one that keeps transparency
    image.quantize(_COLOURS, method=images.Quantize.FASTOCTREE).save(stream, format="png")
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    alt = html.escape(picture.text, quote=True)
    return f'<img alt="{alt}" width="{96 * _INCHES[0]:.0f}" src="data:image/png;base64,{data}">'


def _axes(figure: Any) -> Any:
    return figure.add_axes((0.12, 0.2, 0.76, 0.66))


# ---------------------------------------------------------------------- the spectrogram of a result


def _spectrogram(result: TuningResult) -> _Picture | None:
    """Picture of the tuned spectrogram; None if there is no signal, or if it would take too long."""
    from adaptstft.common.detrend import remove_trend
    from adaptstft.display import plots as plotting

    sft = result.sft
    if result.signal is None or sft.positions is None or result.signal.size > _MOST_SAMPLES:
        return None
    channels = result.signal.size // result.signal.shape[-1]
    work = sft.f_pts * float(np.mean(sft.win_length)) if sft.per_bin else float(sft.mfft)
    most = int(_BUDGET / (work * channels))
    if most < min(_FEWEST, sft.positions.size):
        return None
    step = -(-sft.positions.size // most)
    lengths = np.asarray(sft.win_length)
    along_time = lengths.ndim == 1 or (lengths.ndim == 2 and lengths.shape[1] > 1)
    shown = sft.remade(
        positions=sft.positions[::step],
        win_length=lengths[..., ::step] if along_time else lengths,
        backend="numpy",  # no loops to compile first
    )

    def draw(figure: Any) -> None:
        by_frequency = lengths.ndim == 2 and not along_time  # whose axis is where the title would be
        ax = figure.add_axes((0.12, 0.2, 0.76, 0.56)) if by_frequency else _axes(figure)
        x = remove_trend(result.signal, result.detrend)
        plotting.draw_spectrogram(ax, shown, x, "" if by_frequency else f"spectrogram, {plotting.RANGE_DB:.0f} dB")
        if lengths.ndim:
            plotting.draw_lengths(ax, shown)

    return _Picture(f"Spectrogram with windows of {describe_lengths(result.win_length, sft.fs)}", draw)


# ---------------------------------------------------------------------- the windows of a transform


def _times(sft: AdaptiveShortTimeFFT) -> Float64Array | None:
    """Return the times of the slices in samples; None if there is any number of them."""
    if sft.positions is not None:
        return sft.positions
    lengths = np.asarray(sft.win_length)
    if sft.hop is None or lengths.shape[-1:] in ((), (1,)):
        return None
    return np.asarray((sft.p_min + np.arange(lengths.shape[-1])) * sft.hop)


def _windows(sft: AdaptiveShortTimeFFT) -> _Picture:
    """Picture of the windows of a transform: themselves if they are all the same, otherwise their lengths."""
    lengths, times = np.asarray(sft.win_length), _times(sft)
    if sft.per_bin:
        if lengths.shape[1] == 1 or times is None:
            return _lengths_by_frequency(sft)
        return _lengths_by_bin(sft, times)
    if lengths.ndim and times is not None and np.ptp(lengths):
        return _lengths_by_time(sft, times)
    length = float(lengths.flat[0])
    hop = sft.hop
    if hop is None:
        assert times is not None
        spacing = np.diff(times)
        if spacing.size and np.ptp(spacing) > 1e-9 * spacing.mean():
            return _lengths_by_time(sft, times)
        hop = float(spacing.mean()) if spacing.size and spacing.mean() > 0 else length

    def sample(k: Float64Array) -> Float64Array:
        return np.abs(sft.window(k / length))

    return _repeated(sample, length / 2, length / 2, hop, sft.fs)


def _repeated(
    sample: Callable[[Float64Array], Float64Array], before: float, after: float, hop: float, fs: float
) -> _Picture:
    """Picture of one window and its neighbours, and of the sum of the squares of all.

    The window reaches from `before` samples before the time of its slice to `after` samples after it.
    """
    reach = before + after
    hop *= np.ceil(reach / hop / _MOST_WINDOWS)  # the sum of that many is as smooth as that of more
    k = np.linspace(-reach, reach, _INSTANTS)
    first, last = int(np.ceil((k[0] - after) / hop)), int(np.floor((k[-1] + before) / hop))
    slices = hop * np.arange(first, last + 1)
    total = np.array([np.sum(sample(instant - slices) ** 2) for instant in k])
    scale, unit = (1e3, "ms") if reach / fs < 2 else (1.0, "s")

    def draw(figure: Any) -> None:
        ax = _axes(figure)
        for time in slices[:: max(1, slices.size // 24)]:
            if time:
                ax.plot(k * scale / fs, sample(k - time), color=_INK, linewidth=0.6, alpha=0.7)
        ax.plot(k * scale / fs, sample(k), color=_BLUE, linewidth=1.8, label="window")
        peak, top = sample(k).max(), total.max()
        ax.plot(k * scale / fs, total * peak / top, color=_ORANGE, linestyle="--", label="sum of squares, scaled")
        ax.set(xlabel=f"time in {unit}", xlim=(k[0] * scale / fs, k[-1] * scale / fs), ylim=(0, 1.08 * peak))
        figure.legend(loc="upper center", ncols=2)

    return _Picture("A window with its neighbours, and the sum of the squares of all of them", draw)


def _lengths_by_time(sft: AdaptiveShortTimeFFT, times: Float64Array) -> _Picture:
    """Picture of the window length of each slice, and of how many windows are over each instant."""
    lengths = np.broadcast_to(np.asarray(sft.win_length), times.shape)
    begins, ends = np.sort(times - lengths / 2), np.sort(times + lengths / 2)
    instants = np.linspace(times[0], times[-1], _INSTANTS)
    count = np.searchsorted(begins, instants, "right") - np.searchsorted(ends, instants, "right")

    def draw(figure: Any) -> None:
        ax = _axes(figure)
        style = "." if times.size == 1 else "-"
        ax.plot(times / sft.fs, 1e3 * lengths / sft.fs, style, color=_BLUE)
        ax.set_xlabel("time in s")
        ax.set_ylabel("window length in ms", color=_BLUE)
        ax.set_ylim(bottom=0)
        twin = ax.twinx()
        twin.fill_between(instants / sft.fs, count, step="mid", color=_ORANGE, alpha=0.25, linewidth=0)
        twin.set_ylabel("windows at once", color=_ORANGE)
        twin.set_ylim(0, 1.6 * max(1, count.max()))

    return _Picture("Window length of each slice, and the number of windows over each instant", draw)


def _lengths_by_frequency(sft: AdaptiveShortTimeFFT) -> _Picture:
    """Picture of the window length of each frequency."""

    def draw(figure: Any) -> None:
        ax = _axes(figure)
        order = np.argsort(sft.f)
        ax.plot(sft.f[order], 1e3 * np.asarray(sft.win_length)[order, 0] / sft.fs, color=_BLUE)
        ax.set(xlabel="frequency in Hz", ylabel="window length in ms")
        ax.set_ylim(bottom=0)

    return _Picture("Window length of each frequency", draw)


def _lengths_by_bin(sft: AdaptiveShortTimeFFT, times: Float64Array) -> _Picture:
    """Picture of the window length of each bin, of some of the bins if there are many."""
    order = np.argsort(sft.f)
    rows = order[:: -(-order.size // _CELLS[0])]
    columns = np.arange(times.size)[:: -(-times.size // _CELLS[1])]
    lengths = 1e3 * np.asarray(sft.win_length)[np.ix_(rows, columns)] / sft.fs

    def draw(figure: Any) -> None:
        ax = figure.add_axes((0.12, 0.2, 0.82, 0.66))
        mesh = ax.pcolormesh(times[columns] / sft.fs, sft.f[rows], lengths, shading="nearest", cmap="viridis")
        ax.set(xlabel="time in s", ylabel="frequency in Hz")
        figure.colorbar(mesh, ax=ax, label="window length in ms", pad=0.02)

    return _Picture("Window length of each time-frequency bin", draw)
