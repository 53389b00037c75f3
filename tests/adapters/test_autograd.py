"""The functions for autograd: its own numerical check, and use within other computations."""

import subprocess
import sys

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, jacobian, value_and_grad
from autograd.differential_operators import make_jvp
from autograd.test_util import check_grads
from numpy.testing import assert_allclose

from adaptstft import AdaptiveShortTimeFFT
from adaptstft.autograd import istft, spectrogram, stft

N = 40
P_NUM = 9
SIZES = [("onesided", 23), ("onesided", 24), ("onesided2X", 24), ("twosided", 23), ("centered", 24)]


@pytest.fixture(autouse=True)
def _seed():
    """Fix the random directions of autograd's check."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


class Problem:
    """A signal and parameters of a transform whose values are of order one.

    autograd's check accepts absolute errors below 1e-6, so values must not be small. If they are large, rounding errors
    exceed its tolerance.
    """

    def __init__(self, rng, mode="onesided", mfft=24, lengths="constant", channels=2):
        self.settings = {"mfft": mfft, "fft_mode": mode, "window": "kaiser", "scale_to": "psd", "max_length": 23}
        self.onesided = mode.startswith("onesided")
        f_pts = mfft // 2 + 1 if self.onesided else mfft
        size = {"constant": (), "time": (P_NUM,), "frequency": (f_pts, 1), "bins": (f_pts, P_NUM)}[lengths]
        self.lengths = rng.uniform(18, 22, size) if size else 20.3
        # no sample at the end of a window, where the Kaiser window jumps
        self.positions = np.linspace(0.3, N - 1.2, P_NUM) + rng.uniform(-0.5, 0.5, P_NUM)
        self.shape = np.array([9.1])
        self.x = self.random(rng, (channels, N))

    def random(self, rng, shape):
        real = rng.standard_normal(shape)
        return real if self.onesided else real + 1j * rng.standard_normal(shape)


def both_modes(function, *arguments):
    check_grads(function, modes=["fwd", "rev"], order=1)(*arguments)


LENGTHS = ["constant", "time", "frequency", "bins"]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("mode", "mfft"), SIZES)
@pytest.mark.parametrize("function", [stft, spectrogram])
def test_analysis_passes_the_check_in_both_modes(function, mode, mfft, lengths, rng):
    p = Problem(rng, mode, mfft, lengths)

    def of_all(x, win_length, positions, shape):
        return function(x, win_length, positions=positions, shape=shape, **p.settings)

    assert np.abs(of_all(p.x, p.lengths, p.positions, p.shape)).max() > 0.3
    both_modes(of_all, p.x, p.lengths, p.positions, p.shape)


@pytest.mark.parametrize(("mode", "mfft"), SIZES)
def test_analysis_with_a_hop(mode, mfft, rng):
    p = Problem(rng, mode, mfft)
    both_modes(lambda x, win_length, hop: stft(x, win_length, hop=hop, **p.settings), p.x, 20.3, 4.7)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("mode", "mfft"), [("onesided", 23), ("onesided", 24), ("centered", 24)])
def test_synthesis_passes_the_check_in_both_modes(mode, mfft, lengths, rng):
    p = Problem(rng, mode, mfft, lengths, channels=1)
    settings = p.settings | {"k0": 2, "k1": N - 3}
    S = stft(p.x, p.lengths, positions=p.positions, shape=p.shape, **p.settings)
    S = S + 0.3 * (rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape))  # not the transform of a signal

    def of_all(S, win_length, positions, shape):
        return istft(S, win_length, positions=positions, shape=shape, **settings)

    both_modes(of_all, S, p.lengths, p.positions, p.shape)


def test_synthesis_with_a_hop(rng):
    p = Problem(rng)
    S = stft(p.x, 20.3, hop=4.7, **p.settings) * rng.uniform(0.5, 1, 13)[:, None]
    both_modes(lambda S, win_length, hop: istft(S, win_length, hop=hop, k1=N, **p.settings), S, 20.3, 4.7)


def test_a_mask_between_analysis_and_synthesis(rng):
    p = Problem(rng)
    target = rng.standard_normal(N)

    def loss(threshold, win_length, positions, x):
        settings = p.settings | {"positions": positions}
        S = stft(x, win_length, **settings)
        S = S / (1 + anp.exp(threshold - anp.abs(S)))
        return anp.sum((istft(S, win_length, k1=N, **settings) - target) ** 2)

    both_modes(loss, 0.4, 20.3, p.positions, p.x)


def test_synthesis_inverts_analysis_for_all_parameters(rng):
    p = Problem(rng)

    def back(win_length, positions):
        settings = p.settings | {"positions": positions}
        return istft(stft(p.x, win_length, **settings), win_length, k1=N, **settings)

    assert_allclose(back(20.3, p.positions), p.x, atol=1e-12)
    # the derivatives of analysis and synthesis cancel; each is of order one
    assert_allclose(jacobian(back)(20.3, p.positions), 0, atol=1e-10)
    assert_allclose(make_jvp(back, 1)(20.3, p.positions)(rng.standard_normal(P_NUM))[1], 0, atol=1e-10)


@pytest.mark.parametrize("padding", ["zeros", "edge", "even", "odd"])
def test_axes_offsets_and_padding(padding, rng):
    p = Problem(rng)
    call = {"axis": 0, "k_offset": 3, "padding": padding, "phase_shift": None, "window_offset": 0.25}
    both_modes(lambda x, win_length: stft(x, win_length, hop=4.7, **call, **p.settings), p.x.T.copy(), 20.3)


def test_values_are_those_of_the_class(rng):
    p = Problem(rng, lengths="time")
    sft = AdaptiveShortTimeFFT(
        ("kaiser", 9.1), p.lengths, None, 2.0, positions=p.positions, max_length=23, mfft=24, scale_to="psd"
    )
    arguments = {"positions": p.positions, "shape": 9.1, "fs": 2.0, **p.settings}
    S = stft(p.x, p.lengths, **arguments)
    np.testing.assert_array_equal(S, sft.stft(p.x))
    assert_allclose(spectrogram(p.x, p.lengths, **arguments), sft.spectrogram(p.x), rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(istft(S, p.lengths, k1=N, **arguments), sft.istft(S, k1=N))


def test_jacobian_through_the_power(rng):
    p = Problem(rng, lengths="time")
    x = p.x[0]
    arguments = {"positions": p.positions, **p.settings}
    found = jacobian(lambda win_length: anp.abs(stft(x, win_length, **arguments)) ** 2)(p.lengths)
    assert found.shape == (13, P_NUM, P_NUM)
    off = found * (1 - np.eye(P_NUM))
    assert not off.any()  # a frame depends only on its own length
    sft = AdaptiveShortTimeFFT("kaiser", p.lengths, None, 1.0, positions=p.positions, mfft=24, scale_to="psd")
    dS = sft.jvp(x, {"win_length": np.ones(P_NUM)})
    assert_allclose(found.sum(axis=-1), 2 * np.real(np.conj(sft.stft(x)) * dS), atol=1e-13)
    assert_allclose(jacobian(lambda win_length: spectrogram(x, win_length, **arguments))(p.lengths), found, atol=1e-13)


def test_hop_through_positions(rng):
    p = Problem(rng)

    def loss(hop):
        return anp.sum(anp.log(spectrogram(p.x, 20.3, positions=hop * anp.arange(10), **p.settings) + 0.1))

    both_modes(loss, 4.3)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)], ids=str)
def test_batches_share_the_parameters(lead, rng):
    p = Problem(rng, lengths="frequency")
    x = rng.standard_normal((*lead, N))

    def loss(win_length, x):
        return anp.sum(anp.sin(spectrogram(x, win_length, positions=p.positions, **p.settings)))

    value, gradient = value_and_grad(loss)(p.lengths, x)
    each = [value_and_grad(loss)(p.lengths, one) for one in x.reshape(-1, N)]
    assert_allclose(value, sum(v for v, _ in each), rtol=1e-13)
    assert_allclose(gradient, sum(s for _, s in each), rtol=1e-10, atol=1e-12)


def test_single_precision_stays_single(rng):
    p = Problem(rng)
    x, win_length = p.x.astype(np.float32), np.float32(20.3)

    def loss(x, win_length):
        return anp.sum(anp.abs(stft(x, win_length, positions=p.positions, **p.settings)))

    gradients = grad(loss, (0, 1))(x, win_length)
    exact = grad(loss, (0, 1))(p.x, float(win_length))
    assert [np.asarray(s).dtype for s in gradients] == [np.float32, np.float32]
    # sums over some hundred terms of order one
    assert_allclose(gradients[0], exact[0], atol=1e-5)
    assert_allclose(gradients[1], exact[1], rtol=1e-4)


def test_a_step_downhill_lowers_the_loss(rng):
    """Gradient descent on a window length, as in the guide."""
    n = np.arange(600)
    x = np.cos(0.3 * n + 0.0004 * n**2)

    def entropy(log_length):
        P = spectrogram(x, anp.exp(log_length), positions=10.0 * np.arange(60), mfft=300, scale_to="psd")
        share = P / anp.sum(P) + 1e-12
        return -anp.sum(share * anp.log(share))

    at, gradient_of = np.log(40.0), value_and_grad(entropy)
    values = []
    for _ in range(15):
        value, gradient = gradient_of(at)
        values.append(value)
        at -= 0.3 * gradient
    assert values[-1] < values[0] - 0.3


@pytest.mark.parametrize("name", ["stft", "istft", "spectrogram"])
def test_second_derivatives_are_refused(name):
    functions = {
        "stft": lambda t: anp.sum(anp.abs(stft(np.ones(N), t, hop=5, mfft=24))),
        "istft": lambda t: anp.sum(istft(np.ones((13, 13), complex), t, hop=5, mfft=24, k1=N) ** 2),
        "spectrogram": lambda t: anp.sum(spectrogram(np.ones(N), t, hop=5, mfft=24) ** 2),
    }
    with pytest.raises(NotImplementedError, match=rf"second derivatives of adaptstft.autograd.{name} are not avail"):
        grad(grad(functions[name]))(20.3)


@pytest.mark.parametrize("shape", [(), (7,), (13, 1), (13, 7)])
def test_spectrogram_is_the_squared_magnitude(shape, rng):
    x, tangent = rng.standard_normal((2, 3, N))
    lengths = 15 + 5 * rng.random(shape)
    weights = rng.standard_normal((3, 13, 7))
    settings = {"positions": 5.7 * np.arange(7), "mfft": 24, "scale_to": "psd"}
    ways = (
        lambda x, t: anp.log(spectrogram(x, t, **settings) + 0.1),
        lambda x, t: anp.log(anp.abs(stft(x, t, **settings)) ** 2 + 0.1),
    )
    for argnum in (0, 1):
        own, same = (grad(lambda x, t, way=way: anp.sum(weights * way(x, t)), argnum)(x, lengths) for way in ways)
        assert_allclose(own, same, rtol=1e-9, atol=1e-12)
    own, same = (make_jvp(way, 0)(x, lengths)(tangent)[1] for way in ways)
    assert_allclose(own, same, rtol=1e-9, atol=1e-12)


def test_the_vjp_of_a_spectrogram_can_be_called_more_than_once(rng):
    x = rng.standard_normal(N)

    def both(t):
        P = spectrogram(x, t, hop=5, mfft=24)
        return anp.array([anp.sum(P), anp.sum(P**2)])

    each = [grad(lambda t, k=k: both(t)[k])(20.3) for k in (0, 1)]
    assert_allclose(jacobian(both)(20.3), each, rtol=1e-12)


def test_windows_that_jump_have_no_derivative_in_their_length():
    def loss(x, win_length):
        return anp.sum(anp.real(stft(x, win_length, hop=5, mfft=24, window="boxcar")))

    assert grad(loss)(np.ones(N), 20.3).shape == (N,)
    with pytest.raises(ValueError, match=r"window 'boxcar' cannot be tuned"):
        grad(loss, 1)(np.ones(N), 20.3)
    with pytest.raises(ValueError, match=r"window 'boxcar' cannot be tuned"):
        make_jvp(loss, 1)(np.ones(N), 20.3)(1.0)


def test_the_package_imports_no_adapter():
    names = "autograd", "torch", "adapters"
    code = f"import sys, adaptstft; adaptstft.optimize; print([n for n in {names} if 'adaptstft.' + n in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_gradients_with_respect_to_integers_are_floats():
    x = (100 * np.sin(np.arange(300) * 0.3)).astype(int)

    def loss(x, lengths):
        return anp.sum(anp.sqrt(spectrogram(x, lengths, positions=anp.arange(0.0, 300, 20), mfft=64)))

    lengths = np.full(15, 40)
    for argnum in (0, 1):
        found = grad(loss, argnum)(x, lengths)
        assert found.dtype == float
        np.testing.assert_allclose(found, grad(loss, argnum)(x.astype(float), lengths.astype(float)), rtol=1e-12)
