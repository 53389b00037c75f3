"""Spectrograms for the part of the plane that is looked at: resolution, ranges, scales, colours."""

import numpy as np
import pytest
from scipy.signal import detrend

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, ShortTimeFFT, datasets

matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
from adaptstft.display import mesh as mesh_module  # noqa: E402
from adaptstft.display.spectrogram import COLOURS, Source, View, at_hop, from_mel, to_mel  # noqa: E402

FS = 1000.0
RNG = np.random.default_rng(0)
NOISE = RNG.standard_normal(6000)
LONG = AdaptiveShortTimeFFT("hann", 100.0, 4, FS, mfft=8192)  # 4097 bins, 1525 frames


@pytest.fixture(scope="module")
def result():
    signal = datasets.linear_chirp(rate=100.0)
    return adaptstft.optimize(signal.x, signal.fs, window_mode="fixed", win_length=100, hop=12.5)


def mesh_of(ax):
    (mesh,) = [one for one in ax.collections if isinstance(one, mesh_module.SpectrogramMesh)]
    return mesh


def edges(mesh):
    corners = mesh.get_coordinates()
    return corners[0, :, 0], corners[:, 0, 1]


def expected(sft, x, mesh, db=60.0):
    """The largest level of the bins and frames in each cell, from the whole spectrogram in plain loops."""
    power, times, f = sft.spectrogram(x), sft.t(x.size), sft.f
    t_edges, f_edges = edges(mesh)
    level = np.full((f_edges.size - 1, t_edges.size - 1), -db)
    for i in range(level.shape[0]):
        rows = (f > f_edges[i]) & (f < f_edges[i + 1])
        for j in range(level.shape[1]):
            columns = (times >= t_edges[j]) & (times <= t_edges[j + 1])  # outer edges may be at frames
            if rows.any() and columns.any():
                level[i, j] = max(10 * np.log10(power[np.ix_(rows, columns)].max() / mesh.peak), -db)
    return level


def test_zooming_shows_single_bins_and_frames(pyplot):
    ax = LONG.plot(NOISE)
    whole = mesh_of(ax).get_array().shape
    assert whole[0] < 300 and whole[1] < 600  # not 4097 bins and 1501 frames
    ax.set(xlim=(2.0, 2.2), ylim=(100.0, 106.0))
    ax.figure.canvas.draw()
    mesh = mesh_of(ax)
    t_edges, f_edges = edges(mesh)
    np.testing.assert_allclose(np.diff(t_edges), 0.004, rtol=1e-9)
    np.testing.assert_allclose(np.diff(f_edges), LONG.delta_f, rtol=1e-9)
    assert t_edges[0] <= 2.0 and t_edges[-1] >= 2.2 and f_edges[0] <= 100.0 and f_edges[-1] >= 106.0
    assert t_edges[0] > 1.9 and f_edges[-1] < 107  # and nothing else
    np.testing.assert_allclose(mesh.get_array(), expected(LONG, NOISE, mesh), atol=1e-9)


def test_a_zoomed_picture_comes_back(pyplot):
    ax = LONG.plot(NOISE)
    shown = []
    for limits in ((1.0, 1.1), (0.0, 5.999), (2.0, 2.3), (0.0, 5.999)):
        ax.set_xlim(*limits)
        ax.figure.canvas.draw()
        shown.append(np.array(mesh_of(ax).get_array()))
    np.testing.assert_array_equal(shown[1], shown[3])
    assert shown[0].shape[1] < shown[1].shape[1]


def test_a_picture_that_did_not_change_is_not_computed_again(pyplot, monkeypatch):
    ax = LONG.plot(NOISE)
    ax.figure.canvas.draw()
    monkeypatch.setattr(Source, "cells", None)
    ax.figure.canvas.draw()
    ax.set_xlim(0, 1)
    with pytest.raises(TypeError, match="not callable"):
        ax.figure.canvas.draw()


def test_a_larger_picture_has_more_cells(pyplot):
    ax = LONG.plot(NOISE)
    before = mesh_of(ax).get_array().shape
    ax.figure.set_size_inches(20, 12)
    ax.figure.canvas.draw()
    after = mesh_of(ax).get_array().shape
    assert after[0] > 1.5 * before[0] and after[1] > 1.5 * before[1]


