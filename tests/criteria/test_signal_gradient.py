"""The derivative with respect to the signal of criteria of local scope, whose weights depend on the signal."""

from dataclasses import replace

import numpy as np
import pytest
from losses import CLASSES
from naive import differences
from numpy.testing import assert_allclose

from adaptstft import AdaptiveShortTimeFFT, criteria
from adaptstft.criteria.energy_shares import share_gradient
from adaptstft.criteria.neighbourhoods import EnergyCells, Neighbourhoods

#: Relative error of the difference quotients.
TOL = 1e-6
LOCAL = {name: cls(width=2.5) for name, cls in CLASSES.items()} | {
    "combined": criteria.Combined(["renyi", criteria.Lp(k=0.5)], width=2.5)
}


def make(win_length=12.3, **options):
    """A transform at 4 Hz of signals with about 40 samples."""
    return AdaptiveShortTimeFFT("hann", win_length, 3.7, 4.0, **{"mfft": 15, "scale_to": "psd"} | options)


def signal(rng, shape, *, complex_=False):
    """Noise whose level rises, so that the weights of neighbourhoods differ."""
    level = np.linspace(0.2, 2.0, shape[-1])
    x = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if complex_ else 0)
    return level * x


def check(transform, x, criterion, rng, **call):
    """Compare ``grad.x`` with difference quotients in random directions."""
    gradient = transform.value_and_grad(x, criterion, wrt=("x",), **call)[1].x
    assert gradient.dtype == x.dtype
    for _ in range(3):
        v = signal(rng, x.shape, complex_=np.iscomplexobj(x))

        def along(s, v=v):
            return transform.value_and_grad(x + s * v, criterion, wrt=(), **call)[0]

        # Gini's index has a corner where the order of two bins changes: small steps avoid them
        exact, error = differences.derivative(along, 1e-5 if criterion.name == "gini" else 2e-4)
        assert error < TOL / 10
        assert differences.inner(gradient, v) == pytest.approx(exact, rel=TOL, abs=TOL / 10)


@pytest.mark.parametrize("padding", ["zeros", "edge", "even", "odd"])
@pytest.mark.parametrize("name", LOCAL)
def test_neighbourhoods_in_time(name, padding, backend, rng):
    check(make(backend=backend), signal(rng, (2, 41)), LOCAL[name], rng, padding=padding)


@pytest.mark.parametrize("name", LOCAL)
def test_complex_signals(name, backend, rng):
    x = signal(rng, (2, 41), complex_=True)
    check(make(backend=backend, fft_mode="centered"), x, LOCAL[name], rng)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("name", [name for name in LOCAL if name != "gini"])
def test_neighbourhoods_in_time_and_frequency(name, complex_, backend, rng):
    transform = make(backend=backend, fft_mode="twosided", win_length=rng.uniform(6, 14, (15, 1)))
    x = signal(rng, (2, 41), complex_=complex_)
    check(transform, x, replace(LOCAL[name], bands=3), rng, padding="even")


def test_the_time_axis_may_be_the_first(rng):
    x = signal(rng, (2, 41))
    found, expected = (
        make().value_and_grad(y, LOCAL["renyi"], axis=axis)[1].x for y, axis in ((x.T.copy(), 0), (x, -1))
    )
    assert_allclose(found, expected.T, rtol=1e-12)


@pytest.mark.parametrize("factor", [1e-100, 1e100])
def test_scaled_signals(factor, rng):
    x = signal(rng, (1, 41))
    found, expected = (make().value_and_grad(s * x, LOCAL["renyi"])[1].x for s in (factor, 1.0))
    assert_allclose(found * factor, expected, rtol=1e-10, atol=1e-13)


def test_the_gradient_is_orthogonal_to_the_signal(rng):
    """Scaling the signal changes nothing."""
    x = signal(rng, (2, 41))
    gradient = make().value_and_grad(x, LOCAL["shannon"])[1].x
    assert abs(differences.inner(gradient, x)) < 1e-12 * np.linalg.norm(gradient) * np.linalg.norm(x)


def test_silence_within_the_signal(rng):
    """Neighbourhoods without energy or without frames have no weight; the gradient there is finite."""
    x = signal(rng, (1, 120))
    x[:, 30:90] = 0
    gradient = make().value_and_grad(x, LOCAL["renyi"])[1].x
    assert np.all(np.isfinite(gradient)) and np.all(gradient[:, 45:75] == 0)


@pytest.mark.parametrize("first", [0.0, 7.0])
def test_the_weights_of_samples_are_those_of_frames(first, rng):
    """The adjoint of the sums of energy is the sum of the raised cosines."""
    places = Neighbourhoods.of_signal(signal(rng, (1, 53)), 9.7, first)
    by_energy = rng.standard_normal(places.energy.size)
    member = places.weights(first + np.arange(53.0))[0]
    assert_allclose(EnergyCells(53, 9.7, first).adjoint(by_energy), member.T @ by_energy, atol=1e-13)


def test_the_gradient_of_shares(rng):
    x, by_share = signal(rng, (2, 53)), rng.standard_normal(Neighbourhoods.of_signal(np.ones((1, 53)), 9.7).energy.size)
    found = share_gradient(make()._plan, x, Neighbourhoods.of_signal(x, 9.7), by_share)
    expected, _ = differences.gradient(lambda y: float(Neighbourhoods.of_signal(y, 9.7).energy @ by_share), x, 1e-2)
    assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("bands", [None, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision(bands, dtype, rng):
    win_length = 12.3 if bands is None else rng.uniform(6, 14, (15, 1))
    transform = make(win_length, fft_mode="twosided")
    x = signal(rng, (2, 41), complex_=dtype == np.complex64).astype(dtype)
    criterion = criteria.Renyi(width=2.5, bands=bands)
    found, expected = (transform.value_and_grad(y, criterion)[1].x for y in (x, x.astype(np.complex128)))
    assert found.dtype == dtype
    expected = expected if dtype == np.complex64 else expected.real
    assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
