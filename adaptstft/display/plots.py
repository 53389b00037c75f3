"""Pictures of spectrograms, window lengths and criteria, drawn with matplotlib."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from adaptstft.common.detrend import remove_trend
from adaptstft.common.optional import require
from adaptstft.common.text import describe_duration, describe_window
from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import as_signal
from adaptstft.display.drawing import draw_spectrogram, mark_round
from adaptstft.display.protocols import Frames, Result, Surface, Survey, Transform
from adaptstft.display.spectrogram import Source, View, at_hop, is_tied
from adaptstft.display.spectrogram import edges_between as _edges

#: Colours of lines and areas that readers with any colour vision tell apart. M. Okabe, K. Ito, "Color universal
#: design", 2008. What has another colour also has another form, for grey prints.
BLUE, ORANGE, VERMILION = "#0072b2", "#e69f00", "#d55e00"
#: Frequencies shown on both sides of the band that the criterion sees, as a share of its width.
_BESIDE_BAND = 0.25
#: Number of contour lines of window lengths.
_CONTOURS = 4
#: Ratio of the largest to the smallest window length below which no contour lines are drawn.
_FLAT_RATIO = 1.05
#: Most window lengths of a search that are each marked by a dot.
_MARKED = 64
#: Largest value above the best one that has a colour of its own, in nats.
_MOST_ABOVE = 1.0
#: Ratio of the largest to the smallest length below which 2 and 5 times powers of ten are labelled, too.
_MOST_STEPS = 300.0
_LENGTH = "window length in ms"


def band_range(sft: Transform, f_bounds: tuple[float | None, float | None] | None) -> tuple[float, float] | None:
    """Return the frequencies that the criterion sees and a quarter of their range on both sides; None for all."""
    if f_bounds is None:
        return None
    first, last = float(sft.f[0]), float(sft.f[-1])
    low, high = (end if given is None else given for given, end in zip(f_bounds, (first, last), strict=True))
    margin = _BESIDE_BAND * (high - low)
    return max(first, low - margin), min(last, high + margin)


def _length_text(sft: Frames) -> str:
    lengths = np.atleast_1d(sft.win_length) / sft.fs
    low, high = (describe_duration(float(value)) for value in (lengths.min(), lengths.max()))
    return f"windows of {low}" if low == high else f"windows of {low} to {high}"


def draw_lengths(ax: Any, sft: Transform, n: int) -> None:
    """Draw the window lengths of frames, frequencies or bins over the spectrogram of a signal of `n` samples."""
    lengths = 1e3 * np.asarray(sft.win_length) / sft.fs
    if lengths.ndim == 2 and lengths.shape[1] == 1:
        order = np.argsort(sft.f)
        twin = ax.twiny()
        _outlined(twin, lengths[order, 0], sft.f[order])
        twin.set_xlabel(_LENGTH)
        twin.set_xlim(left=0)
        return
    times = sft.t(n)
    if lengths.ndim == 2:
        _draw_contours(ax, times, sft, lengths)
        return
    twin = ax.twinx()
    _outlined(twin, times, lengths)
    twin.set_ylabel(_LENGTH)
    twin.set_ylim(bottom=0)


def _outlined(ax: Any, x: Float64Array, y: Float64Array) -> None:
    """Draw a white line with black edges, which can be seen on all colours of a spectrogram."""
    ax.plot(x, y, color="white", linewidth=2.0, path_effects=_edge(4.0))


def _edge(width: float, colour: str = "black") -> list[Any]:
    effects = require("matplotlib.patheffects", extra="plot")
    return [effects.withStroke(linewidth=width, foreground=colour)]


def _draw_contours(ax: Any, times: Float64Array, sft: Frames, lengths: Float64Array) -> None:
    """Draw window lengths of bins in ms as contour lines with labels."""
    low, high = float(lengths.min()), float(lengths.max())
    if high / low < _FLAT_RATIO or times.size < 2 or sft.f_pts < 2:
        return
    order = np.argsort(sft.f)
    levels = [float(f"{v:.2g}") for v in np.geomspace(low, high, _CONTOURS + 2)[1:-1]]
    lines = ax.contour(times, sft.f[order], lengths[order], sorted(set(levels)), colors="white", linewidths=1.3)
    lines.set(path_effects=_edge(3.0))
    labels = ax.clabel(lines, fmt=lambda v: f"{v:g} ms", fontsize=8, colors="black")
    for label in labels or ():
        label.set(bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.9})


def plot_criterion(result: Result, ax: Any = None) -> Any:
    """Draw the criterion against window length, and time or frequency; see `TuningResult.plot_criterion`."""
    require("matplotlib", extra="plot")
    if result.survey is None:
        raise ValueError(
            "no window lengths were searched, so there is no curve: either only one length is allowed, as for up to 33 "
            "samples without win_bounds, or the lengths are given (window_mode='fixed', win_length with starts=1, or "
            "lengths of single frames or bins to start from)"
        )
    if ax is None:
        pyplot = require("matplotlib.pyplot", extra="plot")
        _, ax = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
    if not hasattr(ax, "axvspan"):
        raise TypeError(f"ax must be one matplotlib Axes, got {ax!r}")
    if result.survey.surface is not None:
        _draw_surface(ax, result, result.survey, result.survey.surface)
        return ax
    ms = 1e3 / result.sft.fs
    lengths, values = result.survey.lengths * ms, result.scored(result.survey.values)
    ax.semilogx(lengths, values, ".-" if lengths.size <= _MARKED else "-", color=BLUE, label="one length")
    one = np.ndim(result.win_length) == 0
    typical = float(np.exp(np.mean(np.log(result.win_length))))
    low, high = result.sensitivity.win_length or tuple(typical * f for f in result.sensitivity.factors)
    ax.axvspan(low * ms, high * ms, color=BLUE, alpha=0.15, linewidth=0, label="equally good")
    _draw_starts(ax, result, result.survey, one)
    if one:
        ax.plot(typical * ms, result.score, "*", color=VERMILION, markersize=12, label="optimum")
    else:
        ax.axvline(typical * ms, color=VERMILION, linestyle="--", label="optimum, mean length")
    _mark_lengths(ax.xaxis, *ax.get_xlim())
    ax.set_xlabel(_LENGTH)
    ax.set_ylabel(f"{result.criterion.name}{result.score_unit and ' in ' + result.score_unit}")
    ax.legend()
    return ax


def _mark_lengths(axis: Any, low: float, high: float) -> None:
    """Label round lengths."""
    mark_round(axis, (1.0, 2.0, 5.0) if high / low < _MOST_STEPS else (1.0,))


def _draw_surface(ax: Any, result: Result, survey: Survey, surface: Surface) -> None:
    """Draw the criterion above the best one of each place as colours, and the chosen lengths."""
    ms = 1e3 / result.sft.fs
    steps = np.log(surface.lengths * ms)
    half = (steps[1] - steps[0]) / 2 if steps.size > 1 else 0.5
    edges = np.exp(_edges(steps, steps[0] - half, steps[-1] + half))
    lowest = np.nanmin(np.where(np.isnan(surface.values), np.inf, surface.values), axis=1, keepdims=True)
    above = np.ma.masked_invalid(result.scored(surface.values - lowest))
    frequencies = surface.axis == "frequency"
    low, high = _ends(result, surface)
    most = _MOST_ABOVE if result.criterion.is_logarithm else float(np.median(above.compressed()))
    mesh = ax.pcolormesh(
        _edges(surface.places, low, high), edges, above.T, vmin=0, vmax=most or 1.0, cmap="cividis_r", rasterized=True
    )
    ax.set_facecolor("lightgray")  # places without energy
    ax.set_yscale("log")
    places, lengths, label = _chosen_lengths(result, frequencies=frequencies)
    ax.plot(places, lengths * ms, color=VERMILION, linewidth=2.0, path_effects=_edge(4.0, "white"), label=label)
    best = float(survey.lengths[np.argmin(survey.values)]) * ms
    ax.axhline(best, color="black", linewidth=1, linestyle="--", label="best single length")
    ax.set_xlim(low, high)
    ax.set_ylim(min(edges[0], lengths.min() * ms), max(edges[-1], lengths.max() * ms))
    _mark_lengths(ax.yaxis, *ax.get_ylim())
    ax.set_xlabel("frequency in Hz" if frequencies else "time in s")
    ax.set_ylabel(_LENGTH)
    label = f"{result.criterion.name},\n{result.score_unit} above best".replace("\n ", "\n")
    ax.figure.colorbar(mesh, ax=ax, label=label, pad=0.02, extend="max")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)  # beside the colours


def _ends(result: Result, surface: Surface) -> tuple[float, float]:
    """Return the ends of the axis of places: those of the signal, or of the frequencies."""
    if surface.axis == "frequency":
        return float(result.sft.f.min()), float(result.sft.f.max())
    return 0.0, max((result.samples - 1) / result.sft.fs, 1 / result.sft.fs)


def _chosen_lengths(result: Result, *, frequencies: bool) -> tuple[Float64Array, Float64Array, str]:
    """Return the places and the lengths of frames or frequencies in samples, averaged over time, and their label."""
    if frequencies:
        order = np.argsort(result.sft.f)
        lengths = np.asarray(result.win_length)[order]
        label = "chosen lengths" if lengths.shape[1] == 1 else "chosen lengths, mean over time"
        return result.sft.f[order], np.exp(np.mean(np.log(lengths), axis=1)), label
    assert result.positions is not None
    return result.positions / result.sft.fs, np.asarray(result.win_length), "chosen lengths"


def _draw_starts(ax: Any, result: Result, survey: Survey, one: bool) -> None:
    """Draw the starts with the chosen window on the curve; for `one` length also lines to the optima they led to."""
    window = describe_window(result.sft.window)
    label: str | None = "starts"
    ms = 1e3 / result.sft.fs
    for start in result.starts:
        if start["window"] != window:
            continue
        before = start["win_length_start"]
        level = result.scored(np.interp(np.log(before), np.log(survey.lengths), survey.values))
        ax.plot(before * ms, level, "o", color=ORANGE, markeredgecolor="black", label=label)
        if one:
            way = [before * ms, start["win_length"] * ms], [level, result.scored(start["area_fun"])]
            ax.plot(*way, color=ORANGE, linewidth=1)
        label = None


def plot_result(result: Result, ax: Any = None, *, hop: float | None = None, **arguments: Any) -> Any:
    """Draw the spectrogram before and after tuning; see `TuningResult.plot`."""
    view = View.checked(**arguments)
    require("matplotlib", extra="plot")
    if result.signal is None:
        raise ValueError(
            "the result of a corpus or a Dask array holds no signal to draw; draw the spectrogram of one with "
            "sft.plot(x), or the criterion with plot_criterion"
        )
    if view.f_range is None:
        view = replace(view, f_range=band_range(result.sft, result.f_bounds))
    x = remove_trend(result.signal, result.detrend)
    tuned, before = after_and_before(result, x.shape[-1], hop)
    Source(tuned, x).limits(view)  # raises before anything is drawn
    if ax is None:
        pyplot = require("matplotlib.pyplot", extra="plot")
        _, ax = pyplot.subplots(1, 2, figsize=(11, 4.2), sharex=True, sharey=True, layout="constrained")
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if not 1 <= axes.size <= 2 or not all(hasattr(one, "pcolormesh") for one in axes):
        raise TypeError(f"ax must be one matplotlib Axes or two, got {ax!r}")
    meshes = []
    if axes.size == 2:
        meshes.append(draw_spectrogram(axes[0], before, x, f"before: {_length_text(result.initial)}", view))
    meshes.append(draw_spectrogram(axes[-1], tuned, x, f"tuned: {_length_text(result.sft)}", view))
    if axes.size == 2:
        axes[1].set_ylabel("")  # the same as that on the left
    peak = max(mesh.peak for mesh in meshes)
    for mesh in meshes:  # equal colours are equal levels
        mesh.peak = peak
    crowded = overlay_lengths(axes[-1], tuned, x.shape[-1])
    _add_colour_bar(list(axes), meshes[0], crowded)
    return axes


def plot_transform(sft: Any, x: Any, ax: Any = None, *, axis: int = -1, hop: float | None = None, **view: Any) -> Any:
    """Draw the spectrogram of a signal; see `AdaptiveShortTimeFFT.plot`."""
    shown = View.checked(**view)
    require("matplotlib", extra="plot")
    signal, _ = as_signal(x, axis, onesided=sft.onesided_fft)
    if hop is not None:
        sft = at_hop(sft, signal.shape[-1], hop)
    Source(sft, signal).limits(shown)
    if ax is None:
        pyplot = require("matplotlib.pyplot", extra="plot")
        _, ax = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
    if not hasattr(ax, "pcolormesh"):
        raise TypeError(f"ax must be one matplotlib Axes, got {ax!r}")
    sampled = not hasattr(sft, "win_length")  # the window is given by its samples
    title = f"windows of {describe_duration(sft.m_num / sft.fs)}" if sampled else _length_text(sft)
    mesh = draw_spectrogram(ax, sft, signal, title, shown)
    crowded = not sampled and overlay_lengths(ax, sft, signal.shape[-1])
    _add_colour_bar([ax], mesh, crowded)
    return ax


def after_and_before(result: Result, n: int, hop: float | None = None) -> tuple[Transform, Transform]:
    """Return the transforms after and before tuning with frames at the same hop.

    If the hop is longer than half of the shortest window before tuning, that transform has a hop of a quarter of this
    window: otherwise parts of the signal would hardly be seen.
    """
    if hop is not None:
        return at_hop(result.sft, n, hop), at_hop(result.initial, n, hop)
    tuned = result.sft if is_tied(result.sft) or result.sft.hop is None else at_hop(result.sft, n, result.hop)
    own = max(1.0, float(np.min(result.initial.win_length)) / 4)
    return tuned, at_hop(result.initial, n, own if 2 * own < result.hop else result.hop)


def overlay_lengths(ax: Any, sft: Transform, n: int) -> bool:
    """Draw lengths that vary; return whether they have an axis on the right of the picture."""
    if not np.ndim(sft.win_length) or np.ptp(sft.win_length) == 0:
        return False
    draw_lengths(ax, sft, n)
    return np.ndim(sft.win_length) == 1


def _add_colour_bar(axes: list[Any], mesh: Any, crowded: bool) -> None:
    figure = axes[0].figure
    # without a layout engine, the colour bar must leave space for the axis of lengths
    pad = 0.1 if crowded and figure.get_layout_engine() is None else 0.02
    figure.colorbar(mesh, ax=axes, label="level in dB, 0 is the maximum", pad=pad)
