"""Directional derivatives against the gradients, by ``<G, J d> == <J^T G, d>``, and the arguments of both."""

import itertools

import autograd.numpy as anp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft import AdaptiveShortTimeFFT

N = 60
P_NUM = 24
MODES = ["onesided", "onesided2X", "twosided", "centered"]
LENGTHS = ["constant", "time", "frequency", "bins"]


class Problem:
    """A transform, a signal, and a direction of all parameters."""

    def __init__(self, rng, mode, mfft, lengths, window=("kaiser", 9.0), **settings):
        self.rng, self.complex = rng, not mode.startswith("onesided")
        f_pts = mfft if self.complex else mfft // 2 + 1
        size = {"constant": (), "time": (P_NUM,), "frequency": (f_pts, 1), "bins": (f_pts, P_NUM)}[lengths]
        win_length = rng.uniform(20, 30, size)
        positions = np.sort(np.append(rng.uniform(0, N, P_NUM - 1), 17.0))
        settings = {"max_length": 31, "scale_to": "psd", "window_offset": 0.25} | settings
        self.sft = AdaptiveShortTimeFFT(
            window, win_length, None, 2.0, positions=positions, mfft=mfft, fft_mode=mode, **settings
        )
        self.x = self.random((2, N))
        self.tangents = {"win_length": rng.standard_normal(size), "positions": rng.standard_normal(P_NUM)}
        if self.sft.window.shape:
            self.tangents["shape"] = rng.standard_normal(1)

    def random(self, shape):
        real = self.rng.standard_normal(shape)
        return real + 1j * self.rng.standard_normal(shape) if self.complex else real


def assert_dual(push, gradient, g, tangents, tol, choices=None):
    """Compare for every tangent alone and for all of them, or for the given choices of names."""
    for names in choices or [*((name,) for name in tangents), tuple(tangents)]:
        direction = {name: tangents[name] for name in names}
        expected = sum(np.vdot(getattr(gradient, name), d).real for name, d in direction.items())
        scale = max(abs(expected), np.linalg.norm(g))
        assert np.vdot(g, push(direction)).real == pytest.approx(expected, abs=tol * scale), names


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("mode", "mfft"), list(itertools.product(MODES, [31, 32])))
def test_analysis(mode, mfft, lengths, rng):
    p = Problem(rng, mode, mfft, lengths)
    S = p.sft.stft(p.x)
    g = rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)
    tangents = p.tangents | {"x": p.random(p.x.shape)}
    # rounding of sums over some hundred terms
    assert_dual(lambda d: p.sft.jvp(p.x, d), p.sft.vjp(p.x, g), g, tangents, 1e-11)


@pytest.mark.parametrize("name", ["win_length", "positions", "shape", "S", "all"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("mode", "mfft"), [("onesided", 31), ("onesided2X", 32), ("twosided", 32), ("centered", 31)])
def test_synthesis(mode, mfft, lengths, name, rng):
    p = Problem(rng, mode, mfft, lengths)
    S = p.sft.stft(p.x)
    noise = rng.standard_normal((2, *S.shape)) + 1j * rng.standard_normal((2, *S.shape))
    S, g = S + 0.3 * noise[0], p.random((2, N - 10))
    tangents = p.tangents | {"S": noise[1]}
    # with windows per bin both solve to 1e-10
    tol = 1e-7 if p.sft.per_bin else 1e-11
    names = [tuple(tangents) if name == "all" else (name,)]
    assert_dual(lambda d: p.sft.istft_jvp(S, d, 5, N - 5), p.sft.istft_vjp(S, g, 5, N - 5), g, tangents, tol, names)


def skewed(u):
    """Not symmetric."""
    return anp.cos(anp.pi * u) ** 2 * (1 + 0.3 * u)


@pytest.mark.parametrize("window", ["hann", ("tukey", 0.5), skewed], ids=["hann", "tukey", "callable"])
@pytest.mark.parametrize("scale_to", [None, "magnitude"])
def test_windows_and_scalings(window, scale_to, backend, rng):
    p = Problem(rng, "onesided", 32, "time", window, scale_to=scale_to, backend=backend)
    S = p.sft.stft(p.x, padding="odd")
    g = rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)
    gradient = p.sft.vjp(p.x, g, padding="odd")
    assert_dual(lambda d: p.sft.jvp(p.x, d, padding="odd"), gradient, g, p.tangents | {"x": p.random(p.x.shape)}, 1e-11)


