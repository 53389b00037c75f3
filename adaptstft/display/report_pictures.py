"""Pictures of a report as data URIs: spectrograms before, after, and for a series of lengths; the criterion."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.detrend import remove_trend
from adaptstft.common.optional import require
from adaptstft.common.text import describe_lengths
from adaptstft.common.typing import AnyArray
from adaptstft.display import plots
from adaptstft.display.drawing import draw_spectrogram
from adaptstft.display.protocols import Result, Transform
from adaptstft.display.spectrogram import View

#: Size of a picture. With this width its text can still be read on a telephone.
_INCHES = (4.8, 3.4)
_PIXELS_PER_INCH = 170
_STYLE = {"font.size": 9.0, "axes.titlesize": 10.0, "legend.fontsize": 8.0}
#: Most window lengths of the series.
_MOST_LENGTHS = 17
#: Frames of a spectrogram in the series, and most samples that are windowed and transformed for one.
_FRAMES, _BUDGET = 360, 1 << 22
#: Least number of frequencies of a spectrogram in the series.
_FREQUENCIES = 256


@dataclass(frozen=True)
class Picture:
    """A picture for a page: its description as text, and its content as a data URI."""

    text: str
    uri: str


@dataclass(frozen=True)
class Step:
    """A window length of the series: the length in samples, the criterion there, and the spectrogram.

    Attributes
    ----------
    win_length, value : float
        Window length in samples, and the criterion of the search in the unit of the result.
    picture : Picture or None
        The spectrogram. None for a result without a signal.
    """

    win_length: float
    value: float
    picture: Picture | None


def before_and_after(result: Result) -> list[Picture]:
    """Return the spectrograms with the transform before tuning and with the tuned one; none without a signal."""
    if result.signal is None:
        return []
    tuned, before = plots.after_and_before(result, result.signal.shape[-1])
    with _style():
        drawn = [_spectrogram(result, before, "before tuning"), _spectrogram(result, tuned, "after tuning")]
        peak = max(one.mesh.peak for one in drawn)
        for one in drawn:  # equal colours are equal levels
            one.mesh.peak = peak
        return [_saved(one.text, one.figure) for one in drawn]


def criterion_surface(result: Result) -> Picture | None:
    """Return the picture of the criterion over time or frequency, and length; None if only one length was tuned."""
    if result.survey is None or result.survey.surface is None:
        return None
    with _style():
        figure = _figure()
        ax = plots.plot_criterion(result, figure.subplots())
        ax.get_legend().set_in_layout(False)  # a wide one would make the axes narrow
        ax.set_title(" ")  # its place
        axis = result.survey.surface.axis
        return _saved(f"The criterion for each {axis} and window length, with the chosen lengths as a line", figure)


def series(result: Result) -> list[Step]:
    """Return window lengths of the search, with the spectrogram that each one gives; empty without a search."""
    if result.survey is None:
        return []
    lengths, values = result.survey.lengths, result.survey.values
    chosen = np.unique(np.linspace(0, lengths.size - 1, min(lengths.size, _MOST_LENGTHS)).round().astype(int))
    steps = [(float(lengths[index]), float(result.scored(values[index]))) for index in chosen]
    if np.ndim(result.win_length) == 0:
        steps = sorted({*steps, (float(result.win_length), result.score)})
    x = result.signal
    return [Step(length, value, None if x is None else _one_length(result, x, length)) for length, value in steps]


def _one_length(result: Result, signal: AnyArray, length: float) -> Picture:
    """Return the spectrogram with windows of one length."""
    n = signal.shape[-1]
    mfft = max(2 * int(np.ceil(length)), 2 * _FREQUENCIES)
    # frames at every half of a window, unless there are too many; at least as many as the picture has columns
    wanted = max(_FRAMES, int(np.ceil(2 * n / length)))
    frames = min(wanted, max(_FRAMES, _BUDGET // (mfft * (signal.size // n))))
    positions = np.linspace(0.0, n - 1.0, max(2, min(frames, n)))
    sft = result.sft.remade(win_length=length, positions=positions, hop=None, mfft=mfft, max_length=None)
    with _style():
        drawn = _spectrogram(result, sft, "")
        return _saved(drawn.text, drawn.figure)


@dataclass(frozen=True)
class _Drawn:
    """A spectrogram on a figure, whose levels can still be changed."""

    text: str
    figure: Any
    mesh: Any


def _spectrogram(result: Result, sft: Transform, name: str) -> _Drawn:
    """Draw the spectrogram of the signal of a result, with the lengths of windows that vary."""
    assert result.signal is not None
    x = remove_trend(result.signal, result.detrend)
    lengths = describe_lengths(sft.win_length, sft.fs)
    figure = _figure()
    ax = figure.subplots()
    view = View(f_range=plots.band_range(result.sft, result.f_bounds))
    mesh = draw_spectrogram(ax, sft, x, name or lengths, view)
    plots.overlay_lengths(ax, sft, x.shape[-1])
    return _Drawn(f"Spectrogram{f' {name},' if name else ''} with windows of {lengths}", figure, mesh)


def _style() -> Any:
    """Return a context with settings that are independent of those of the session."""
    return require("matplotlib.style", extra="plot").context(["default", _STYLE])


def _figure() -> Any:
    Figure = require("matplotlib.figure", extra="plot").Figure
    return Figure(figsize=_INCHES, dpi=_PIXELS_PER_INCH, layout="constrained")


def _saved(text: str, figure: Any) -> Picture:
    """Return a figure as a WebP image, which is a third of the size of a PNG image."""
    stream = io.BytesIO()
    figure.savefig(stream, format="webp", pil_kwargs={"quality": 82})
    return Picture(text, f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}")
