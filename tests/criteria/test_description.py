"""The description length: its values and gradients, its distortion, and the estimate of the noise floor."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import resample

from adaptstft import AdaptiveShortTimeFFT, criteria, optimize
from adaptstft.criteria.distortion import Distortion, LevelPart, SignalLevel, join_levels, noise_floor
from adaptstft.criteria.neighbourhoods import Neighbourhoods

N = 500
POSITIONS = np.arange(26) * 19.7 + 0.3
CALLABLE_WINDOW = lambda u: np.cos(np.pi * u) ** 2  # noqa: E731


def signal(rng, dtype=float):
    x = np.cos(0.4 * np.arange(N)) * np.linspace(0.1, 3, N) + 0.05 * rng.standard_normal(N)
    return (x * np.exp(0.2j * np.arange(N)) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def transform(win_length, positions=POSITIONS, window="hann", mode="onesided", **options):
    options = {"mfft": 128, "scale_to": "psd", "fft_mode": mode} | options
    return AdaptiveShortTimeFFT(window, win_length, None, 1.0, positions=positions, **options)


def naive(x, win_length, positions, distortion, sharpness, floor, mfft=128):
    """The definition, bin by bin."""
    terms, n = [], np.arange(x.size)
    for theta, t in zip(np.broadcast_to(win_length, positions.shape), positions, strict=True):
        u = (n - t) / theta
        w = np.where((u >= -0.5) & (u < 0.5), np.cos(np.pi * u) ** 2, 0.0)
        own = np.arange(np.ceil(-theta / 2), np.ceil(theta / 2))  # the scale is that of a frame at an integer position
        scale = np.sum(np.cos(np.pi * own / theta) ** 4)
        for q in range(mfft // 2 + 1):
            energy = abs(np.sum(x * w * np.exp(-2j * np.pi * q * n / mfft))) ** 2 / scale
            terms.append(np.log(1 + (energy / max(distortion * np.mean(abs(x) ** 2), floor)) ** sharpness) / sharpness)
    return np.mean(terms)


@pytest.mark.parametrize(("distortion", "sharpness", "floor"), [(0.01, 1, 1e-6), (0.001, 2, 0.5), (0, 1.5, 0.2)])
def test_the_value_is_the_mean_of_its_terms(distortion, sharpness, floor, backend, rng):
    x, lengths = signal(rng), np.linspace(30, 60, 26)
    criterion = criteria.DescriptionLength(distortion=distortion, sharpness=sharpness, floor=floor)
    value, _ = transform(lengths, backend=backend).value_and_grad(x, criterion, wrt=())
    assert_allclose(value, naive(x, lengths, POSITIONS, distortion, sharpness, floor), rtol=1e-10)


@pytest.mark.parametrize("per_bin", [False, True])
@pytest.mark.parametrize("sharpness", [30.0, 100.0])
def test_a_large_sharpness_cuts_at_the_distortion(sharpness, per_bin, backend, rng):
    """``(P / D)**s`` overflows; the limit for a large sharpness is ``max(log(P / D), 0)``."""
    x, floor = signal(rng), 1e-8
    lengths = np.full((65, 1), 40.3) if per_bin else 40.3
    sft = transform(lengths, backend=backend)
    criterion = criteria.DescriptionLength(distortion=0, floor=floor, sharpness=sharpness)
    value, gradient = sft.value_and_grad(x, criterion, wrt=("win_length",))
    limit = np.maximum(np.log(abs(sft.stft(x)) ** 2 / floor), 0).mean()
    assert limit * (1 - 1e-12) < value < limit + np.log(2) / sharpness
    h = 1e-5
    up, down = (transform(lengths + e, backend=backend).value_and_grad(x, criterion, wrt=())[0] for e in (h, -h))
    assert_allclose(np.sum(gradient.win_length), (up - down) / (2 * h), rtol=1e-5)


@pytest.mark.parametrize("scope", [{}, {"width": 100.0}], ids=["global", "local"])
@pytest.mark.parametrize("per_bin", [False, True])
@pytest.mark.parametrize("window", ["hann", CALLABLE_WINDOW], ids=["series", "callable"])
@pytest.mark.parametrize("dtype", [float, complex])
def test_gradients_are_those_of_the_value(dtype, window, per_bin, scope, backend, rng):
    """In scope local the distortion changes with the positions, too."""
    x, mode = signal(rng, dtype), "centered" if dtype is complex else "onesided2X"
    criterion = criteria.DescriptionLength(floor=1e-9, **scope)
    bins = 128 if dtype is complex else 65
    lengths = rng.uniform(30, 60, (bins, 1)) if per_bin else rng.uniform(30, 60, 26)
    options = {"window": window, "mode": mode, "backend": backend}
    _, gradient = transform(lengths, **options).value_and_grad(x, criterion, wrt=("win_length", "positions"))

    def value(win_length, positions):
        return transform(win_length, positions, **options).value_and_grad(x, criterion, wrt=())[0]

    h, d, e = 1e-5, rng.standard_normal(lengths.shape), rng.standard_normal(26)
    by_lengths = (value(lengths + h * d, POSITIONS) - value(lengths - h * d, POSITIONS)) / (2 * h)
    by_positions = (value(lengths, POSITIONS + h * e) - value(lengths, POSITIONS - h * e)) / (2 * h)
    assert_allclose(np.sum(gradient.win_length * d), by_lengths, rtol=2e-5)
    assert_allclose(np.sum(gradient.positions * e), by_positions, rtol=2e-5)


def test_the_derivative_in_the_signal_needs_a_distortion_that_does_not_depend_on_it(rng):
    x, d, h = signal(rng), rng.standard_normal(N), 1e-6
    sft, criterion = transform(40.3), criteria.DescriptionLength(distortion=0, floor=0.1)
    _, gradient = sft.value_and_grad(x, criterion)
    change = sft.value_and_grad(x + h * d, criterion, wrt=())[0] - sft.value_and_grad(x - h * d, criterion, wrt=())[0]
    assert_allclose(gradient.x @ d, change / (2 * h), rtol=1e-6)
    for depends in (criteria.DescriptionLength(), criteria.DescriptionLength(distortion=0)):
        with pytest.raises(ValueError, match="no derivative in x, because its distortion depends on the signal"):
            sft.value_and_grad(x, depends)


@pytest.mark.parametrize("mode", ["onesided2X", "twosided"])
def test_the_value_does_not_depend_on_gains_of_bins(mode, rng):
    x, criterion = signal(rng), criteria.DescriptionLength()
    expected, _ = transform(40.3).value_and_grad(x, criterion, wrt=())
    found, _ = transform(40.3, mode=mode).value_and_grad(x, criterion, wrt=())
    assert_allclose(found, expected, rtol=1e-12 if mode == "onesided2X" else 0.02)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_signal_changes_nothing(scale, rng):
    x, sft = signal(rng), transform(40.3)
    for criterion, scaled in [
        (criteria.DescriptionLength(width=80.0), criteria.DescriptionLength(width=80.0)),
        (criteria.DescriptionLength(floor=0.3), criteria.DescriptionLength(floor=0.3 * scale**2)),
    ]:
        value, found = sft.value_and_grad(x, criterion, wrt=())[0], sft.value_and_grad(scale * x, scaled, wrt=())[0]
        assert_allclose(found, value, rtol=1e-10)
    one, other = (optimize(y, 1.0, criterion="description-length") for y in (x, scale * x))
    assert_allclose(other.win_length, one.win_length, rtol=1e-6)
    one = optimize(x, 1.0, criterion=criteria.DescriptionLength(floor=0.3))
    other = optimize(scale * x, 1.0, criterion=criteria.DescriptionLength(floor=0.3 * scale**2))
    assert_allclose(other.win_length, one.win_length, rtol=1e-6)


def test_the_floor_of_white_noise_is_its_variance(rng):
    for x in (rng.standard_normal((2, 20000)), rng.standard_normal((1, 20000)) + 1j * rng.standard_normal(20000)):
        assert_allclose(noise_floor(3 * x), 9 * np.mean(abs(x) ** 2), rtol=0.05)
    x = 3 * rng.standard_normal((1, 20000))
    x[0, 5000:9000] += 100 * np.cos(0.3 * np.arange(4000))  # a tone does not change it
    assert_allclose(noise_floor(x), 9, rtol=0.1)
    assert noise_floor(np.ones((1, 1))) == 0.0


def test_empty_parts_of_the_plane_do_not_lower_the_floor(rng):
    noise, zeros = rng.standard_normal(8000), np.zeros(4000)
    assert_allclose(noise_floor(np.concatenate([zeros, noise, zeros])[None]), 1.0, rtol=0.25)
    # half of the plane is empty, and the other half has twice the power
    assert_allclose(noise_floor(resample(noise, 16000)[None]), 2.0, rtol=0.25)


def test_a_quiet_passage_has_the_floor_of_its_own_noise(rng):
    t = np.arange(8000)
    x = np.cos(0.3 * t) + 0.03 * rng.standard_normal(8000)
    x[4000:] *= 0.01
    assert 0.3 < noise_floor(x[None]) / 0.0003**2 < 3


def test_the_local_distortion_is_that_of_the_power_around(rng):
    n = 4000
    x = rng.standard_normal((1, n)) * np.where(np.arange(n) < n // 2, 1.0, 0.01)
    hood = Neighbourhoods.of_signal(x, 400.0)
    distortion = Distortion.of_level(SignalLevel(float(np.mean(x**2)), 0.0), 0.01, hood, n)
    values, slopes = distortion.of_frames(np.array([-900.0, -600.0, 1000.0, 3000.0, 4600.0, 4900.0]))
    assert_allclose(values, 0.01 * np.array([1, 1, 1, 1e-4, 1e-4, 1e-4]), rtol=0.4)
    assert values[0] == values[1] and values[-1] == values[-2] and slopes[0] == slopes[-1] == 0
    at, h = np.array([1900.0, 2033.0, 2171.0]), 1e-4
    (up, slopes), (down, _) = (distortion.of_frames(at + s * h) for s in (1, -1))
    assert_allclose(slopes, np.log(up / down) / (2 * h), rtol=1e-4)


def test_levels_of_several_signals_are_joined(rng):
    parts = [LevelPart.of_channels(s * rng.standard_normal((1, 4000))) for s in (1.0, 2.0, 3.0)]
    level = join_levels(parts, None)
    assert_allclose([level.power, level.floor], [14 / 3, 4], rtol=0.1)
    assert join_levels(parts, 0.5).floor == 0.5
    twice = [parts[0], *(2 * parts[2:]), parts[1]]
    weighted = [parts[0], parts[1], parts[2].counted(2.0)]
    assert_allclose(join_levels(weighted, None).floor, join_levels(twice, None).floor, rtol=1e-12)
    assert_allclose(join_levels(weighted, None).power, join_levels(twice, None).power, rtol=1e-12)


@pytest.mark.parametrize("mode", ["constant", "time", "frequency", "time-frequency"])
def test_every_mode_is_tuned(mode, rng):
    t = np.arange(2000)
    x = np.cos(0.4 * t + 3e-4 * t**2) + 0.1 * rng.standard_normal(2000)
    result = optimize(x, 1000.0, window_mode=mode, criterion="description-length")
    S = abs(result.sft.stft(x)) ** 2
    lengths = np.broadcast_to(result.win_length, S.shape)
    assert 150 < np.exp(np.sum(S * np.log(lengths)) / S.sum()) < 250  # 204 in theory
    assert "units" not in result.criterion.settings()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distortion": -0.1}, "share of the power, from 0 to 1"),
        ({"distortion": 2}, "share of the power, from 0 to 1"),
        ({"sharpness": 0.5}, "sharpness=0.5 must be from 1 to 100"),
        ({"floor": -1.0}, "variance of at least 0"),
        ({"floor": np.inf}, "floor"),
        ({"distortion": 0, "floor": 0}, "one of them must be positive"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        criteria.DescriptionLength(**arguments)


@pytest.mark.parametrize("window_mode", ["constant", "time", "frequency"])
def test_a_floor_above_all_bins_is_refused(window_mode, backend):
    x = 10 * np.cos(0.3 * np.arange(1000))  # an energy of 5e4
    too_high = criteria.DescriptionLength(floor=1e6)
    with pytest.raises(ValueError, match=r"floor=1000000.0 must be less than the energy of the signal, 5e\+04"):
        optimize(x, 1000.0, window_mode=window_mode, criterion=too_high, backend=backend)
    with pytest.raises(ValueError, match=r"floor=1000000.0 must be less than the energy of the signal, 2.49e\+04"):
        transform(40.3, backend=backend).value_and_grad(x[:N], criteria.DescriptionLength(floor=1e6), wrt=())
    assert optimize(x, 1000.0, criterion=criteria.DescriptionLength(floor=2.0), backend=backend).win_length > 100


def test_frames_far_below_the_floor_are_silent(rng, backend):
    quiet, criterion = rng.standard_normal(N), criteria.DescriptionLength(floor=1.0)
    sft = transform(40.3, POSITIONS[:20], backend=backend)
    x = np.concatenate([1e-120 * quiet, np.ones(N)])
    with pytest.raises(ValueError, match="the signal is zero, or far below the distortion of a description length"):
        sft.value_and_grad(x, criterion, wrt=())
    low, lower = (sft.value_and_grad(np.append(k * quiet, np.ones(N)), criterion, wrt=())[0] for k in (1e-9, 1e-10))
    assert low / lower == pytest.approx(1000)  # the power of 1.5 of the energies


@pytest.mark.parametrize("scale_to", [None, "magnitude"])
def test_windows_have_unit_energy_whatever_their_scale(scale_to, rng):
    x, lengths = signal(rng), rng.uniform(30, 60, 26)
    criterion = criteria.DescriptionLength(distortion=0, floor=0.1)
    expected = transform(lengths).value_and_grad(x, criterion)
    found = transform(lengths, scale_to=scale_to).value_and_grad(x, criterion)
    assert_allclose(found[0], expected[0], rtol=1e-12)
    assert_allclose(found[1].win_length, expected[1].win_length, rtol=1e-9, atol=1e-12)
    assert_allclose(found[1].x, expected[1].x, rtol=1e-9, atol=1e-12)
    one, other = (optimize(x, 1.0, criterion="description-length", scale_to=s) for s in ("psd", scale_to))
    assert other.win_length == one.win_length and other.sft.scaling == scale_to


def test_single_frames_and_combinations_are_refused(rng):
    x = signal(rng)
    with pytest.raises(ValueError, match="got scope='frame'"):
        optimize(x, 1.0, criterion="description-length", scope="frame")
    with pytest.raises(ValueError, match="got scope='frame'"):
        transform(40.3).value_and_grad(x, criteria.DescriptionLength(scope="frame"), wrt=())
    with pytest.raises(ValueError, match="cannot be combined: its terms are relative to a distortion"):
        criteria.Combined(["lp", "description-length"])


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3])
def test_clicks_in_silence_have_short_windows(noise, rng):
    """The floor of clicks between silence is not the level of the clicks."""
    x = noise * rng.standard_normal(4000)
    x[[500, 1500, 2300, 3400]] += 1.0
    assert optimize(x, 1000.0).win_length < 20
