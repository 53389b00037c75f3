"""The criterion over time or frequency, and length: values against fixed windows, files and pictures."""

import numpy as np
import pytest
import scipy.signal
from framed import on_frames
from numpy.testing import assert_allclose, assert_array_equal

import adaptstft
from adaptstft import criteria, kernels, windows
from adaptstft.criteria.bands import band_frequencies, band_weights
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.engine.frames import durations
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.tables.frame_surface import surface_width
from adaptstft.tuning.tables.survey import Surface, Survey

FS = 1000.0
N = 1500
QUICK = {"options": {"maxiter": 2}}


def changing(kind=float):
    """A tone, then clicks, at 1 kHz."""
    n = np.arange(N)
    x = np.where(n < 700, np.cos(0.6 * n), 0.0) + 8.0 * ((n >= 800) & (n % 90 == 0))
    return x * np.exp(0.4j * n) if kind is complex else x


def fixed(x, length, res, **changes):
    """Tune nothing: all frames of `res` have one length."""
    arguments = {"window_mode": "fixed", "win_length": length, "hop": res.hop, "mfft": res.sft.mfft}
    return adaptstft.optimize(x, FS, criterion=res.criterion, min_overlap=None, **arguments, **changes)


# ---------------------------------------------------------------------------------------
# Values


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("criterion", ["renyi", "shannon", "hoyer"])
def test_neighbourhoods_have_the_values_of_windows_of_one_length(criterion, kind):
    x = changing(kind)
    width = 0.3
    chosen = criteria.resolve(criterion).with_scope("local", width)
    res = adaptstft.optimize(x, FS, criterion=chosen, window_mode="time", hop=10)
    surface = res.survey.surface
    hood = Neighbourhoods.of_signal(x[None] - x.mean(), width * FS)
    assert surface.axis == "time"
    assert_allclose(surface.places, hood.centres / FS)
    for i in range(0, surface.lengths.size, 8):
        mean = hood.energy @ surface.values[:, i]
        assert_allclose(mean, fixed(x, surface.lengths[i], res).area_fun, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("criterion", ["renyi", "shannon", "hoyer"])
def test_frames_have_the_values_of_windows_of_one_length(criterion):
    x = changing()
    res = adaptstft.optimize(x, FS, criterion=criterion, window_mode="time", scope="frame", hop=10)
    surface = res.survey.surface
    assert_allclose(surface.places, res.positions / FS)
    weight = durations(res.positions, N)
    for i in range(0, surface.lengths.size, 8):
        one = fixed(x, surface.lengths[i], res)
        assert_allclose(surface.values[:, i] @ weight / weight.sum(), one.area_fun, rtol=2e-3, atol=2e-3)
        if criterion == "renyi":
            S = np.abs(on_frames(one).stft(scipy.signal.detrend(x))) ** 2
            naive = np.log(np.sum(S**3, axis=0) / S.sum(axis=0) ** 3) / -2
            assert_allclose(np.diff(naive), np.diff(surface.values[:, i]), atol=0.02)


def test_a_global_criterion_is_shown_frame_by_frame():
    x = changing()
    whole, frame = (
        adaptstft.optimize(x, FS, window_mode="time", criterion="renyi", scope=scope, hop=10).survey.surface
        for scope in ("global", "frame")
    )
    assert_allclose(whole.values, frame.values)


def test_places_are_narrow_enough_to_see_events():
    n = np.arange(4000)
    x = np.where(n < 2000, np.cos(0.6 * n), 0.0) + 8.0 * (n == 3000)
    surface = adaptstft.optimize(x, FS, window_mode="time").survey.surface
    best = surface.lengths[surface.values.argmin(axis=1)]
    tone, click = np.abs(surface.places - 0.7) < 0.3, np.abs(surface.places - 3.0) < 0.07
    assert click.sum() >= 2
    assert best[tone].min() > 500 and best[click].max() < 50
    # next to the end, where long windows reach over it, they are as good as shorter ones
    end = surface.values[surface.places < 0.1][:, surface.lengths > 500]
    assert_allclose(end.min(axis=1), surface.values[surface.places < 0.1].min(axis=1), rtol=1e-3)
    assert surface_width(1600, 2.0, 1e9) == 100.0
    assert surface_width(1600, 20.0, 1e9) == 160.0
    assert surface_width(1600, 20.0, 130.0) == 130.0


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("mode", ["frequency", "time-frequency"])
def test_bands_have_their_centres_in_hertz(mode, kind):
    x = changing(kind)
    res = adaptstft.optimize(x, FS, window_mode=mode, hop=20, **QUICK)
    surface = res.survey.surface
    assert surface.axis == "frequency"
    assert surface.values.shape == (12, surface.lengths.size)
    assert np.all(np.diff(surface.places) > 0)
    assert_allclose(surface.places[[0, -1]], [res.sft.f.min(), res.sft.f.max()], atol=1e-9)
    assert np.isfinite(surface.values).all()


@pytest.mark.parametrize("mode", ["onesided", "centered"])
def test_centres_of_bands_are_where_their_weights_are_largest(mode):
    plan = FramePlan(4096, mode, "psd", kernels.resolve("numpy")[1], 1, windows.resolve("hann"), 1.0)
    frequencies = np.arange(plan.f_pts) / 4096 if mode == "onesided" else np.fft.fftfreq(4096)
    if mode == "centered":
        frequencies = np.fft.fftshift(frequencies)
    weights = band_weights(plan, 12)
    assert_allclose(frequencies[weights.argmax(axis=1)], band_frequencies(plan, 12), atol=2 / 4096)


def test_the_best_length_of_each_band():
    """A tone at 50 Hz needs long windows, clicks at higher frequencies short ones."""
    n = np.arange(3000)
    click = np.sin(2 * np.pi * 0.4 * n) * (n % 150 < 4) * 10
    res = adaptstft.optimize(np.cos(2 * np.pi * 0.05 * n) + click, FS, window_mode="frequency", **QUICK)
    surface = res.survey.surface
    best = surface.lengths[surface.values.argmin(axis=1)]
    near = [int(np.abs(surface.places - frequency).argmin()) for frequency in (50, 400)]
    assert best[near[0]] > 4 * best[near[1]]


def test_many_places_are_averaged_by_their_energy():
    places = np.arange(2500.0)
    energy = np.where(places < 1000, 0.0, places)
    values = np.stack([places, places**2], axis=1)
    values[:1000] = np.nan
    surface = Surface.of_places("time", places, np.array([16.0, 32.0]), values, energy)
    assert surface.values.shape == (1024, 2)
    assert np.isnan(surface.values[:400]).all() and np.isfinite(surface.values[420:]).all()
    last = slice(2500 * 1023 // 1024, 2500)
    assert_allclose(surface.places[-1], places[last].mean())
    assert_allclose(surface.values[-1], np.average(values[last], axis=0, weights=energy[last]))
    few = Surface.of_places("time", places[:3], np.array([16.0]), values[-3:, :1], np.ones(3))
    assert_array_equal(few.values, values[-3:, :1])


def test_places_in_silence_have_no_value():
    x = np.zeros(3000)
    x[:1000] = np.cos(0.6 * np.arange(1000))
    res = adaptstft.optimize(x, FS, window_mode="time", detrend=None, criterion=criteria.Renyi(width=0.2))
    surface = res.survey.surface
    assert np.isfinite(surface.values[surface.places < 0.9]).all()
    assert np.isnan(surface.values[surface.places > 2.9]).all()


@pytest.mark.parametrize(
    "modes",
    [
        {},
        {"hop_mode": "time"},
        {"scope": "local"},
        {"window_mode": "time", "win_length": 40, "starts": 1},
        {"window_mode": "time", "hop_mode": "time", "criterion": "renyi", "scope": "frame", "min_overlap": None},
    ],
    ids=str,
)
def test_without_a_table_over_places_there_is_a_curve(modes):
    res = adaptstft.optimize(changing(), FS, hop=10, **QUICK, **modes)
    assert res.survey is None or res.survey.surface is None


def test_no_signal_is_transformed_for_it(monkeypatch):
    """The values come from the table of the path."""
    problems, table = [], Problem.table

    def counted(*args, **keywords):
        problems.append(args)
        return table(*args, **keywords)

    monkeypatch.setattr(Problem, "table", counted)
    adaptstft.optimize(changing(), FS, window_mode="time", hop=10, criterion=criteria.Renyi(width=0.3))
    assert len(problems) == 1  # the survey over the whole signal


# ---------------------------------------------------------------------------------------
# Files


@pytest.mark.parametrize("mode", ["constant", "time", "frequency"])
def test_surfaces_are_saved(tmp_path, mode):
    res = adaptstft.optimize(changing(), FS, window_mode=mode, hop=20, **QUICK)
    res.save(tmp_path / "tuned")
    surface, again = res.survey.surface, adaptstft.load(tmp_path / "tuned").survey.surface
    assert (surface is None) == (again is None) == (mode == "constant")
    if surface is not None:
        assert again.axis == surface.axis
        for name in ("places", "lengths", "values"):
            assert_array_equal(getattr(again, name), getattr(surface, name))


# ---------------------------------------------------------------------------------------
# Pictures


def image(ax):
    (mesh,) = ax.collections
    return mesh


@pytest.mark.parametrize("criterion", ["renyi", "hoyer"])
def test_picture_over_time(pyplot, criterion):
    res = adaptstft.optimize(changing(), FS, window_mode="time", hop=10, criterion=criterion)
    ax = res.plot_criterion()
    surface, mesh = res.survey.surface, image(ax)
    above = surface.values - surface.values.min(axis=1, keepdims=True)
    assert_allclose(mesh.get_array().reshape(surface.values.T.shape), above.T)
    assert mesh.get_clim()[0] == 0
    assert mesh.get_clim()[1] == pytest.approx(1.0 if criterion == "renyi" else np.median(above))
    lines = {line.get_label(): line.get_data() for line in ax.lines}
    assert_allclose(lines["chosen lengths"], [res.positions / FS, res.win_length])  # ms at 1 kHz
    best = res.survey.lengths[res.survey.values.argmin()]
    assert_allclose(lines["best single length"][1], best)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("time in s", "window length in ms", "log")
    bar = ax.figure.axes[-1].get_ylabel()
    assert bar == ("renyi,\nnat above best" if criterion == "renyi" else "hoyer,\nabove best")
    assert_allclose(ax.get_xlim(), [0, (N - 1) / FS])
    low, high = ax.get_ylim()
    assert low <= res.win_length.min() and res.win_length.max() <= high


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("mode", ["frequency", "time-frequency"])
def test_picture_over_frequency(pyplot, mode, kind):
    res = adaptstft.optimize(changing(kind), FS, window_mode=mode, hop=20, **QUICK)
    _, given = pyplot.subplots()
    ax = res.plot_criterion(given)
    assert ax is given
    label = "chosen lengths" if mode == "frequency" else "chosen lengths, mean over time"
    (line,) = [line for line in ax.lines if line.get_label() == label]
    frequencies, lengths = line.get_data()
    assert np.all(np.diff(frequencies) > 0)
    expected = np.exp(np.log(res.win_length).mean(axis=1))[np.argsort(res.sft.f)]
    assert_allclose(lengths, expected)
    assert ax.get_xlabel() == "frequency in Hz"
    assert_allclose(ax.get_xlim(), [res.sft.f.min(), res.sft.f.max()])


def test_places_without_a_value_have_no_colour(pyplot):
    x = np.zeros(3000)
    x[:1000] = np.cos(0.6 * np.arange(1000))
    res = adaptstft.optimize(x, FS, window_mode="time", detrend=None, criterion=criteria.Renyi(width=0.2))
    ax = res.plot_criterion()
    ax.figure.canvas.draw()
    shown = image(ax).get_array().reshape(res.survey.surface.values.T.shape)
    assert_array_equal(np.ma.getmaskarray(shown), np.isnan(res.survey.surface.values.T))


def test_a_single_place_and_a_single_length_are_drawn(pyplot):
    res = adaptstft.optimize(changing(), FS, window_mode="time", hop=10)
    surface = Surface("time", np.array([0.5]), np.array([100.0]), np.array([[1.0]]))
    res.survey = Survey(res.survey.lengths, res.survey.values, None, surface)
    res.plot_criterion().figure.canvas.draw()
