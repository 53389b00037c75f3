"""Gradients with a window length for each frequency or bin against differences of the sums in ``naive``."""

import naive
import numpy as np
import pytest
from losses import CLASSES, user_window, weighted_sparsity
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import AdaptiveShortTimeFFT, criteria, testing

# Differences at steps down to 1e-4 of values of order one: eps / 1e-4 and what the extrapolation leaves.
DIFFERENCE_TOL = 1e-8
STEP = 1e-3
ALL = ("win_length", "positions", "hop", "shape", "x")
BACKENDS = ("numpy", "numba")
FRAMINGS = ["frequency, hop", "bin, hop", "frequency, positions", "bin, positions"]
N, FS = 29, 8.0
WIDTH = 1.6  # seconds, under half of the signal


WINDOWS = ["hann", "hamming", ("tukey", 0.5), ("gaussian", 6.0), ("kaiser", 8.6), user_window]


# name, scope, bands
LOSSES = [
    ("shannon", "global", None),
    ("renyi", "global", None),
    ("hoyer", "global", None),
    ("gini", "global", None),
    ("kurtosis", "frame", None),
    ("gini", "frame", None),
    ("shannon", "local", None),
    ("hoyer", "local", None),
    ("gini", "local", None),
    ("renyi", "local", 4),
    ("kurtosis", "local", 3),
    ("shannon", "local", 1),
    ("callable", None, None),
]


def library_loss(name, scope, bands=None, **parameters):
    if name == "callable":
        return weighted_sparsity
    return CLASSES[name](scope=scope, width=WIDTH if scope == "local" else None, bands=bands, **parameters)


def naive_loss(path, loss):
    """A loss as a function of one variable, along a path in the parameters."""
    name, scope, bands = loss
    if name == "callable":
        return lambda s: weighted_sparsity(np.abs(path.spectra(s)) ** 2)
    return path.criterion(name, scope, WIDTH * FS, bands)


def make(case, backend):
    transform = AdaptiveShortTimeFFT(case.window, case.win_length, backend=backend, **case.settings())
    if case.slices is not None:
        assert transform.p_range(case.n) == case.slices
    return transform


def draw_case(window, framing, rng, **options):
    return naive.Case(window, framing, rng, n=N, **{"mfft": 18} | options)


def draw_cotangent(S, rng):
    return rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)


def assert_gradients(slopes, fun, label, *, scale=1.0, step=STEP, tol=DIFFERENCE_TOL):
    """Compare derivatives, a dictionary by backend, with the difference quotient of `fun` at 0."""
    expected, error = naive.derivative(fun, step, levels=4)
    scale = max(scale, abs(expected))
    assert error < 3 * tol * scale, f"{label}: the reference itself is unsure, {expected} +- {error}"
    for backend, slope in slopes.items():
        assert slope == pytest.approx(expected, abs=tol * scale), f"{label} {backend=}"


def gradients_along(path, gradients):
    return {backend: naive.inner(getattr(g, path.name), path.v) for backend, g in gradients.items()}


def assert_losses(case, losses, rng):
    """Values and derivatives with respect to every parameter, in both backends, against the reference."""
    transforms = {b: make(case, b) for b in BACKENDS}
    paths = [naive.Path(case, name, case.direction(name, rng)) for name in case.parameters()]
    for loss in losses:
        found = {b: plan.value_and_grad(case.x, library_loss(*loss), **case.call()) for b, plan in transforms.items()}
        for path in paths:
            fun, label = naive_loss(path, loss), f"{path.name=} {loss=}"
            for value, _ in found.values():
                assert value == pytest.approx(fun(0.0), rel=1e-12, abs=1e-12), label
            # Gini is not differentiable where two sorted values are equal: small steps avoid this, and add noise.
            settings = {"step": 3e-6, "tol": 2e-7} if loss[0] == "gini" else {}
            assert_gradients(gradients_along(path, {b: g for b, (_, g) in found.items()}), fun, label, **settings)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("window", WINDOWS, ids=naive.label)
def test_every_window_and_criterion(window, framing, part, rng):
    assert_losses(draw_case(window, framing, rng), LOSSES[part::4], rng)


#: Criteria, and whether the padding is odd, with an odd FFT and offsets.
VARIANTS = [
    (("renyi", "global", None), False),
    (("lp", "frame", None), False),
    (("stankovic", "local", 4), False),
    (("callable", None, None), False),
    (("renyi", "global", None), True),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fft_mode", "scale_to", "loss", "odd"),
    [
        pytest.param(*mode, *variant, marks=pytest.mark.full if (i + j) % 3 else ())
        for i, mode in enumerate(naive.MODE_SCALINGS)
        for j, variant in enumerate(VARIANTS)
    ],
    ids=naive.label,
)
def test_criteria_in_every_mode(fft_mode, scale_to, loss, odd, rng):
    framing = "bin, positions" if scale_to == "psd" else "frequency, hop"
    settings = {"fft_mode": fft_mode, "scale_to": scale_to, "channels": 2, "phase_shift": None}
    if odd:
        settings |= {"padding": "odd", "mfft": 17, "window_offset": 0.5, "k_offset": 3}
    assert_losses(draw_case("hann", framing, rng, **settings), [loss], rng)


