"""Pictures of spectrograms, window lengths and criteria, drawn with matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft.common.detrend import remove_trend
from adaptstft.common.optional import require
from adaptstft.common.text import describe_window
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.display.protocols import Frames, Result, Surface, Survey, Transform

#: Range of colours of a spectrogram, in dB below its maximum.
RANGE_DB = 60.0
#: Columns and rows of a spectrogram for each pixel of its axes. Less than one, because a colour bar may still make the
#: axes narrower, and matplotlib drops columns narrower than a pixel.
_PER_PIXEL = 0.5
#: Number of spectrogram values that are computed at once.
_ENTRIES = 1 << 21
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


def _reduced_spectrogram(
    sft: Transform, x: AnyArray, most_columns: int, step: int
) -> tuple[Float64Array, Float64Array]:
    """Return times in seconds and the spectrogram, averaged over channels and reduced to the size of the picture.

    Each column and row is the maximum of several frames and of `step` bins, so that short events and narrow lines
    stay visible.
    """
    assert sft.positions is not None
    count = sft.positions.size
    # of equal size, so neighbours share frames: the largest of more frames of noise would be brighter
    together = -(-count // most_columns)
    firsts = np.linspace(0, count - together, min(count, most_columns)).round().astype(int)
    groups = [range(first, first + together) for first in firsts]
    channels = x.size // x.shape[-1]
    # several groups in each call, because calls have an overhead
    at_once = max(1, int(_ENTRIES / (channels * sft.f_pts * (count / len(groups)))))
    columns, times = [], []
    for first in range(0, len(groups), at_once):
        batch = groups[first : first + at_once]
        p0, p1 = int(batch[0][0]), int(batch[-1][-1]) + 1
        power = np.asarray(sft.spectrogram(x, p0=p0, p1=p1), dtype=float)
        power = _row_maxima(power.reshape(-1, *power.shape[-2:]).mean(axis=0), step)
        for group in batch:
            columns.append(power[:, group[0] - p0 : group[-1] + 1 - p0].max(axis=1))
            times.append(sft.positions[group[0] : group[-1] + 1].mean() / sft.fs)
    return np.array(times), np.array(columns).T


def _edges(centres: Float64Array, first: float, last: float) -> Float64Array:
    """Return the edges of columns with these centres; the outer edges are at `first` and `last`, or further out."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[min(first, centres[0])], middle, [max(last, centres[-1])]])


def _row_maxima(values: AnyArray, step: int) -> AnyArray:
    """Return the maxima of each `step` rows."""
    padding = -values.shape[0] % step
    padded = np.pad(values, [(0, padding), (0, 0)], mode="edge")
    return np.asarray(padded.reshape(-1, step, values.shape[1]).max(axis=1))


