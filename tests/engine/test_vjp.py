"""``vjp`` and ``value_and_grad`` against differences of the plain sums in ``naive``.

Every gradient is compared along random directions, one for each parameter, so that no component can be
wrong unnoticed. Differences are extrapolated from four steps; their own error estimate is asserted to be
small first.
"""

import tracemalloc

import autograd.numpy as anp
import naive
import numpy as np
import pytest
from losses import CLASSES, user_window, weighted_sparsity
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import AdaptiveShortTimeFFT

# Differences at steps down to 1e-4 of values of order one: eps / 1e-4 and what the extrapolation leaves.
DIFFERENCE_TOL = 1e-8
STEP = 1e-3
ALL = ("win_length", "positions", "hop", "shape", "x")
BACKENDS = ("numpy", "numba")

N = 37
FS = 8.0
WIDTH = 1.6  # seconds, a third of the signal


WINDOWS = [
    "hann",
    "hamming",
    "blackman",
    "nuttall",
    "blackmanharris",
    "flattop",
    "cosine",
    ("general_cosine", (0.42, 0.45, 0.11)),
    ("general_hamming", 0.52),
    ("gaussian", 6.0),
    ("kaiser", 8.6),
    ("tukey", 0.5),
    user_window,
]
FRAMINGS = ["constant, hop", "time, hop", "constant, positions", "time, positions"]


def make(case, backend):
    transform = AdaptiveShortTimeFFT(case.window, case.win_length, backend=backend, **case.settings())
    if case.slices is not None:
        # The slices follow from the window; the reference has to move those of the base point.
        assert transform.p_range(case.n) == case.slices
    return transform


def assert_gradient(actual, fun, label, *, scale=1.0, step=STEP, tol=DIFFERENCE_TOL):
    """Compare derivatives (one, or several under their names) with the difference quotient of `fun` at 0."""
    expected, error = naive.derivative(fun, step, levels=4)
    scale = max(scale, abs(expected))
    assert error < 3 * tol * scale, f"{label}: the reference itself is unsure, {expected} +- {error}"
    for name, slope in (actual if isinstance(actual, dict) else {"": actual}).items():
        assert slope == pytest.approx(expected, abs=tol * scale), f"{label} {name}"


def gradients_along(path, gradients):
    """Derivatives along a path from gradients, a dictionary by backend."""
    return {backend: naive.inner(getattr(g, path.name), path.v) for backend, g in gradients.items()}


def naive_loss(path, loss, **parameters):
    """A loss as a function of one variable, along a path in the parameters."""
    if loss[0] == "callable":
        return lambda s: weighted_sparsity(np.abs(path.spectra(s)) ** 2)
    return path.criterion(*loss, WIDTH * FS, **parameters)


def assert_loss_gradient(actual, path, loss, label, **parameters):
    """Gini is not differentiable where two of its sorted values are equal: small steps avoid this, and add noise."""
    settings = {"step": 3e-6, "tol": 1e-7} if loss[0] == "gini" else {}
    assert_gradient(actual, naive_loss(path, loss, **parameters), label, **settings)


# --- criteria -----------------------------------------------------------------------------------


LOSSES = [(name, scope) for name in CLASSES for scope in ("global", "frame", "local")] + [("callable", None)]


def library_loss(name, scope, **parameters):
    if name == "callable":
        return weighted_sparsity
    return CLASSES[name](scope=scope, width=WIDTH if scope == "local" else None, **parameters)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("window", WINDOWS, ids=naive.label)
def test_every_window_criterion_and_scope(window, framing, part, rng):
    case = naive.Case(window, framing, rng)
    transforms = {b: make(case, b) for b in BACKENDS}
    losses = LOSSES[part::4]
    gradients = {
        loss: {b: plan.value_and_grad(case.x, library_loss(*loss), wrt=ALL)[1] for b, plan in transforms.items()}
        for loss in losses
    }
    for name in case.parameters():
        path = naive.Path(case, name, case.direction(name, rng))
        for loss in losses:
            assert_loss_gradient(gradients_along(path, gradients[loss]), path, loss, f"{name=} {loss=}")