def test_a_hop_moves_all_slices(rng):
    sft = AdaptiveShortTimeFFT("hann", 20.5, 4.7, 1.0, mfft=32)
    x = rng.standard_normal(N)
    p = sft.p_min + np.arange(sft.p_num(N))
    assert_allclose(sft.jvp(x, {"hop": 2.0}), sft.jvp(x, {"positions": 2.0 * p}), atol=1e-13)
    S = sft.stft(x)
    assert_allclose(sft.istft_jvp(S, {"hop": 2.0}, k1=N), sft.istft_jvp(S, {"positions": 2.0 * p}, k1=N), atol=1e-13)


def test_precision_of_the_signal(rng):
    p = Problem(rng, "onesided", 32, "time")
    single = p.sft.jvp(p.x.astype(np.float32), p.tangents)
    assert single.dtype == np.complex64
    # the derivative is a sum over 30 terms of order one
    assert_allclose(single, p.sft.jvp(p.x, p.tangents), atol=2e-5)
    S = p.sft.stft(p.x)
    back = p.sft.istft_jvp(S.astype(np.complex64), p.tangents, k1=N)
    assert back.dtype == np.float32
    assert_allclose(back, p.sft.istft_jvp(S, p.tangents, k1=N), atol=1e-4)


@pytest.mark.parametrize("method", ["jvp", "istft_jvp"])
@pytest.mark.parametrize(
    ("tangents", "error", "message"),
    [
        ({}, ValueError, r"tangents=\{\} must be a mapping with some of the keys \('{data}', 'win_length', "),
        ({"length": 1.0}, ValueError, r"tangents=\{'length': 1.0\} must be a mapping with some of the keys"),
        (1.0, ValueError, r"tangents=1.0 must be a mapping with some of the keys"),
        ({"win_length": np.ones(3)}, ValueError, r"tangents\['win_length'\] has shape \(3,\), but win_length has sh"),
        ({"win_length": "1"}, TypeError, r"tangents\['win_length'\]='1' must be real numbers"),
        ({"hop": np.nan}, ValueError, r"tangents\['hop'\] has 1 NaN or infinite values"),
        ({"positions": 1.0}, ValueError, r"tangents\['positions'\] has shape \(\), but positions has shape \(17,\)"),
        ({"shape": [1.0]}, ValueError, r"tangents\['shape'\] has shape \(1,\), but shape has shape \(0,\)"),
    ],
    ids=["empty", "unknown", "number", "lengths", "text", "nan", "positions", "shape"],
)
def test_bad_tangents(method, tangents, error, message, rng):
    sft = AdaptiveShortTimeFFT("hann", 20.5, 4.7, 1.0, mfft=32)
    data, name = (rng.standard_normal(N), "x") if method == "jvp" else (sft.stft(rng.standard_normal(N)), "S")
    with pytest.raises(error, match=message.replace("{data}", name)):
        getattr(sft, method)(data, tangents)
    with pytest.raises(ValueError, match=rf"tangents\['{name}'\] has shape \(4,\), but {name} has shape"):
        getattr(sft, method)(data, {name: np.ones(4)})


def test_a_transform_from_positions_has_no_hop(rng):
    p = Problem(rng, "onesided", 32, "constant")
    with pytest.raises(ValueError, match=r"tangents has 'hop', but a transform made from positions has no hop"):
        p.sft.jvp(p.x, {"hop": 1.0})


