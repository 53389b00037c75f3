"""Values of the criteria from ``value_and_grad``, compared with the formulas in ``naive``."""

import math

import autograd.numpy as anp
import naive
import numpy as np
import pytest
from losses import CLASSES
from scipy.special import xlogy

from adaptstft import AdaptiveShortTimeFFT, criteria
from adaptstft.criteria.neighbourhoods import EnergyCells, Neighbourhoods
from adaptstft.criteria.scopes import FrameView

# Values are logarithms of sums of a few hundred powers: rounding errors depend on the order of summation.
TOL = 1000 * np.finfo(float).eps

#: Every criterion with its default parameters, and some with others.
CRITERIA = [
    *((name, {}) for name in CLASSES),
    ("shannon", {"power": 1}),
    ("renyi", {"alpha": 2, "power": 1}),
    ("renyi", {"alpha": 0.5}),
    ("renyi", {"alpha": 2.7, "power": 1.5}),
    ("kurtosis", {"power": 1}),
    ("stankovic", {"r": 4.5, "power": 3}),
    ("lp", {"k": 0.5, "power": 1.3}),
    ("gini", {"power": 1}),
]
SCOPES = ["global", "frame", "local"]
WIDTH = 2.5  # seconds


def make(**options):
    """A transform at 4 Hz of signals with about 40 samples."""
    return AdaptiveShortTimeFFT("hann", 12.3, 3.7, 4.0, **{"mfft": 15, "scale_to": "psd"} | options)


def value(transform, x, name, scope="global", **parameters):
    width = WIDTH if scope == "local" else None
    criterion = CLASSES[name](scope=scope, width=width if scope == "local" else None, **parameters)
    return transform.value_and_grad(x, criterion)[0]


def naive_value(transform, x, name, scope="global", **parameters):
    S = naive.stft_of(transform, "hann", x)
    if scope == "local":
        centres = np.arange(*transform.p_range(x.shape[-1])) * transform.hop
        parameters["g"], parameters["e"] = naive.neighbourhoods(x, centres, WIDTH * transform.fs)
    return naive.criterion(name, S, scope, **parameters)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("name", "parameters"), CRITERIA, ids=naive.label)
def test_values(name, parameters, scope, backend, rng):
    x = rng.standard_normal((2, 41))
    for fft_mode, scale_to in [("onesided", None), ("onesided2X", "psd"), ("onesided2X", "magnitude")]:
        for mfft in (14, 15):
            transform = make(fft_mode=fft_mode, scale_to=scale_to, mfft=mfft, backend=backend)
            expected = naive_value(transform, x, name, scope, **parameters)
            assert value(transform, x, name, scope, **parameters) == pytest.approx(expected, rel=TOL, abs=TOL)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", CLASSES)
def test_values_of_complex_signals(name, scope, backend, rng):
    x = rng.standard_normal(41) + 1j * rng.standard_normal(41)
    for fft_mode in ("twosided", "centered"):
        transform = make(fft_mode=fft_mode, backend=backend)
        expected = naive_value(transform, x, name, scope)
        assert value(transform, x, name, scope) == pytest.approx(expected, rel=TOL, abs=TOL)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", CLASSES)
def test_values_with_a_length_for_each_position(name, scope, backend, rng):
    x, positions = rng.standard_normal(41), np.arange(0, 41, 4.1) + rng.uniform(-1, 1, 10)
    win_length = rng.uniform(5, 15, 10)
    transform = AdaptiveShortTimeFFT("hamming", win_length, None, 4.0, positions=positions, mfft=16, backend=backend)
    S = naive.stft_of(transform, "hamming", x)
    g, e = naive.neighbourhoods(x, positions, WIDTH * 4.0)
    expected = naive.criterion(name, S, scope, g=g, e=e)
    assert value(transform, x, name, scope) == pytest.approx(expected, rel=TOL, abs=TOL)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", [*CLASSES, "combined"])
def test_values_of_sums_do_not_need_derivatives(name, scope, rng):
    width = {"width": WIDTH} if scope == "local" else {}
    if name == "combined":
        criterion = criteria.Combined([criteria.Renyi(), criteria.Kurtosis()], [1.0, 0.5], scope=scope, **width)
    else:
        criterion = CLASSES[name](scope=scope, **width)
    if not isinstance(criterion, criteria.Additive):
        return
    positions = np.arange(12) * 4.0
    hood = Neighbourhoods.of_signal(rng.standard_normal((1, 50)), WIDTH * 4.0)
    view = FrameView(positions, rng.uniform(1, 2, 12), 0.25, hood)
    totals, counts = rng.uniform(1, 2, (len(criterion.statistics), 12)), np.full(12, 9.0)
    others = rng.uniform(1, 2, totals.shape)
    for silent in ([], [3]):
        totals[:, silent] = 0.0
        reduced = [criterion.reduce(one, counts, view).value for one in (totals, others)]
        assert criterion.value(totals, counts, view) == pytest.approx(reduced[0], rel=1e-13)
        together = np.stack([totals, others], axis=1)
        assert criterion.values(together, counts, view) == pytest.approx(np.array(reduced), rel=1e-13)