@pytest.mark.parametrize(
    "losses",
    [[("renyi", "global"), ("lp", "frame")], [("kurtosis", "frame"), ("callable", None)]],
    ids=["sums", "others"],
)
@pytest.mark.parametrize(("padding", "mfft"), [("zeros", 17), ("odd", 20)])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_criteria_in_every_mode(fft_mode, scale_to, framing, padding, mfft, losses, rng):
    case = naive.Case(
        "hann",
        framing,
        rng,
        channels=2,
        padding=padding,
        mfft=mfft,
        fft_mode=fft_mode,
        scale_to=scale_to,
        phase_shift=None,
    )
    transforms = {b: make(case, b) for b in BACKENDS}
    paths = [naive.Path(case, name, case.direction(name, rng)) for name in case.parameters()]
    for loss in [*losses, *([("shannon", "local")] if padding == "zeros" else [])]:
        criterion = library_loss(*loss)
        results = {b: plan.value_and_grad(case.x, criterion, wrt=ALL, **case.call()) for b, plan in transforms.items()}
        gradients = {b: gradient for b, (_, gradient) in results.items()}
        for path in paths:
            label = f"{path.name=} {loss=}"
            for value, _ in results.values():
                assert value == pytest.approx(naive_loss(path, loss)(0.0), rel=1e-12), label
            assert_loss_gradient(gradients_along(path, gradients), path, loss, label)


@pytest.mark.parametrize("padding", ["edge", "even", "odd"])
def test_neighbourhoods_are_those_of_the_signal(padding, rng):
    """Neighbourhoods and their weights depend on the signal, and not on its padding."""
    case, loss = naive.Case("hann", "time, positions", rng, padding=padding), ("shannon", "local")
    results = {b: make(case, b).value_and_grad(case.x, library_loss(*loss), wrt=ALL, **case.call()) for b in BACKENDS}
    for name in case.parameters():
        path = naive.Path(case, name, case.direction(name, rng))
        for value, _ in results.values():
            assert value == pytest.approx(naive_loss(path, loss)(0.0), rel=1e-12)
        slopes = gradients_along(path, {b: gradient for b, (_, gradient) in results.items()})
        assert_loss_gradient(slopes, path, loss, f"{name=}")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("shannon", {"power": 1}),
        ("renyi", {"alpha": 2, "power": 1}),
        ("renyi", {"alpha": 0.5}),
        ("renyi", {"alpha": 2.7, "power": 1.5}),
        ("kurtosis", {"power": 1}),
        ("stankovic", {"r": 4.5, "power": 3}),
        ("lp", {"k": 0.5, "power": 1.3}),
        ("gini", {"power": 1}),
    ],
    ids=naive.label,
)
@pytest.mark.parametrize("scope", ["global", "frame", "local"])
def test_parameters_of_criteria(name, parameters, scope, rng):
    case, loss = naive.Case(("kaiser", 8.6), "time, positions", rng), library_loss(name, scope, **parameters)
    gradients = {b: make(case, b).value_and_grad(case.x, loss, wrt=ALL)[1] for b in BACKENDS}
    for parameter in case.parameters():
        path = naive.Path(case, parameter, case.direction(parameter, rng))
        slopes = gradients_along(path, gradients)
        assert_loss_gradient(slopes, path, (name, scope), f"{parameter=}", **parameters)


def test_components_one_by_one(backend, rng):
    """Each component against its own difference quotient; other tests take random directions."""
    case = naive.Case("hann", "time, positions", rng)
    gradient = make(case, backend).value_and_grad(case.x, "renyi", wrt=ALL)[1]
    for name in ("win_length", "positions"):
        expected, error = naive.gradient(
            lambda v, name=name: naive.criterion("renyi", case.spectra(name, v)), np.zeros(9), STEP
        )
        assert error < DIFFERENCE_TOL
        assert_allclose(getattr(gradient, name), expected, rtol=0, atol=DIFFERENCE_TOL)


