"""Comparison of figures with reference pictures in the folder ``pictures``.

The tests compare the inside of the axes, without text and averaged over a few tiles. So they find changes of data,
colours, ranges and lines, but depend neither on fonts nor on how a version of matplotlib draws a line. The results
are not tuned, so that the pictures do not change with the optimiser.

``python tests/display/test_pictures.py`` draws the reference pictures again.
"""

from pathlib import Path
from unittest import mock

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import adaptstft
from adaptstft import datasets
from adaptstft.display import html
from adaptstft.tuning.tables.survey import Surface, Survey

FOLDER = Path(__file__).with_name("pictures")
ROWS, COLUMNS = 24, 40
#: Largest difference of a tile, in colours from 0 to 1, and mean difference over the picture. Rounding to 8 bits makes
#: 0.002 and 0.001, the lines of matplotlib 3.8 differ by 0.014 in a tile; a line that moves by a tile makes more.
LARGEST, MEAN = 0.08, 0.004


def result(**changes):
    """Result with a fixed window, or with the windows in `changes`."""
    signal = datasets.decaying_tones_with_clicks()
    res = adaptstft.optimize(
        signal.x, signal.fs, window_mode="fixed", win_length=128, hop=16, mfft=400, detrend="constant", workers=1
    )
    if changes:
        res.sft = res.sft.remade(max_length=400, hop=None, positions=res.positions, **changes)
        res.win_length = res.sft.win_length
    return res


def both(res):
    figure = Figure(figsize=(8, 3), dpi=100)
    res.plot(ax=figure.subplots(1, 2))
    return figure


def constant():
    return both(result())


def by_time():
    return both(result(win_length=220 + 120 * np.sin(np.arange(189) / 20)))


def by_frequency():
    return both(result(win_length=np.geomspace(400, 60, 201)[:, None]))


def by_bin():
    places = np.add.outer(np.linspace(0, 1, 201), np.linspace(0, 1, 189))
    with mock.patch.object(matplotlib.axes.Axes, "clabel"):  # labels are text, and cut gaps into the lines
        return both(result(win_length=60 + 170 * places))


def criterion():
    res = result()
    lengths = np.geomspace(20, 800, 30)
    res.survey = Survey(lengths, res.area_fun + np.log(lengths / 128) ** 2, None)
    figure = Figure(figsize=(5, 3), dpi=100)
    ax = figure.subplots()
    res.plot_criterion(ax)
    ax.get_legend().remove()
    return figure


def criterion_over_time():
    res = result(win_length=220 + 120 * np.sin(np.arange(189) / 20))
    places, lengths = np.linspace(0, 3, 40), np.geomspace(20, 800, 30)
    best = 220 + 120 * np.sin(places * 1000 / 16 / 20)
    values = 0.4 * np.log(lengths / best[:, None]) ** 2
    values[30:32] = np.nan
    res.survey = Survey(lengths, np.log(lengths / 128) ** 2, None, Surface("time", places, lengths, values))
    figure = Figure(figsize=(5, 3), dpi=100)
    ax = figure.subplots()
    res.plot_criterion(ax)
    ax.get_legend().remove()
    return figure


def windows():
    figure = Figure(figsize=(5, 2), dpi=100)
    html._windows(adaptstft.AdaptiveShortTimeFFT("hann", 100.5, 25, 1000.0)).draw(figure)
    return figure


def lengths_of_frames():
    figure = Figure(figsize=(5, 2), dpi=100)
    sft = adaptstft.AdaptiveShortTimeFFT("hann", 60 + 30 * np.sin(np.arange(100) / 8), 10, 1000.0)
    html._windows(sft).draw(figure)
    return figure


FIGURES = {
    f.__name__: f
    for f in (constant, by_time, by_frequency, by_bin, criterion, criterion_over_time, windows, lengths_of_frames)
}


def tiles(figure):
    """Mean colours of the tiles of all axes except colour bars, shape (axes * ROWS, COLUMNS, 3)."""
    for artist in figure.findobj(matplotlib.text.Text):
        artist.set_visible(False)
    figure.set_facecolor("white")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    boxes = {ax.get_window_extent().extents.round(3).tobytes(): ax.get_window_extent() for ax in figure.axes}
    parts = []
    for box in boxes.values():
        if box.width < 2 * COLUMNS:  # a colour bar
            continue
        # without two pixels on each side, where the frame is
        y = np.linspace(len(pixels) - box.y1 + 2, len(pixels) - box.y0 - 2, ROWS + 1).round().astype(int)
        x = np.linspace(box.x0 + 2, box.x1 - 2, COLUMNS + 1).round().astype(int)
        sums = np.add.reduceat(np.add.reduceat(pixels[: y[-1], : x[-1]], y[:-1], axis=0), x[:-1], axis=1)
        parts.append(sums / (np.diff(y)[:, None, None] * np.diff(x)[:, None]))
    return np.concatenate(parts)


def difference(name, shown):
    stored = matplotlib.image.imread(FOLDER / f"{name}.png")[..., :3]
    assert shown.shape == stored.shape
    return np.abs(shown - stored).max(), np.abs(shown - stored).mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_figure(name):
    with matplotlib.rc_context(matplotlib.rcParamsDefault | {"backend": "agg"}):
        largest, mean = difference(name, tiles(FIGURES[name]()))
    assert largest < LARGEST
    assert mean < MEAN


def moved(figure):
    for line in figure.findobj(matplotlib.lines.Line2D):
        if line.axes is not None and line in line.axes.lines and len(line.get_ydata()) > 2:
            low, high = line.axes.get_ylim()
            line.set_ydata(np.asarray(line.get_ydata()) + 0.08 * (high - low))


def without_lines(figure):
    for ax in figure.axes:
        for line in list(ax.lines):
            line.remove()


def other_range(figure):
    figure.axes[0].collections[0].set_clim(-40, 0)


def other_limits(figure):
    figure.axes[-2].set_ylim(0, 400)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("constant", other_range),
        ("constant", other_limits),
        ("by_time", moved),
        ("by_time", without_lines),
        ("by_frequency", moved),
        ("by_frequency", without_lines),
        ("criterion", moved),
        ("criterion", without_lines),
        ("criterion_over_time", moved),
        ("criterion_over_time", without_lines),
        ("criterion_over_time", other_range),
        ("windows", moved),
        ("lengths_of_frames", moved),
        ("lengths_of_frames", without_lines),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_changes_are_detected(name, change):
    with matplotlib.rc_context(matplotlib.rcParamsDefault | {"backend": "agg"}):
        figure = FIGURES[name]()
        change(figure)
        largest, mean = difference(name, tiles(figure))
    assert largest > 1.3 * LARGEST or mean > 1.3 * MEAN


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        matplotlib.image.imsave(FOLDER / f"{name}.png", np.clip(tiles(draw()), 0, 1), metadata={"Software": None})