@pytest.mark.parametrize("name", CLASSES)
def test_default_scope_is_global(name, rng):
    x, transform = rng.standard_normal(41), make()
    assert transform.value_and_grad(x, name)[0] == value(transform, x, name)
    assert transform.value_and_grad(x, CLASSES[name]())[0] == value(transform, x, name)


def test_default_orders(rng):
    x, transform = rng.standard_normal(41), make()
    assert value(transform, x, "renyi") == value(transform, x, "renyi", alpha=3, power=2)
    assert value(transform, x, "stankovic") == value(transform, x, "stankovic", r=2, power=2)
    assert value(transform, x, "lp") == value(transform, x, "lp", k=1, power=2)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("factor", [1e-9, 1e9, 1e-100, 1e100])
def test_scaling_the_signal_changes_nothing(name, scope, factor, rng):
    """The criteria have powers up to |S|**6: amplitudes of 1e100 would overflow without normalisation."""
    x, transform = rng.standard_normal(41), make()
    criterion = CLASSES[name](scope=scope, width=WIDTH if scope == "local" else None)
    scaled, gradient = transform.value_and_grad(factor * x, criterion)
    expected, unscaled = transform.value_and_grad(x, criterion)
    assert scaled == pytest.approx(expected, rel=TOL)
    assert gradient.win_length == pytest.approx(unscaled.win_length, rel=1e-10)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_scaling_a_signal_in_single_precision(name, scope, factor, rng):
    x, transform = rng.standard_normal(41).astype(np.float32), make()
    expected = value(transform, x.astype(float), name, scope)
    # Rounding errors of single-precision amplitudes, which are raised to the sixth power at most.
    assert value(transform, np.float32(factor) * x, name, scope) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", CLASSES)
def test_silence_within_the_signal(name, scope, backend, rng):
    """Silent frames and neighbourhoods are not part of the average, and do not divide zero by zero."""
    x = rng.standard_normal(120)
    x[30:90] = 0
    transform = make(backend=backend)
    assert np.any(np.all(transform.stft(x) == 0, axis=0))
    expected = naive_value(transform, x, name, scope)
    assert value(transform, x, name, scope) == pytest.approx(expected, rel=TOL)


@pytest.mark.parametrize("name", CLASSES)
def test_tone_is_better_than_noise(name):
    """The energy of a tone is in few bins, so its value is lower than that of white noise."""
    tone, noise = np.cos(0.25 * np.arange(400)), np.random.default_rng(0).standard_normal(400)
    transform = AdaptiveShortTimeFFT("hann", 64.0, 16.0, 1.0)
    for scope in SCOPES:
        criterion = CLASSES[name](scope=scope, width=100.0 if scope == "local" else None)
        assert transform.value_and_grad(tone, criterion)[0] < transform.value_and_grad(noise, criterion)[0]


def test_hoyer_with_a_small_weight_of_a_frame(rng):
    """If only a frame at the edge of a neighbourhood has weight, its bins must count as one frame, not less."""
    x = rng.standard_normal(41)
    transform = AdaptiveShortTimeFFT("hann", 9.0, None, 4.0, positions=[4.0, 9.99, 14.0, 30.0])
    hoyer, gradient = transform.value_and_grad(x, criteria.Hoyer(scope="local", width=WIDTH))
    assert -1 <= hoyer <= 0
    assert np.all(np.abs(gradient.win_length) < 1)


def test_entropies_of_equal_bins():
    """An impulse at the centre of a frame gives M equal bins."""
    x = np.zeros(21)
    x[10] = 3.0
    transform = AdaptiveShortTimeFFT("hann", 8.5, None, 1.0, positions=[10.0], mfft=16)
    for name in ("shannon", "renyi", "kurtosis", "stankovic"):
        assert value(transform, x, name) == pytest.approx(math.log(9), rel=TOL)
    assert value(transform, x, "lp") == pytest.approx(math.log(9) / 2, rel=TOL)
    assert value(transform, x, "hoyer") == pytest.approx(0, abs=TOL)
    assert value(transform, x, "gini") == pytest.approx(0, abs=TOL)
    assert value(transform, x, "kurtosis", "frame") == pytest.approx(1, rel=TOL)