# --- vector-Jacobian products -------------------------------------------------------------------


def draw_cotangent(S, rng):
    return rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)


@pytest.mark.parametrize(
    ("padding", "phase_shift", "k_offset", "mfft"),
    [("zeros", 0, 0, 17), ("edge", None, 3, 20), ("even", 5, -2, 20), ("odd", -4, 0, 17)],
)
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_vjp_in_every_mode(fft_mode, scale_to, framing, padding, phase_shift, k_offset, mfft, rng):
    case = naive.Case(
        ("gaussian", 6.0),
        framing,
        rng,
        padding=padding,
        k_offset=k_offset,
        mfft=mfft,
        fft_mode=fft_mode,
        scale_to=scale_to,
        phase_shift=phase_shift,
    )
    G = draw_cotangent(case.spectra(), rng)
    gradients = {b: make(case, b).vjp(case.x, G, wrt=ALL, **case.call()) for b in BACKENDS}
    for name in case.parameters():
        path = naive.Path(case, name, case.direction(name, rng))
        assert_gradient(gradients_along(path, gradients), path.product(G), f"{name=}", scale=np.abs(G).sum() / 10)


@pytest.mark.parametrize(("scale_to", "window_offset"), [("magnitude", 0.5), ("psd", -2.3)])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("window", WINDOWS, ids=naive.label)
def test_vjp_of_every_window(window, framing, scale_to, window_offset, rng):
    case = naive.Case(window, framing, rng, scale_to=scale_to, window_offset=window_offset)
    G = draw_cotangent(case.spectra(), rng)
    gradients = {b: make(case, b).vjp(case.x, G, wrt=ALL) for b in BACKENDS}
    for name in case.parameters():
        path = naive.Path(case, name, case.direction(name, rng))
        assert_gradient(gradients_along(path, gradients), path.product(G), f"{name=}", scale=np.abs(G).sum() / 10)