@pytest.mark.parametrize("yscale", ["linear", "log", "mel"])
def test_scales_show_every_bin_once(pyplot, yscale):
    sft = AdaptiveShortTimeFFT("hann", 100.0, 20, FS, mfft=2000)
    ax = sft.plot(NOISE[:2000], yscale=yscale, f_range=(5, 400))
    mesh = mesh_of(ax)
    t_edges, f_edges = edges(mesh)
    assert np.all(np.diff(f_edges) > 0) and np.all(np.diff(t_edges) > 0)
    assert f_edges[0] <= 5 and f_edges[-1] >= 400
    np.testing.assert_allclose(ax.get_ylim(), (5, 400))
    np.testing.assert_allclose((f_edges / sft.delta_f) % 1, 0.5, atol=1e-9)  # between bins
    pixels = ax.transData.transform(np.column_stack([np.ones(f_edges.size), f_edges]))[:, 1]
    bins = np.round(np.diff(f_edges) / sft.delta_f)
    assert np.all(np.diff(pixels)[bins > 1] < 6)  # several bins are joined only where they are narrow
    found, wanted = np.asarray(mesh.get_array()), expected(sft, NOISE[:2000], mesh)
    if t_edges.size - 1 == sft.p_num(2000):
        np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert np.all(found >= wanted - 1e-9)  # columns share frames


def test_a_small_part_of_a_logarithmic_axis_has_ticks(pyplot):
    ax = LONG.plot(NOISE, yscale="log")
    for low, high, ticks in ((1, 500, [1, 2, 5, 10, 20, 50, 100, 200, 500]), (101, 109, [102, 104, 106, 108])):
        ax.set_ylim(low, high)
        ax.figure.canvas.draw()
        shown = [float(label.get_text()) for label in ax.get_yticklabels()]
        assert [tick for tick in shown if low <= tick <= high] == ticks


def test_the_mel_scale_is_odd_and_inverted():
    f = np.array([-3000.0, 0.0, 100.0, 1000.0, 8000.0])
    np.testing.assert_allclose(to_mel(1000.0), 1000.0, rtol=1e-4)  # its definition
    np.testing.assert_allclose(from_mel(to_mel(f)), f, atol=1e-9)


def test_ranges_and_decibels(result, pyplot):
    axes = result.plot(f_range=(100, 300), t_range=(1, 2), db=30)
    for ax in axes:
        assert ax.get_xlim() == (1, 2) and ax.get_ylim() == (100, 300)
        mesh = mesh_of(ax)
        assert mesh.get_clim() == (-30, 0) and np.min(mesh.get_array()) >= -30
        t_edges, f_edges = edges(mesh)
        assert t_edges[-1] < 2.1 and f_edges[0] > 90


def test_both_pictures_have_one_hop_and_equal_levels(result, pyplot):
    res = adaptstft.TuningResult(result)
    res.initial = result.initial.remade(win_length=30.0, hop=3.0, scale_to=None, mfft=200, max_length=200)
    axes = res.plot()
    before, after = (mesh_of(ax) for ax in axes)
    assert before.peak == after.peak
    assert before.get_array().shape[1] == after.get_array().shape[1]
    np.testing.assert_allclose(edges(before)[0], edges(after)[0])
    assert max(np.max(before.get_array()), np.max(after.get_array())) == 0
    bars = [ax for ax in axes[0].figure.axes if ax.get_ylabel().startswith("level in dB")]
    assert len(bars) == 1
    wide = res.plot(hop=50)
    assert all(mesh_of(ax).get_array().shape[1] == 81 for ax in wide)


def test_one_axes_shows_what_is_tuned(result, pyplot):
    _, ax = pyplot.subplots()
    (drawn,) = result.plot(ax=ax, yscale="log")
    assert drawn is ax and ax.get_yscale() == "log" and ax.get_title() == "tuned: windows of 100 ms"
    power = on_grid(result)
    np.testing.assert_allclose(mesh_of(ax).peak, power.max())


def on_grid(result):
    sft = result.sft.remade(hop=None, positions=result.positions)
    return sft.spectrogram(detrend(result.signal))[1:]


@pytest.mark.parametrize("kind", ["slices", "bins"])
def test_lengths_are_interpolated_at_another_hop(kind):
    lengths = np.geomspace(20, 80, 31)
    lengths = lengths if kind == "slices" else np.tile(lengths, (41, 1))
    sft = AdaptiveShortTimeFFT("hann", lengths, None, FS, positions=np.arange(31) * 10.0, mfft=80)
    finer = at_hop(sft, 301, 5.0)
    assert finer.positions.size == 61
    np.testing.assert_allclose(finer.win_length[..., ::2], lengths, rtol=1e-12)
    np.testing.assert_allclose(finer.win_length[..., 1], np.sqrt(lengths[..., 0] * lengths[..., 1]), rtol=1e-12)