def test_renyi_tends_to_shannon(rng):
    x, transform = rng.standard_normal(41), make()
    shannon, gradient = transform.value_and_grad(x, "shannon")
    exact, exact_gradient = transform.value_and_grad(x, criteria.Renyi(alpha=1))
    assert exact == pytest.approx(shannon, rel=TOL)
    assert exact_gradient.win_length == pytest.approx(gradient.win_length, rel=TOL)
    for order in (1e-3, 1e-5, 2e-6):
        # The difference is |order| times half the variance of log P, which is about 1 here. Rounding errors (a few
        # hundred eps) are divided by the order.
        for alpha in (1 - order, 1 + order):
            near, near_gradient = transform.value_and_grad(x, criteria.Renyi(alpha=alpha))
            assert near == pytest.approx(shannon, abs=3 * order + TOL / order)
            assert near_gradient.win_length == pytest.approx(gradient.win_length, abs=3 * order + TOL / order)


def test_gini_of_equal_and_of_single_values(rng):
    """The value is -(1 - K/M) for a frame of M bins of which K are equal and the others zero."""
    transform = AdaptiveShortTimeFFT("hann", 7.5, None, 1.0, positions=[5.0, 15.0], mfft=10)
    x = np.zeros(21)
    x[5] = 1.0  # six equal bins in the first frame, silence in the second
    assert value(transform, x, "gini") == pytest.approx(-0.5, rel=TOL)


def test_user_function_gets_the_spectrogram(backend, rng):
    x = rng.standard_normal((2, 41))
    transform = make(backend=backend)
    P = transform.spectrogram(x)
    weights = rng.standard_normal(P.shape)
    shapes = []

    def loss(power):
        shapes.append(np.shape(power))
        return anp.sum(weights * power) / anp.sum(power)

    assert transform.value_and_grad(x, loss)[0] == pytest.approx((weights * P).sum() / P.sum(), rel=TOL)
    assert set(shapes) == {P.shape}
    with pytest.raises(ValueError, match="axis=0"):
        transform.value_and_grad(x.T, loss, axis=0)


def test_user_function_without_autograd_numpy(rng):
    with pytest.raises(TypeError, match=r"autograd\.numpy"):
        make().value_and_grad(rng.standard_normal(41), lambda P: anp.sum(xlogy(P, P)))


@pytest.mark.parametrize("loss", [lambda P: P, lambda P: anp.sum(P) * np.nan], ids=["array", "nan"])
def test_user_function_must_return_a_finite_scalar(loss, rng):
    with pytest.raises((TypeError, ValueError), match=r"finite scalar|real scalar"):
        make().value_and_grad(rng.standard_normal(41), loss)


@pytest.mark.parametrize("name", CLASSES)
def test_silent_signal(name):
    with pytest.raises(ValueError, match="silent"):
        make().value_and_grad(np.zeros(41), name)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", CLASSES)
def test_signal_outside_all_windows(name, scope):
    """If all energy is in a gap between the windows, the spectrogram is zero: an error, not the best value."""
    x = np.zeros(41)
    x[20] = 1.0
    transform = AdaptiveShortTimeFFT("hann", 8.0, None, 4.0, positions=[5.0, 35.0])
    with pytest.raises(ValueError, match=r"silent|energy|zero"):
        value(transform, x, name, scope)


def test_names():
    assert criteria.names() == sorted([*CLASSES, "description-length"])
    for name, cls in CLASSES.items():
        assert type(criteria.resolve(name)) is cls


def test_unknown_name_lists_the_known_names():
    with pytest.raises(ValueError, match=r"criterion='entropy'.*renyi.*shannon"):
        criteria.resolve("entropy")
    with pytest.raises(ValueError, match=r"criterion='entropy'.*renyi.*shannon"):
        make().value_and_grad(np.ones(41), "entropy")
    with pytest.raises(TypeError, match="criterion=3"):
        criteria.resolve(3)