@pytest.mark.parametrize("padding", ["zeros", "edge", "even", "odd"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_adjoint(fft_mode, scale_to, framing, padding, backend, rng):
    """Re <G, S(x)> = Re <x*, x>: the transform is linear in the signal."""
    for phase_shift, k_offset in [(0, 0), (None, 4), (7, -6)]:
        case = naive.Case(
            "hann", framing, rng, channels=2, fft_mode=fft_mode, scale_to=scale_to, phase_shift=phase_shift
        )
        transform, call = make(case, backend), {"padding": padding, "k_offset": k_offset}
        S = transform.stft(case.x, **call)
        G = draw_cotangent(S, rng)
        gradient = transform.vjp(case.x, G, wrt=("x",), **call).x
        assert gradient.dtype == case.x.dtype
        y = rng.standard_normal(case.x.shape)
        # Sums of a thousand products, of which the odd extension enlarges some.
        tol = 1e4 * np.finfo(float).eps * np.linalg.norm(G) * np.linalg.norm(S)
        assert naive.inner(gradient, case.x) == pytest.approx(naive.inner(G, S), abs=tol)
        assert naive.inner(gradient, y) == pytest.approx(naive.inner(G, transform.stft(y, **call)), abs=tol)


def test_vjp_along_another_axis(backend, rng):
    case = naive.Case("hann", "time, positions", rng, x=rng.standard_normal((2, 3, N)))
    transform = make(case, backend)
    G = draw_cotangent(transform.stft(case.x), rng)
    plain = transform.vjp(case.x, G, wrt=ALL)
    moved = transform.vjp(np.moveaxis(case.x, -1, 1), np.moveaxis(G, -2, 1), wrt=ALL, axis=1)
    assert_array_equal(moved.win_length, plain.win_length)
    assert_array_equal(moved.positions, plain.positions)
    assert_array_equal(np.moveaxis(moved.x, 1, -1), plain.x)


def test_vjp_adds_up_over_channels(backend, rng):
    case = naive.Case("hann", "time, positions", rng, channels=2)
    transform = make(case, backend)
    G = draw_cotangent(transform.stft(case.x), rng)
    both = transform.vjp(case.x, G, wrt=ALL)
    parts = [transform.vjp(x, g, wrt=ALL) for x, g in zip(case.x, G, strict=True)]
    tol = 1000 * np.finfo(float).eps
    assert_allclose(both.win_length, parts[0].win_length + parts[1].win_length, rtol=tol, atol=tol)
    assert_allclose(both.positions, parts[0].positions + parts[1].positions, rtol=tol, atol=100 * tol)
    assert_allclose(both.x, [part.x for part in parts], rtol=0, atol=tol)


def test_hop_gradient_counts_slices_from_zero(backend, rng):
    case = naive.Case("hann", "constant, hop", rng)
    transform = make(case, backend)
    G = draw_cotangent(transform.stft(case.x), rng)
    gradient = transform.vjp(case.x, G)
    assert transform.p_min < 0
    p = np.arange(*transform.p_range(N))
    assert gradient.hop == pytest.approx(p @ gradient.positions, rel=1e-13)


# --- points where a derivative is delicate ------------------------------------------------------

SMOOTH = ["hann", "blackman", ("tukey", 0.5), user_window]


@pytest.mark.parametrize("window", SMOOTH, ids=naive.label)
@pytest.mark.parametrize("win_length", [12.0, 11.0, np.array([8.0, 10.0, 13.0, 16.0, 9.0])], ids=naive.label)
@pytest.mark.parametrize("scale_to", [None, "psd", "magnitude"])
def test_integer_centres_and_support_edges(window, win_length, scale_to, rng):
    """Samples on the edge of the support, where the second derivative of a Hann window jumps."""
    x, centres = rng.standard_normal(N), np.array([2.0, 9.0, 14.5, 20.0, 31.0])
    settings = {"mfft": 18, "fs": FS, "scale_to": scale_to, "max_length": 17}

    def loss(theta_, centres_):
        return naive.criterion("renyi", naive.stft(x, window, theta_, centres_, **settings))

    for backend in BACKENDS:
        transform = AdaptiveShortTimeFFT(window, win_length, hop=None, positions=centres, backend=backend, **settings)
        gradient = transform.value_and_grad(x, "renyi")[1]
        v = rng.uniform(-1, 1, np.shape(win_length))
        assert_gradient(
            naive.inner(gradient.win_length, v), lambda s, v=v: loss(win_length + s * v, centres), "win_length"
        )
        v = rng.uniform(-1, 1, 5)
        assert_gradient(
            naive.inner(gradient.positions, v), lambda s, v=v: loss(win_length, centres + s * v), "positions"
        )


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("scope", ["global", "frame", "local"])
def test_bins_that_are_exactly_zero(name, scope, rng):
    """Two opposite samples around the centre: DC and Nyquist vanish for every length of the window."""
    x = np.zeros(N)
    x[[9, 11, 25, 27]] = 1.0, -1.0, 2.0, -2.0
    x[[24, 28]] = 0.7, -0.7
    centres, win_length, width, settings = np.array([10.0, 26.0]), 7.6, 6.0, {"mfft": 8, "fs": FS}

    def loss(theta_):
        S = naive.stft(x, "hann", theta_, centres, max_length=8, **settings)
        S[[0, -1]] = 0  # the sums of the reference leave rounding errors
        g, e = naive.neighbourhoods(x, centres, width * FS)
        return naive.criterion(name, S, scope, g=g, e=e)

    for backend in BACKENDS:
        transform = AdaptiveShortTimeFFT("hann", win_length, hop=None, positions=centres, backend=backend, **settings)
        gradient = transform.value_and_grad(
            x, CLASSES[name](scope=scope, width=width if scope == "local" else None), wrt=ALL
        )[1]
        assert np.all(np.isfinite(gradient.positions))
        assert np.all(np.isfinite(gradient.x))
        assert_gradient(gradient.win_length, lambda s: loss(win_length + s), f"{backend=}")


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("scope", ["global", "frame", "local"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_silence_within_the_signal(name, scope, dtype, backend, rng):
    x = rng.standard_normal(120)
    x[30:90] = 0
    x = x.astype(dtype)
    centres = np.arange(2.3, 118, 4.7)
    win_length = rng.uniform(8, 14, centres.size)
    transform = AdaptiveShortTimeFFT("hann", win_length, hop=None, positions=centres, fs=FS, mfft=16, backend=backend)
    silent = np.all(transform.stft(x) == 0, axis=0)
    assert silent.sum() >= 5
    gradient = transform.value_and_grad(x, library_loss(name, scope), wrt=ALL)[1]
    assert_array_equal(gradient.win_length[silent], 0)
    for part in (gradient.win_length, gradient.positions, gradient.x):
        assert np.all(np.isfinite(part))
        assert np.any(part != 0)


def test_silent_signal_has_a_vjp(backend):
    """Unlike a criterion, the transform of zeros has derivatives: those in the lengths are zero."""
    transform = AdaptiveShortTimeFFT("hann", 12.3, 4.1, 1.0, backend=backend)
    x = np.zeros(N)
    gradient = transform.vjp(x, np.ones(transform.stft(x).shape), wrt=ALL)
    assert (gradient.win_length, gradient.hop) == (0, 0)
    assert np.all(gradient.positions == 0)
    assert np.any(gradient.x != 0)


@pytest.mark.parametrize("window", ["hamming", "nuttall", ("gaussian", 6.0), ("kaiser", 8.6)], ids=naive.label)
def test_windows_that_jump_have_their_derivative_at_the_jump(window, backend, rng):
    """At an edge the derivative is the one-sided limit from inside the support."""
    x, centres = rng.standard_normal(N), np.array([9.0, 20.0])
    settings = {
        "fs": 1.0,
        "mfft": 18,
        "hop": None,
        "positions": centres,
        "backend": backend,
        "max_length": 18,
    }
    G = draw_cotangent(np.empty((10, 2)), rng)
    # With centres a little earlier the left sample is inside, and the right one outside.
    at = AdaptiveShortTimeFFT(window, 12.0, **settings).vjp(x, G)
    shifted = settings | {"positions": centres - 1e-9}
    beside = AdaptiveShortTimeFFT(window, 12.0, **shifted).vjp(x, G)
    assert at.win_length == pytest.approx(beside.win_length, abs=1e-5)
    assert_allclose(at.positions, beside.positions, rtol=0, atol=1e-5)


@pytest.mark.parametrize("window", ["boxcar", ("general_hamming", 0.7), ("kaiser", 1.0)], ids=naive.label)
def test_windows_that_jump_too_far_are_refused(window, rng):
    x = rng.standard_normal(N)
    transform = AdaptiveShortTimeFFT(window, 12.3, 4.1, 1.0)
    S = transform.stft(x)
    for wrt in (None, ("win_length",), ("positions",), ("hop",)):
        with pytest.raises(ValueError, match="at its ends"):
            transform.value_and_grad(x, "renyi", wrt=wrt)
        with pytest.raises(ValueError, match="at its ends"):
            transform.vjp(x, S, wrt=wrt)


def test_windows_that_jump_keep_the_derivative_in_the_signal(backend, rng):
    x = rng.standard_normal(N)
    transform = AdaptiveShortTimeFFT("boxcar", 12.3, 4.1, 1.0, backend=backend)
    S = transform.stft(x)
    # Half the derivative of sum |S|**2, a quadratic form.
    assert naive.inner(transform.vjp(x, S, wrt=("x",)).x, x) == pytest.approx(np.sum(np.abs(S) ** 2), rel=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("fft_mode", ["onesided", "twosided"])
@pytest.mark.parametrize("mfft", [2, 3])
def test_two_and_three_point_ffts(fft_mode, mfft, rng):
    """With two points a one-sided spectrum is as long as a two-sided one."""
    x, win_length, centres = rng.standard_normal(12), 1.8, np.array([2.3, 5.71, 8.45])
    settings = {"mfft": mfft, "fft_mode": fft_mode, "fs": FS, "max_length": 2}
    S = naive.stft(x, "hann", win_length, centres, **settings)
    G, v = draw_cotangent(S, rng), rng.uniform(-1, 1, 3)
    for backend in BACKENDS:
        transform = AdaptiveShortTimeFFT("hann", win_length, hop=None, positions=centres, backend=backend, **settings)
        slope = naive.inner(transform.vjp(x, G).positions, v)
        assert_gradient(
            slope,
            lambda s: naive.inner(G, naive.stft(x, "hann", win_length, centres + s * v, **settings)),
            f"{backend=}",
        )


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("padding", ["zeros", "edge", "even", "odd"])
def test_signals_shorter_than_the_window(n, padding, rng):
    case = naive.Case("hann", "time, positions", rng, n=n, padding=padding)
    G = draw_cotangent(case.spectra(), rng)
    for backend in BACKENDS:
        gradient = make(case, backend).vjp(case.x, G, wrt=ALL, **case.call())
        for name in case.parameters():
            path = naive.Path(case, name, case.direction(name, rng))
            scale = np.abs(G).sum() * max(1, np.abs(case.spectra()).max())
            assert_gradient(naive.inner(getattr(gradient, name), path.v), path.product(G), name, scale=scale)


# --- what is returned ---------------------------------------------------------------------------


@pytest.mark.parametrize("framing", FRAMINGS)
def test_shapes_are_those_of_the_parameters(framing, backend, rng):
    case = naive.Case(("general_cosine", (0.42, 0.45, 0.13)), framing, rng, channels=2)
    transform = make(case, backend)
    G = draw_cotangent(transform.stft(case.x), rng)
    for gradient in (
        transform.vjp(case.x, G, wrt=ALL),
        transform.value_and_grad(case.x, "renyi", wrt=ALL)[1],
    ):
        assert np.shape(gradient.win_length) == np.shape(case.win_length)
        assert np.shape(gradient.positions) == (len(case.centres),)
        assert np.shape(gradient.shape) == (3,)
        assert np.shape(gradient.x) == case.x.shape
        if case.hop is None:
            assert gradient.hop is None
        else:
            assert np.shape(gradient.hop) == ()


def test_only_requested_gradients_are_returned(rng):
    case = naive.Case(("kaiser", 8.6), "constant, hop", rng)
    transform = make(case, "auto")
    everything = transform.value_and_grad(case.x, "renyi", wrt=ALL)[1]
    for name in ALL:
        value, gradient = transform.value_and_grad(case.x, "renyi", wrt=(name,))
        assert [key for key in ALL if getattr(gradient, key) is not None] == [name]
        # A gradient may be computed in another way if it is requested alone: equal to rounding.
        assert_allclose(getattr(gradient, name), getattr(everything, name), rtol=1e-10, atol=1e-13)
        assert isinstance(value, float)
    assert make(naive.Case("hann", "constant, hop", rng), "auto").value_and_grad(case.x, "renyi")[1].shape is None


def test_unknown_parameters_are_refused(rng):
    transform = AdaptiveShortTimeFFT("hann", 12.3, 4.1, 1.0)
    with pytest.raises(ValueError, match=r"wrt.*'window'.*win_length"):
        transform.value_and_grad(rng.standard_normal(N), "renyi", wrt=("window",))


def test_cotangents_of_the_wrong_shape_are_refused(rng):
    transform = AdaptiveShortTimeFFT("hann", 12.3, 4.1, 1.0)
    x = rng.standard_normal(N)
    S = transform.stft(x)
    with pytest.raises(ValueError, match="cotangent"):
        transform.vjp(x, S[:-1])
    with pytest.raises(ValueError, match="cotangent"):
        transform.vjp(np.stack([x, x]), S)


def test_arguments_are_not_modified(backend, rng):
    case = naive.Case("hann", "time, positions", rng)
    transform = make(case, backend)
    G = draw_cotangent(case.spectra(), rng)
    kept = case.x.copy(), G.copy()
    transform.vjp(case.x, G, wrt=ALL)
    transform.value_and_grad(case.x, "gini", wrt=ALL)
    transform.value_and_grad(case.x, weighted_sparsity, wrt=ALL)
    assert_array_equal(case.x, kept[0])
    assert_array_equal(G, kept[1])


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("loss", LOSSES, ids=naive.label)
def test_single_precision(loss, framing, backend, rng):
    case = naive.Case("hann", framing, rng, channels=2)
    x32 = case.x.astype(np.float32)
    transform = make(case, backend)
    value32, single = transform.value_and_grad(x32, library_loss(*loss), wrt=ALL)
    value, double = transform.value_and_grad(x32.astype(float), library_loss(*loss), wrt=ALL)
    assert single.x.dtype == np.float32
    # Amplitudes are rounded to 6e-8; powers and the cancellation between bins enlarge that a thousandfold.
    tol = 5e-5
    assert value32 == pytest.approx(value, rel=tol, abs=tol)
    for name in case.parameters():
        expected = getattr(double, name)
        atol = tol * np.abs(expected).max()
        if name == "hop":  # the sum of derivatives that cancel
            atol = tol * np.abs(np.arange(*case.slices) * double.positions).sum()
        if name == "win_length" and not np.ndim(expected):  # the sum over the frames, of derivatives that cancel
            settings = case.settings() | {"hop": None, "positions": case.centres}
            lengths = np.full(len(case.centres), case.win_length)
            each = AdaptiveShortTimeFFT(case.window, lengths, backend=backend, **settings)
            gradient = each.value_and_grad(x32.astype(float), library_loss(*loss), wrt=("win_length",))[1]
            atol = tol * np.abs(gradient.win_length).sum()
        assert_allclose(getattr(single, name), expected, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("loss", ["shannon", "gini", weighted_sparsity], ids=naive.label)
def test_number_of_workers_changes_nothing(loss, backend, rng):
    n = 20_000
    x = rng.standard_normal(n)
    if callable(loss):

        def loss(P):
            return anp.sum(anp.sqrt(P + 1e-9)) / anp.sqrt(anp.sum(P))

    results = []
    for workers in (1, 2, 5):
        transform = AdaptiveShortTimeFFT("hann", 200.5, 50.7, 1.0, workers=workers, backend=backend)
        results.append(transform.value_and_grad(x, loss, wrt=ALL))
    for value, gradient in results[1:]:
        assert value == results[0][0]
        for name in ("win_length", "positions", "hop", "x"):
            assert_array_equal(getattr(gradient, name), getattr(results[0][1], name))


@pytest.mark.parametrize("wrt", [("win_length", "hop"), ("x",)])
def test_memory_does_not_grow_with_the_spectrogram(wrt, rng):
    """400,000 samples give a spectrogram of 100 MB; neither it nor its cotangent is stored."""
    x = rng.standard_normal(400_000)
    transform = AdaptiveShortTimeFFT("hann", 500.5, 32.0, 1.0, mfft=512, workers=2)
    transform.value_and_grad(x[:2000], "renyi", wrt=wrt)  # compiles
    tracemalloc.start()
    try:
        transform.value_and_grad(x, "renyi", wrt=wrt)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The signal is 3 MB; its gradient, and a padded copy of each, may be stored.
    assert peak < 20e6