def test_lengths_of_slices_are_drawn(pyplot):
    sft = AdaptiveShortTimeFFT("hann", np.linspace(20, 80, 31), None, FS, positions=np.arange(31) * 10.0)
    ax = sft.plot(NOISE[:301])
    (twin,) = [one for one in ax.figure.axes if one.get_ylabel() == "window length in ms"]
    np.testing.assert_allclose(twin.lines[0].get_ydata(), np.linspace(20, 80, 31))
    assert twin.lines[0].get_path_effects()  # a dark edge, so that it is seen on bright colours
    assert ax.get_title() == "windows of 20 ms to 80 ms"


def test_contour_labels_stand_on_white(pyplot):
    lengths = 60 + 170 * np.add.outer(np.linspace(0, 1, 201), np.linspace(0, 1, 31))
    sft = AdaptiveShortTimeFFT("hann", lengths, None, FS, positions=np.arange(31) * 20.0, mfft=400)
    ax = sft.plot(NOISE[:601])
    labels = [text for text in ax.texts if text.get_text().endswith(" ms")]
    assert labels
    for label in labels:
        assert matplotlib.colors.to_hex(label.get_color()) == "#000000"
        assert label.get_bbox_patch().get_facecolor()[:3] == (1, 1, 1)


def test_transforms_of_scipy(pyplot):
    sft = ShortTimeFFT.from_window("hann", FS, 128, 96)
    ax = sft.plot(NOISE[:2000])
    mesh = mesh_of(ax)
    np.testing.assert_allclose(mesh.get_array(), expected(sft, NOISE[:2000], mesh), atol=1e-9)
    assert ax.get_title() == "windows of 128 ms"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time in s", "frequency in Hz")


def test_twosided_spectra_are_in_order(pyplot):
    z = np.exp(2j * np.pi * -0.2 * np.arange(400))
    for mode in ("twosided", "centered"):
        sft = AdaptiveShortTimeFFT("hann", 40.0, 10, 1.0, mfft=64, fft_mode=mode)
        mesh = mesh_of(sft.plot(z))
        _, f_edges = edges(mesh)
        rows = np.asarray(mesh.get_array()).max(axis=1)
        assert f_edges[rows.argmax()] < -0.2 < f_edges[rows.argmax() + 1] + 1 / 64


def test_channels_are_averaged(pyplot):
    sft = AdaptiveShortTimeFFT("hann", 40.0, 10, 1.0)
    x = NOISE[:800].reshape(2, 400)
    mean = sft.spectrogram(x).mean(axis=0)
    np.testing.assert_allclose(mesh_of(sft.plot(x)).peak, mean[:, -sft.p_min :].max())
    np.testing.assert_allclose(mesh_of(sft.plot(x.T, axis=0)).peak, mean[:, -sft.p_min :].max())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"yscale": "bark"}, ValueError, "yscale='bark' must be one of 'linear', 'log', 'mel'"),
        ({"db": 0}, ValueError, "db=0 must be greater than 0 dB"),
        ({"f_range": (300, 100)}, ValueError, r"f_range=\(300, 100\) cross"),
        ({"f_range": (600, 900)}, ValueError, r"f_range=\(600.0, 900.0\) must overlap 0 to 500 Hz"),
        ({"t_range": (7, 8)}, ValueError, r"t_range=\(7.0, 8.0\) must overlap 0 to 3.999 s"),
        ({"t_range": 3}, ValueError, r"t_range=3 must be a pair \(low, high\) in s"),
        ({"hop": 0}, ValueError, "hop=0.0 must be at least 0.00381 samples"),
        ({"hop": "fine"}, TypeError, "hop='fine' must be a real number"),
    ],
    ids=str,
)
def test_bad_arguments(result, pyplot, arguments, error, message):
    for plot in (result.plot, lambda **keywords: result.sft.plot(result.signal, **keywords)):
        with pytest.raises(error, match=message):
            plot(**arguments)
    assert pyplot.get_fignums() == []  # before any figure is made


def test_wrong_axes(pyplot):
    with pytest.raises(TypeError, match="ax must be one matplotlib Axes, got 3"):
        LONG.plot(NOISE, ax=3)


@pytest.mark.parametrize("name", [COLOURS, "cividis", "viridis"])
def test_lightness_of_colours_increases(name):
    """A grey print keeps the order of levels, and lightness is what all readers see."""
    rgb = matplotlib.colormaps[name](np.linspace(0, 1, 64))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert np.all(np.diff(linear @ [0.2126, 0.7152, 0.0722]) > 0)


def test_the_view_is_checked():
    assert View.checked(None, (0, 1), "log", 40) == View(None, (0.0, 1.0), "log", 40.0)
    silent = AdaptiveShortTimeFFT("hann", 4.0, 4, 1.0, mfft=1 + 3)
    with pytest.raises(ValueError, match="yscale='log' needs a frequency above 0 Hz"):
        Source(silent.remade(win_length=1.0, max_length=1, mfft=1), NOISE[:9]).limits(View(yscale="log"))