@pytest.mark.parametrize(
    ("make_criterion", "message"),
    [
        (lambda: criteria.Renyi(alpha=0), "alpha=0"),
        (lambda: criteria.Renyi(alpha=np.nan), "alpha=nan"),
        (lambda: criteria.Shannon(power=-1), "power=-1"),
        (lambda: criteria.Kurtosis(power=np.inf), "power=inf"),
        (lambda: criteria.Stankovic(r=1), "r=1.*greater than 1"),
        (lambda: criteria.Lp(k=2), "k=2.*between 0 and 2"),
        (lambda: criteria.Gini(power=0), "power=0"),
        (lambda: criteria.Renyi(scope="everywhere"), "scope='everywhere'.*global"),
        (lambda: criteria.Renyi(scope="local", width=0.0), r"width=0\.0"),
        (lambda: criteria.resolve("renyi", "nowhere"), "scope='nowhere'"),
        (lambda: criteria.resolve(criteria.Renyi(scope="frame"), "local"), "scope='local' contradicts"),
        (lambda: criteria.resolve(anp.sum, "local"), "scope='local'.*takes no scope"),
    ],
)
def test_bad_parameters(make_criterion, message):
    with pytest.raises(ValueError, match=message):
        make_criterion()


@pytest.mark.parametrize(
    ("make_criterion", "message"),
    [
        (lambda: criteria.Lp(k=True), "k=True must be a real number"),
        (lambda: criteria.Lp(k="1"), "k='1' must be a real number"),
        (lambda: criteria.Stankovic(r="2"), "r='2' must be a real number"),
        (lambda: criteria.Stankovic(r=True), "r=True must be a real number"),
        (lambda: criteria.Renyi(alpha=True), "alpha=True must be a real number"),
    ],
    ids=["lp-bool", "lp-text", "stankovic-text", "stankovic-bool", "renyi-bool"],
)
def test_parameters_must_be_numbers(make_criterion, message):
    with pytest.raises(TypeError, match=message):
        make_criterion()


def test_resolve_sets_the_scope():
    assert criteria.resolve("renyi", "frame") == criteria.Renyi(scope="frame")
    assert criteria.resolve(criteria.Renyi(alpha=2), "local") == criteria.Renyi(alpha=2, scope="local")
    assert criteria.resolve(criteria.Renyi(scope="frame")).scope == "frame"


@pytest.mark.parametrize("width", [4.0, 33.3, 700.0, 8000.0])
def test_energies_of_neighbourhoods_add_up_over_stretches(width, rng):
    x = rng.standard_normal((2, 1000))
    whole, cells = Neighbourhoods.of_signal(x, width), EnergyCells(1000, width)
    parts = [cells.sums(x[:, a:b], a) for a, b in ((0, 7), (7, 600), (600, 999), (999, 1000))]
    assert np.allclose(cells.neighbourhoods(parts).energy, whole.energy, rtol=1e-12)


@pytest.mark.parametrize("width", [4.0, 33.3, 700.0, 8000.0])
def test_neighbourhoods_within_a_range_have_the_weights_of_all(width, rng):
    whole, positions = Neighbourhoods.of_signal(np.ones((1, 1000)), width), np.sort(rng.uniform(300, 400, 20))
    first, part = whole.within(300, 400)
    weights, own = whole.weights(positions)[0].toarray(), part.weights(positions)[0].toarray()
    weights[first : first + len(own)] -= own
    assert np.abs(weights).max() < 1e-12 and part.centres.size <= 500 / width * 4 + 8


@pytest.mark.parametrize("name", [*CLASSES, "description-length"])
@pytest.mark.parametrize("scope", ["global", "frame"])
def test_logarithms_change_by_a_constant_where_all_ratios_do(name, scope, rng):
    """A logarithm of a ratio of sums of ``P`` grows by the same number if each bin is repeated; others do not."""
    criterion = criteria.resolve(name)
    if name == "description-length":
        assert not criterion.is_logarithm and criterion.unit == "nat per bin"
        return
    criterion = criterion.with_scope(scope)
    changes = []
    for scale in (0.1, 3.0):
        x = rng.exponential(1.0, (1, 4, 50)) ** scale
        values = []
        for P in (x, np.concatenate([x, x], axis=2)):
            view = FrameView(np.arange(4.0), np.ones(4))
            if name == "gini":
                values.append(criterion.reduce_dense(P, view).value)
                continue
            totals = np.array([term.sum(axis=(0, 2)) for term, _, _ in criterion.statistics.of_energies(None, None, P)])
            values.append(criterion.value(totals, np.full(4, float(P.shape[2])), view))
        changes.append(values[1] - values[0])
    steady = abs(changes[0] - changes[1]) < 1e-9 and abs(changes[0]) > 0.1
    assert criterion.is_logarithm == steady
    assert criterion.unit == ("nat" if steady else "")