@pytest.mark.parametrize("loss", [("shannon", "local", None), ("shannon", "local", 3)], ids=naive.label)
@pytest.mark.parametrize("padding", ["edge", "even", "odd"])
def test_neighbourhoods_and_tiles_are_those_of_the_signal(padding, loss, rng):
    """Tiles and their weights depend on the signal, and not on its padding."""
    assert_losses(draw_case("hann", "bin, positions", rng, padding=padding), [loss], rng)


@pytest.mark.parametrize(
    ("window", "padding", "phase_shift", "k_offset", "mfft", "offset"),
    [
        (("gaussian", 6.0), "zeros", 0, 0, 17, 0.0),
        ("hamming", "edge", None, 3, 20, 0.5),
        (("kaiser", 8.6), "even", 5, -2, 20, 0.0),
        (user_window, "odd", -4, 0, 17, 0.5),
    ],
    ids=["zeros", "edge", "even", "odd"],
)
@pytest.mark.parametrize("framing", ["bin, hop", "frequency, positions"])
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_vjp(fft_mode, scale_to, framing, window, padding, phase_shift, k_offset, mfft, offset, rng):
    settings = {"fft_mode": fft_mode, "scale_to": scale_to, "phase_shift": phase_shift, "mfft": mfft}
    case = draw_case(window, framing, rng, padding=padding, k_offset=k_offset, window_offset=offset, **settings)
    G = draw_cotangent(case.spectra(), rng)
    gradients = {b: make(case, b).vjp(case.x, G, **case.call()) for b in BACKENDS}
    for name in case.parameters():
        path = naive.Path(case, name, case.direction(name, rng))
        assert_gradients(gradients_along(path, gradients), path.product(G), f"{name=}", scale=np.abs(G).sum() / 10)


@pytest.mark.slow
@pytest.mark.parametrize("framing", FRAMINGS)
def test_components_one_by_one(framing, backend, rng):
    """Each component against its own difference quotient; other tests take random directions."""
    case = draw_case("hann", framing, rng)
    G = draw_cotangent(case.spectra(), rng)
    gradient = make(case, backend).vjp(case.x, G)
    for name in ("win_length", "positions"):
        base = np.shape(case.value_of(name))
        components = list(np.ndindex(base))
        picked = [components[i] for i in rng.choice(len(components), min(8, len(components)), replace=False)]
        for index in picked:
            v = np.zeros(base)
            v[index] = 1.0
            path = naive.Path(case, name, v)
            slope = {backend: getattr(gradient, name)[index]}
            assert_gradients(slope, path.product(G), f"{name}{index}", scale=np.abs(G).sum() / 10)


# --- what is returned ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("framing", FRAMINGS)
def test_only_requested_gradients_are_returned(framing, backend, rng):
    case = draw_case(("kaiser", 8.6), framing, rng, channels=2)
    transform = make(case, backend)
    G = draw_cotangent(case.spectra(), rng)
    for method, argument in [
        (transform.vjp, G),
        (transform.value_and_grad, "renyi"),
        (transform.value_and_grad, criteria.Shannon(width=WIDTH, bands=3)),
        (transform.value_and_grad, "gini"),
    ]:

        def gradient(wrt, method=method, argument=argument):
            found = method(case.x, argument, wrt=wrt)
            return found[1] if isinstance(found, tuple) else found

        everything = gradient(None)
        assert everything.win_length.shape == case.win_length.shape
        assert everything.positions.shape == case.centres.shape
        assert everything.shape.shape == (1,)
        assert everything.x.shape == case.x.shape
        assert (everything.hop is None) == (case.hop is None)
        for wrt in [*((name,) for name in ALL), ("win_length", "x"), ("hop", "shape")]:
            some = gradient(wrt)
            for name in ALL:
                expected = getattr(everything, name) if name in wrt else None
                if expected is None:
                    assert getattr(some, name) is None, f"{wrt=} {name=}"
                else:
                    # The sums of the scale come from another pass: to rounding, enlarged by cancellation.
                    assert_allclose(getattr(some, name), expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())
    value = transform.value_and_grad(case.x, "renyi", wrt=())
    assert value[0] == pytest.approx(transform.value_and_grad(case.x, "renyi")[0], rel=1e-13)