def draw_spectrogram(ax: Any, sft: Transform, x: AnyArray, title: str) -> Any:
    """Draw a spectrogram in dB below its maximum, time in seconds and frequency in Hz.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes to draw on.
    sft : Transform
        A transform with positions, not a hop.
    x : ndarray
        The signal, time last; channels are averaged.
    title : str
        Title of the axes.

    Returns
    -------
    matplotlib QuadMesh
        The picture.
    """
    area = ax.get_window_extent()
    columns, rows = (max(100, int(_PER_PIXEL * size)) for size in (area.width, area.height))
    step = -(-sft.f_pts // rows)  # bins in a row
    times, power = _reduced_spectrogram(sft, x, columns, step)
    peak = power.max() or 1.0  # the frames of a thinned-out picture may miss all of the energy
    level = 10 * np.log10(np.maximum(power / peak, 10 ** (-RANGE_DB / 10)))
    # the last row may stand for fewer than `step` bins
    f_edges = sft.f[0] + (step * np.arange(len(power) + 1) - 0.5) * sft.delta_f
    t_edges = _edges(times, 0.0, (x.shape[-1] - 1) / sft.fs)
    mesh = ax.pcolormesh(t_edges, f_edges, level, vmin=-RANGE_DB, vmax=0, cmap="magma", rasterized=True)
    ax.set_xlim(0, max((x.shape[-1] - 1) / sft.fs, 1 / sft.fs))
    ax.set_ylim(sft.f[0], sft.f[-1])
    ax.set_xlabel("time in s")
    ax.set_ylabel("frequency in Hz")
    ax.set_title(title)
    return mesh


def show_band(ax: Any, sft: Transform, f_bounds: tuple[float | None, float | None] | None) -> None:
    """Show the frequencies that the criterion sees and a quarter of their range on both sides; all of them for None."""
    if f_bounds is None:
        return
    first, last = float(sft.f[0]), float(sft.f[-1])
    low, high = (end if given is None else given for given, end in zip(f_bounds, (first, last), strict=True))
    margin = _BESIDE_BAND * (high - low)
    ax.set_ylim(max(first, low - margin), min(last, high + margin))


def _length_text(sft: Frames) -> str:
    lengths = np.atleast_1d(sft.win_length)
    if np.ptp(lengths) == 0:
        return f"{lengths[0]:.0f} samples"
    return f"{lengths.min():.0f} to {lengths.max():.0f} samples"


def draw_lengths(ax: Any, sft: Frames) -> None:
    """Draw the window lengths of frames, frequencies or bins over their spectrogram."""
    assert sft.positions is not None
    times = sft.positions / sft.fs
    if np.ndim(sft.win_length) == 2 and np.shape(sft.win_length)[1] == 1:
        _draw_by_frequency(ax, sft)
        return
    if sft.per_bin:
        _draw_contours(ax, times, sft)
        return
    twin = ax.twinx()
    twin.plot(times, 1e3 * np.asarray(sft.win_length) / sft.fs, color="white", linewidth=2.5, alpha=0.6)
    twin.plot(times, 1e3 * np.asarray(sft.win_length) / sft.fs, color="tab:cyan", linewidth=1.2)
    twin.set_ylabel("window length in ms", color="tab:cyan")
    twin.tick_params(axis="y", colors="tab:cyan")
    twin.set_ylim(bottom=0)


def _draw_by_frequency(ax: Any, sft: Frames) -> None:
    """Draw the window length of each frequency as a curve, with its axis at the top."""
    order = np.argsort(sft.f)
    lengths = 1e3 * np.asarray(sft.win_length)[order, 0] / sft.fs
    twin = ax.twiny()
    twin.plot(lengths, sft.f[order], color="white", linewidth=2.5, alpha=0.6)
    twin.plot(lengths, sft.f[order], color="tab:cyan", linewidth=1.2)
    twin.set_xlabel("window length in ms", color="tab:cyan")
    twin.tick_params(axis="x", colors="tab:cyan")
    twin.set_xlim(left=0)


def _draw_contours(ax: Any, times: Float64Array, sft: Frames) -> None:
    """Draw window lengths of bins as contour lines, labelled in ms."""
    lengths = 1e3 * np.asarray(sft.win_length) / sft.fs
    low, high = float(lengths.min()), float(lengths.max())
    if high / low < _FLAT_RATIO or times.size < 2 or sft.f_pts < 2:
        return
    surface = np.broadcast_to(lengths, (sft.f_pts, times.size))
    levels = [float(f"{v:.2g}") for v in np.geomspace(low, high, _CONTOURS + 2)[1:-1]]
    lines = ax.contour(times, sft.f, surface, sorted(set(levels)), colors="tab:cyan", linewidths=1.0)
    ax.clabel(lines, fmt=lambda v: f"{v:g} ms", fontsize=8)


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
    lengths, values = result.survey.lengths, result.survey.values
    ax.semilogx(lengths, values, ".-" if lengths.size <= _MARKED else "-", color="tab:blue", label="one length")
    one = np.ndim(result.win_length) == 0
    typical = float(np.exp(np.mean(np.log(result.win_length))))
    low, high = result.sensitivity.win_length or tuple(typical * f for f in result.sensitivity.factors)
    ax.axvspan(low, high, color="tab:green", alpha=0.15, label="equally good")
    _draw_starts(ax, result, result.survey, one)
    if one:
        ax.plot(typical, result.area_fun, "*", color="tab:red", markersize=12, label="optimum")
    else:
        ax.axvline(typical, color="tab:red", label="optimum, mean length")
    _mark_lengths(ax.xaxis, *ax.get_xlim())
    unit = f" in {result.criterion.unit}" if result.criterion.unit else ""
    ax.set_xlabel("window length in samples")
    ax.set_ylabel(f"{result.criterion.name}{unit}")
    ax.legend()
    return ax


def _mark_lengths(axis: Any, low: float, high: float) -> None:
    """Label round lengths with plain numbers, without the labels at minor ticks, which would overlap."""
    ticker = require("matplotlib.ticker", extra="plot")
    steps = (1.0, 2.0, 5.0) if high / low < _MOST_STEPS else (1.0,)
    axis.set_major_locator(ticker.LogLocator(subs=steps))
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def _draw_surface(ax: Any, result: Result, survey: Survey, surface: Surface) -> None:
    """Draw the criterion above the best one of each place as colours, and the chosen lengths."""
    ms = 1e3 / result.sft.fs
    steps = np.log(surface.lengths * ms)
    half = (steps[1] - steps[0]) / 2 if steps.size > 1 else 0.5
    edges = np.exp(_edges(steps, steps[0] - half, steps[-1] + half))
    lowest = np.nanmin(np.where(np.isnan(surface.values), np.inf, surface.values), axis=1, keepdims=True)
    above = np.ma.masked_invalid(surface.values - lowest)
    frequencies = surface.axis == "frequency"
    low, high = _ends(result, surface)
    most = _MOST_ABOVE if result.criterion.is_logarithm else float(np.median(above.compressed()))
    mesh = ax.pcolormesh(
        _edges(surface.places, low, high), edges, above.T, vmin=0, vmax=most or 1.0, cmap="cividis_r", rasterized=True
    )
    ax.set_facecolor("lightgray")  # places without energy
    ax.set_yscale("log")
    places, lengths, label = _chosen_lengths(result, frequencies=frequencies)
    ax.plot(places, lengths * ms, color="white", linewidth=3.5)
    ax.plot(places, lengths * ms, color="tab:red", linewidth=1.5, label=label)
    best = float(survey.lengths[np.argmin(survey.values)]) * ms
    ax.axhline(best, color="black", linewidth=1, linestyle="--", label="best single length")
    ax.set_xlim(low, high)
    ax.set_ylim(min(edges[0], lengths.min() * ms), max(edges[-1], lengths.max() * ms))
    _mark_lengths(ax.yaxis, *ax.get_ylim())
    ax.set_xlabel("frequency in Hz" if frequencies else "time in s")
    ax.set_ylabel("window length in ms")
    unit = f"{result.criterion.unit} above best".lstrip()
    ax.figure.colorbar(mesh, ax=ax, label=f"{result.criterion.name}, {unit}", pad=0.02, extend="max")
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
    assert result.sft.positions is not None
    return result.sft.positions / result.sft.fs, np.asarray(result.win_length), "chosen lengths"


def _draw_starts(ax: Any, result: Result, survey: Survey, one: bool) -> None:
    """Draw the starts with the chosen window on the curve; for `one` length also lines to the optima they led to."""
    window = describe_window(result.sft.window)
    label: str | None = "starts"
    for start in result.starts:
        if start["window"] != window:
            continue
        before = start["win_length_start"]
        level = np.interp(np.log(before), np.log(survey.lengths), survey.values)
        ax.plot(before, level, "o", color="tab:orange", label=label)
        if one:
            ax.plot([before, start["win_length"]], [level, start["area_fun"]], color="tab:orange", linewidth=1)
        label = None


def plot_result(result: Result, ax: Any = None) -> Any:
    """Draw the spectrogram before and after tuning; see `TuningResult.plot`."""
    require("matplotlib", extra="plot")
    if ax is None:
        pyplot = require("matplotlib.pyplot", extra="plot")
        _, ax = pyplot.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if not 1 <= axes.size <= 2 or not all(hasattr(one, "pcolormesh") for one in axes):
        raise TypeError(f"ax must be one matplotlib Axes or two, got {ax!r}")
    if result.signal is None:
        raise ValueError(
            "the result of a corpus or a Dask array holds no signal to draw; take the spectrogram of one with "
            "sft.spectrogram, or draw the criterion with plot_criterion"
        )
    x = remove_trend(result.signal, result.detrend)
    if axes.size == 2:
        draw_spectrogram(axes[0], result.initial, x, f"before: {_length_text(result.initial)}")
    mesh = draw_spectrogram(axes[-1], result.sft, x, f"tuned: {_length_text(result.sft)}")
    for one in axes:
        show_band(one, result.sft, result.f_bounds)
    if np.ndim(result.win_length):
        draw_lengths(axes[-1], result.sft)
    # without a layout engine, the colour bar must leave space for the axis of lengths
    crowded = np.ndim(result.win_length) == 1 and axes[-1].figure.get_layout_engine() is None
    axes[-1].figure.colorbar(mesh, ax=axes[-1], label="dB relative to maximum", pad=0.18 if crowded else 0.02)
    return axes