# --- which gradients a VJP computes -------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("lengths", LENGTHS)
def test_parts_of_the_gradients_are_those_of_all(lengths, rng):
    p = Problem(rng, "onesided", 32, lengths)
    S = p.sft.stft(p.x)
    g, y = rng.standard_normal(S.shape) + 0.5j, rng.standard_normal((2, N - 10))
    for names, whole, part in [
        (("win_length", "positions", "shape", "x"), p.sft.vjp(p.x, g), lambda wrt: p.sft.vjp(p.x, g, wrt=wrt)),
        (
            ("win_length", "positions", "shape", "S"),
            p.sft.istft_vjp(S, y, 5, N - 5),
            lambda wrt: p.sft.istft_vjp(S, y, 5, N - 5, wrt=wrt),
        ),
    ]:
        for name in names:
            alone = part((name,))
            assert_allclose(getattr(alone, name), getattr(whole, name), rtol=1e-7, atol=1e-9, err_msg=name)
            assert [other for other in names if getattr(alone, other) is not None] == [name]


def test_names_of_the_parameters_of_the_synthesis(rng):
    p = Problem(rng, "onesided", 32, "constant")
    with pytest.raises(ValueError, match=r"wrt=\('x',\) must be a tuple of names among \('S', 'hop', 'positions', "):
        p.sft.istft_vjp(p.sft.stft(p.x), np.ones((2, N)), k1=N, wrt=("x",))


def test_a_window_that_jumps_can_be_differentiated_in_the_transform(rng):
    sft = AdaptiveShortTimeFFT("boxcar", 20.0, 5.0, 1.0)
    S = sft.stft(rng.standard_normal(N))
    y = rng.standard_normal(N)
    assert sft.istft_vjp(S, y, k1=N, wrt=("S",)).S.shape == S.shape
    with pytest.raises(ValueError, match=r"window 'boxcar' cannot be tuned"):
        sft.istft_vjp(S, y, k1=N)


# --- the spectrogram in one pass ----------------------------------------------------------------


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("mode", "mfft"), list(itertools.product(MODES, [31, 32])))
def test_spectrogram_and_its_vjp(mode, mfft, lengths, rng):
    p = Problem(rng, mode, mfft, lengths)
    S = p.sft.stft(p.x, padding="even", k_offset=2)
    P, pull_back = p.sft.spectrogram_and_vjp(p.x, padding="even", k_offset=2)
    assert_allclose(P, np.abs(S) ** 2, rtol=1e-11, atol=1e-13)
    assert_allclose(p.sft.spectrogram(p.x, padding="even", k_offset=2), P, rtol=1e-13, atol=1e-16)
    g = rng.standard_normal(P.shape)
    expected = p.sft.vjp(p.x, 2 * g * S, padding="even", k_offset=2)
    for _ in range(2):  # the stored spectra can be used twice
        found = pull_back(g)
        for name in ("win_length", "positions", "shape", "x"):
            # sums over some hundred terms; for the positions terms of the phase cancel
            scale = np.abs(getattr(expected, name)).max()
            assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-10 * scale, err_msg=name)
    assert pull_back(g, wrt=("x",)).win_length is None


def test_spectrogram_in_single_precision(rng, backend):
    p = Problem(rng, "onesided", 32, "time", backend=backend)
    P, pull_back = p.sft.spectrogram_and_vjp(p.x.astype(np.float32))
    assert P.dtype == np.float32
    exact, pull_exact = p.sft.spectrogram_and_vjp(p.x)
    assert_allclose(P, exact, rtol=1e-4, atol=1e-5)
    g = rng.standard_normal(P.shape)
    gradients, expected = pull_back(g.astype(np.float32)), pull_exact(g)
    assert gradients.x.dtype == np.float32
    assert_allclose(gradients.win_length, expected.win_length, atol=1e-4 * np.abs(expected.win_length).max())


def test_cotangents_of_a_spectrogram(rng):
    p = Problem(rng, "onesided", 32, "constant")
    P, pull_back = p.sft.spectrogram_and_vjp(p.x)
    with pytest.raises(TypeError, match=r"cotangent is complex, but a spectrogram is real"):
        pull_back(P * 1j)
    with pytest.raises(ValueError, match=r"cotangent has shape \(2, 17\), but the transform has shape \(2, 17, 24\)"):
        pull_back(P[..., 0])
    P[1, 3, 2] = np.nan
    with pytest.raises(ValueError, match=r"cotangent has 1 NaN or infinite values of 816, the first at .*\(1, 3, 2\)"):
        pull_back(P)