@pytest.mark.parametrize("loss", LOSSES, ids=naive.label)
def test_single_precision(loss, backend, rng):
    case = draw_case("hann", "bin, hop", rng, channels=2)
    x32 = case.x.astype(np.float32)
    transform = make(case, backend)
    value32, single = transform.value_and_grad(x32, library_loss(*loss))
    value, double = transform.value_and_grad(x32.astype(float), library_loss(*loss))
    assert single.x.dtype == np.float32
    # Amplitudes are rounded to 6e-8; powers and the cancellation between bins enlarge that a thousandfold.
    tol = 5e-5
    assert value32 == pytest.approx(value, rel=tol, abs=tol)
    for name in ("win_length", "positions", "x"):
        expected = getattr(double, name)
        assert_allclose(getattr(single, name), expected, rtol=0, atol=tol * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize(
    "loss", [("renyi", "global", None), ("shannon", "local", None), ("renyi", "local", 4)], ids=naive.label
)
def test_amplitude_does_not_matter(loss, backend, rng):
    """Criteria do not depend on the scale of the signal, nor do the weights of tiles."""
    case = draw_case("hann", "bin, hop", rng)
    transform, criterion = make(case, backend), library_loss(*loss)
    value, gradient = transform.value_and_grad(case.x, criterion)
    for factor in (1e-200, 1e-30, 1e200):
        other, moved = transform.value_and_grad(case.x * factor, criterion)
        assert other == pytest.approx(value, rel=1e-12)
        assert_allclose(moved.win_length, gradient.win_length, rtol=0, atol=1e-12 * np.abs(gradient.win_length).max())


# --- points where a derivative is delicate ------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES, ids=naive.label)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_silence_within_the_signal(loss, dtype, backend, rng):
    x = rng.standard_normal((1, 90))
    x[:, 25:65] = 0
    centres = np.arange(2.3, 88, 4.7)
    win_length = rng.uniform(8, 14, (9, centres.size))
    transform = AdaptiveShortTimeFFT("hann", win_length, None, FS, positions=centres, mfft=16, backend=backend)
    x = x.astype(dtype)
    silent = np.all(transform.stft(x)[0] == 0, axis=0)
    assert silent.sum() >= 4
    gradient = transform.value_and_grad(x, library_loss(*loss))[1]
    assert_array_equal(gradient.win_length[:, silent], 0)
    for part in (gradient.win_length, gradient.positions, gradient.x):
        assert np.all(np.isfinite(part))
        assert np.any(part != 0)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("scope", ["global", "frame", "local"])
def test_bins_that_are_exactly_zero(name, scope, rng):
    """Two opposite samples around the centre: DC and Nyquist vanish for every length of the window."""
    x = np.zeros(N)
    x[[9, 11, 21, 25]] = 1.0, -1.0, 2.0, -2.0
    x[[22, 24]] = 0.7, -0.7
    centres, width, settings = np.array([10.0, 23.0]), 6.0, {"mfft": 8, "fs": FS, "max_length": 8}
    win_length, v = rng.uniform(6.2, 7.8, (5, 2)), rng.uniform(-1, 1, (5, 2))

    def loss(s):
        S = naive.stft(x, "hann", win_length + s * v, centres, **settings)
        S[[0, -1]] = 0  # the sums of the reference leave rounding errors
        g, e = naive.neighbourhoods(x, centres, width * FS)
        return naive.criterion(name, S, scope, g=g, e=e)

    criterion, slopes = CLASSES[name](scope=scope, width=width if scope == "local" else None), {}
    for backend in BACKENDS:
        transform = AdaptiveShortTimeFFT("hann", win_length, None, positions=centres, backend=backend, **settings)
        gradient = transform.value_and_grad(x, criterion)[1]
        assert np.all(np.isfinite(gradient.x))
        assert np.all(np.isfinite(gradient.positions))
        slopes[backend] = naive.inner(gradient.win_length, v)
    assert_gradients(slopes, loss, name)


@pytest.mark.parametrize("window", ["hann", ("tukey", 0.5), user_window], ids=naive.label)
@pytest.mark.parametrize("scale_to", [None, "psd", "magnitude"])
def test_integer_centres_and_support_edges(window, scale_to, rng):
    """Samples on the edge of the support, where the second derivative of a Hann window jumps."""
    x, centres = rng.standard_normal(N), np.array([2.0, 9.0, 14.5, 20.0])
    win_length = rng.integers(4, 17, (10, 4)).astype(float)
    settings = {"mfft": 18, "fs": FS, "scale_to": scale_to, "max_length": 17}
    v, u = rng.uniform(-1, 1, win_length.shape), rng.uniform(-1, 1, 4)

    def loss(theta_, centres_):
        return naive.criterion("renyi", naive.stft(x, window, theta_, centres_, **settings))

    gradients = {
        backend: AdaptiveShortTimeFFT(
            window, win_length, None, positions=centres, backend=backend, **settings
        ).value_and_grad(x, "renyi")[1]
        for backend in BACKENDS
    }
    slopes = {b: naive.inner(g.win_length, v) for b, g in gradients.items()}
    assert_gradients(slopes, lambda s: loss(np.minimum(win_length + s * v, 17.0), centres), "win_length")
    slopes = {b: naive.inner(g.positions, u) for b, g in gradients.items()}
    assert_gradients(slopes, lambda s: loss(win_length, centres + s * u), "positions")


def test_windows_that_jump_too_far_are_refused(rng):
    x = rng.standard_normal(N)
    transform = AdaptiveShortTimeFFT("boxcar", np.full((9, 1), 12.3), 4.1, 1.0, mfft=16)
    S = transform.stft(x)
    for method, argument in [(transform.vjp, S), (transform.value_and_grad, "renyi")]:
        with pytest.raises(ValueError, match="at its ends"):
            method(x, argument)
    assert naive.inner(transform.vjp(x, S, wrt=("x",)).x, x) == pytest.approx(np.sum(np.abs(S) ** 2), rel=1e-12)


# --- bands --------------------------------------------------------------------------------------


def test_bands_need_lengths_for_each_frequency(rng):
    x = rng.standard_normal(N)
    for length in (12.3, np.full(10, 12.3)):
        transform = AdaptiveShortTimeFFT("hann", length, None, FS, positions=np.linspace(0, 28, 10), mfft=16)
        for wrt in (None, (), ("x",)):
            with pytest.raises(ValueError, match=r"bands=3.* needs a window length for each frequency or bin"):
                transform.value_and_grad(x, criteria.Renyi(width=WIDTH, bands=3), wrt=wrt)


@pytest.mark.parametrize("options", [{"scope": "global"}, {"scope": "frame"}], ids=naive.label)
def test_bands_belong_to_the_local_scope(options):
    with pytest.raises(ValueError, match=r"bands=2.*'local'"):
        criteria.Renyi(bands=2, **options)
    for bad, error in [(0, ValueError), (-1, ValueError), (2.5, TypeError), ("4", TypeError)]:
        with pytest.raises(error, match="bands="):
            criteria.Renyi(bands=bad)
    assert criteria.Renyi(bands=np.int64(2)).scope == "local"


def test_gini_has_no_bands(rng):
    transform = AdaptiveShortTimeFFT("hann", np.full((9, 1), 12.3), 4.1, 1.0, mfft=16)
    with pytest.raises(ValueError, match=r"bands=2.*Gini"):
        transform.value_and_grad(rng.standard_normal(N), criteria.Gini(width=10.0, bands=2))


@pytest.mark.parametrize("fft_mode", naive.FFT_MODES)
@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_bands_add_up_to_two(fft_mode, count):
    """Within the range of frequencies every bin has the same weight, except for missing bands beyond the ends."""
    bands = naive.bands(fft_mode, 64, count)
    assert bands.shape == (count, len(naive.frequencies(fft_mode, 64)))
    assert np.all(bands.sum(axis=0) <= 2 + 1e-14)
    assert bands.max() == pytest.approx(2.0 if count == 1 else 1.0, abs=1e-14)
    if count == 7:
        assert np.isclose(bands.sum(axis=0), 2).sum() > 4


# --- the library's own checks -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("place", ["hop", "positions"])
@pytest.mark.parametrize("columns", [1, None], ids=["frequency", "bin"])
@pytest.mark.parametrize("fft_mode", ["onesided", "twosided"])
def test_public_checks(fft_mode, columns, place, rng):
    placed = {"hop": 3.3} if place == "hop" else {"hop": None, "positions": np.linspace(0.231, 28.7, 10)}
    x = rng.standard_normal(N) + (1j * rng.standard_normal(N) if fft_mode == "twosided" else 0)
    settings = {"fs": 1.0, "mfft": 20, "max_length": 17, "fft_mode": fft_mode, "scale_to": "psd"} | placed
    f_pts = len(naive.frequencies(fft_mode, 20))
    p_num = AdaptiveShortTimeFFT(("kaiser", 12.0), np.full((f_pts, 1), 17.0), **settings).p_num(N)
    win_length = rng.uniform(6, 17, (f_pts, columns or p_num))
    win_length[0, 0] = 17.0  # the largest length, which difference quotients must not exceed
    transform = AdaptiveShortTimeFFT(("kaiser", 12.0), win_length, **settings)
    assert testing.check_adjoint(transform, x).error < 1e-12
    for criterion in (None, "renyi"):
        found = testing.check_vjp(transform, x, criterion)
        assert {c.name for c in found} == {"win_length", "x", "shape", place}
        assert max(c.error for c in found) < 1e-5
