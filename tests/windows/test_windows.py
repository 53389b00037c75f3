"""Window families: values, derivatives, shape parameters, and the registry."""

import threading
import time

import autograd.numpy as anp
import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import get_window
from scipy.special import i0

from adaptstft import windows
from adaptstft.windows import window as window_module

# A sum of five cosines, or a Bessel function accurate to a few units in the last place.
TOL = 100 * np.finfo(float).eps

WITHOUT_SHAPE = ["hann", "hamming", "blackman", "nuttall", "blackmanharris", "flattop", "boxcar"]
WITH_SHAPE = [
    ("general_hamming", 0.6),
    ("general_cosine", (0.4, 0.45, 0.15)),
    ("gaussian", 6.0),
    ("gaussian", 9.5),
    ("kaiser", 8.6),
    ("kaiser", 14.0),
    ("tukey", 0.5),
    ("tukey", 0.07),
    ("tukey", 1.0),
    ("dpss", 1.5),
]
EVERY = [*WITHOUT_SHAPE, "cosine", *WITH_SHAPE]


def inner_points(rng, count=40):
    """Random positions in the support, farther from its ends than the steps of the difference quotients below."""
    return rng.uniform(-0.499, 0.499, count)


@pytest.mark.parametrize("size", [2, 8, 30, 512])
@pytest.mark.parametrize("window", [*WITHOUT_SHAPE, *(w for w in WITH_SHAPE if w[0] != "dpss")], ids=naive.label)
def test_samples_equal_scipy(window, size):
    u = (np.arange(size) - size // 2) / size
    scipy_window = ("gaussian", size / window[1]) if window[0] == "gaussian" else window
    assert_allclose(windows.resolve(window)(u), get_window(scipy_window, size), rtol=0, atol=TOL)


@pytest.mark.parametrize("window", EVERY, ids=naive.label)
def test_values_between_the_samples(window, rng):
    u = inner_points(rng)
    assert_allclose(windows.resolve(window)(u), naive.evaluate_family(window, u), rtol=0, atol=TOL)


@pytest.mark.parametrize("window", EVERY, ids=naive.label)
def test_support_is_half_open(window):
    w = windows.resolve(window)
    outside = np.array([-7.0, np.nextafter(-0.5, -1), 0.5, 0.6, 1e9])
    assert_array_equal(w(outside), 0)
    assert_array_equal(w.derivative(outside), 0)
    assert_array_equal(w.shape_derivative(outside), np.zeros((len(w.shape), 5)))
    end = naive.evaluate_family(window, np.array([-0.5]))[0]
    assert w(-0.5) == pytest.approx(end, abs=TOL)
    assert w.end_value == pytest.approx(abs(end), abs=TOL)


@pytest.mark.parametrize("window", EVERY, ids=naive.label)
def test_derivative(window, rng):
    u = inner_points(rng)
    expected, error = zip(
        *(naive.derivative(lambda s, v=v: naive.evaluate_family(window, v + s), 5e-4) for v in u), strict=True
    )
    derivative = windows.resolve(window).derivative(u)
    scale = max(1, np.abs(derivative).max())
    # Second differences of order-one values at steps down to 2e-5: rounding of eps / 2e-5, some ten times.
    assert max(error) < 1e-8 * scale
    assert_allclose(derivative, expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("window", WITH_SHAPE, ids=naive.label)
def test_shape_derivative(window, rng):
    if window == ("tukey", 1.0):
        window = ("tukey", 0.98)  # the family is not defined above 1
    name, shape = window[0], np.ravel(window[1])
    u = inner_points(rng)
    rows = windows.resolve(window).shape_derivative(u)
    assert rows.shape == (shape.size, u.size)
    for j, row in enumerate(rows):
        direction = np.eye(shape.size)[j]

        def value(s, v, direction=direction):
            return naive.evaluate_family((name, shape + s * direction), np.array([v]))[0]

        pairs = [naive.derivative(lambda s, v=v: value(s, v), 1e-3) for v in u]
        expected, error = np.array(pairs).T
        scale = max(1, np.abs(row).max())
        assert error.max() < 1e-8 * scale
        assert_allclose(row, expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("window", EVERY, ids=naive.label)
def test_derivatives_are_odd_and_finite_at_special_points(window):
    """Special points: the centre, the corners of a plateau and next to the ends, where formulas divide by zero."""
    u = np.array([0.0, 1e-300, 0.25, 0.215, 0.465, np.nextafter(0.5, 0), 0.5 - 1e-9])
    w = windows.resolve(window)
    assert np.all(np.isfinite(w.derivative(u)))
    assert np.all(np.isfinite(w.shape_derivative(u)))
    # Next to the ends a sine of an argument near 2 pi k has only absolute accuracy.
    assert_allclose(w.derivative(-u), -w.derivative(u), rtol=0, atol=100 * TOL)


def test_kaiser_derivative_at_the_end_is_its_limit():
    beta = 8.6
    assert windows.resolve(("kaiser", beta)).derivative(-0.5) == pytest.approx(beta**2 / i0(beta), rel=1e-12)


def test_kaiser_of_huge_beta_does_not_overflow():
    w = windows.resolve(("kaiser", 2000.0))
    u = np.linspace(-0.5, 0.49, 50)
    # I0(z) ~ exp(z) / sqrt(2 pi z) with relative error 1/(8 z), nearly the same above and below the line
    assert np.all(np.isfinite([w(u), w.derivative(u), w.shape_derivative(u)[0]]))
    near = 0.01
    root = np.sqrt(1 - 4 * near**2)
    assert w(near) == pytest.approx(np.exp(2000 * (root - 1)) / np.sqrt(root), rel=1e-6)


def test_shapes_of_arguments():
    w = windows.resolve(("general_cosine", [0.4, 0.45, 0.15]))
    for shape in [(), (3,), (2, 5), (0,)]:
        u = np.zeros(shape)
        assert np.shape(w(u)) == np.shape(w.derivative(u)) == shape
        assert np.shape(w.shape_derivative(u)) == (3, *shape)
    assert_array_equal(w([0, -0.5]), w(np.array([0.0, -0.5])))
    assert windows.resolve("hann").shape_derivative(np.zeros(4)).shape == (0, 4)


def test_resolve_accepts_names_tuples_and_windows():
    assert windows.resolve(("kaiser", 8)).shape == (8.0,)
    assert windows.resolve("kaiser").name == "kaiser"
    w = windows.resolve(("tukey", 0.25))
    assert windows.resolve(w) is w
    assert windows.resolve(w.spec) == w
    assert windows.resolve(("general_cosine", np.array([0.5, 0.5]))).shape == (0.5, 0.5)
    assert w.with_shape([0.5]) == windows.resolve(("tukey", 0.5)) != w
    assert hash(w) == hash(windows.resolve(("tukey", 0.25)))


def test_names():
    expected = {
        "hann",
        "hamming",
        "blackman",
        "nuttall",
        "blackmanharris",
        "flattop",
        "cosine",
        "general_cosine",
    }
    expected |= {"general_hamming", "gaussian", "kaiser", "tukey", "boxcar"}
    assert expected <= set(windows.names())
    assert windows.names() == sorted(windows.names())


def test_callable_is_differentiated_by_autograd(rng):
    u = inner_points(rng)
    w = windows.resolve(lambda v: anp.cos(anp.pi * v) ** 3)
    assert_allclose(w(u), np.cos(np.pi * u) ** 3, rtol=0, atol=TOL)
    assert_allclose(w.derivative(u), -3 * np.pi * np.cos(np.pi * u) ** 2 * np.sin(np.pi * u), rtol=0, atol=TOL)
    assert w.shape == ()


def test_register(rng):
    u = inner_points(rng)
    windows.register("test_power", lambda v, k: anp.cos(anp.pi * v) ** k, shape=[2.0], shape_bounds=[(1.5, 6.0)])
    w = windows.resolve(("test_power", 3.0))
    assert "test_power" in windows.names()
    assert windows.resolve("test_power").shape == (2.0,)
    assert w.shape_bounds == ((1.5, 6.0),)
    base = np.cos(np.pi * u)
    assert_allclose(w(u), base**3, rtol=0, atol=TOL)
    assert_allclose(w.derivative(u), -3 * np.pi * base**2 * np.sin(np.pi * u), rtol=0, atol=TOL)
    assert_allclose(w.shape_derivative(u), [base**3 * np.log(base)], rtol=0, atol=TOL)


def test_register_with_a_derivative(rng):
    u = inner_points(rng)
    windows.register("test_parabola", lambda v: 1 - 4 * v**2, derivative=lambda v: -8 * v)
    w = windows.resolve("test_parabola")
    assert_allclose(w.derivative(u), -8 * u, rtol=TOL)


def test_register_refuses_taken_and_bad_names():
    with pytest.raises(ValueError, match=r"name='hann' is taken.*blackman"):
        windows.register("hann", lambda u: 1 - 4 * u**2)
    with pytest.raises(ValueError, match=r"name='two words' must be an identifier"):
        windows.register("two words", lambda u: 1 - 4 * u**2)
    with pytest.raises(ValueError, match="shape_bounds="):
        windows.register("test_bounds", lambda u, k: (1 - 4 * u**2) ** k, shape=[1.0])
    assert "test_bounds" not in windows.names()


class SlowDict(dict):
    """A dictionary in which other threads have time to write after each look-up."""

    def __contains__(self, key):
        found = super().__contains__(key)
        time.sleep(0.01)
        return found


def test_register_from_many_threads(monkeypatch):
    """Only one of several concurrent registrations of a name succeeds, the others raise."""
    monkeypatch.setattr(window_module, "FAMILIES", SlowDict(window_module.FAMILIES))
    outcomes = []

    def attempt():
        try:
            windows.register("test_race", lambda u: 1 - 4 * u**2)
        except ValueError:
            outcomes.append("refused")
        else:
            outcomes.append("stored")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["stored"]


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'hannn'.*blackman.*hann.*tukey"):
        windows.resolve("hannn")


@pytest.mark.parametrize(
    ("window", "error", "message"),
    [
        (("hann", 3.0), ValueError, "'hann' takes 0 shape"),
        (("kaiser", 1.0, 2.0), ValueError, "'kaiser' takes 1 shape"),
        (("kaiser", np.nan), ValueError, "'kaiser' must be finite"),
        (("kaiser", -1.0), ValueError, "-1.0 of window 'kaiser' is out of range: beta >= 0"),
        (("gaussian", 0.0), ValueError, "0.0 of window 'gaussian' is out of range"),
        (("tukey", 1.5), ValueError, "1.5 of window 'tukey' is out of range"),
        ("general_cosine", ValueError, "'general_cosine' needs its coefficients"),
        (("kaiser", "wide"), TypeError, "must be real numbers"),
        (3.0, TypeError, "window=3.0 must be"),
        ((), TypeError, r"window=\(\) must be"),
        (lambda u: 1.0, ValueError, "must return finite real values"),
        (lambda u: np.full_like(u, np.nan), ValueError, "must return finite real values"),
        (lambda u: np.exp(1j * u), ValueError, "must return finite real values"),
        (lambda: 1.0, TypeError, "must accept an array"),
    ],
    ids=naive.label,
)
def test_bad_windows(window, error, message):
    with pytest.raises(error, match=message):
        windows.resolve(window)


def test_callable_that_autograd_cannot_differentiate():
    w = windows.resolve(lambda u: np.array([1 - 4 * float(v) ** 2 for v in np.ravel(u)]).reshape(np.shape(u)))
    assert w(0.25) == pytest.approx(0.75)
    with pytest.raises(TypeError, match=r"autograd\.numpy"):
        w.derivative(0.25)


@pytest.mark.parametrize(
    "window",
    ["boxcar", ("general_hamming", 0.6), ("kaiser", 2.0), ("gaussian", 3.0), lambda u: 1 - u**2],
    ids=naive.label,
)
def test_windows_that_jump_too_far_cannot_be_tuned(window):
    with pytest.raises(ValueError, match="cannot be tuned: it still has the value"):
        windows.resolve(window).check_tunable()


@pytest.mark.parametrize("window", [w for w in EVERY if w not in ("boxcar", ("general_hamming", 0.6))], ids=naive.label)
def test_other_windows_can_be_tuned(window):
    windows.resolve(window).check_tunable()


@pytest.mark.parametrize("name", ["kaiser", "tukey", "general_hamming"])
def test_windows_with_shapes_are_polynomials_throughout_their_bounds(name):
    for value in np.linspace(*windows.resolve(name).shape_bounds[0], 33):
        assert windows.resolve((name, value)).series is not None, value
