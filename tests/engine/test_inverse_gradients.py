"""The gradient of the inverse against central differences."""

import numpy as np
import pytest

from adaptstft import AdaptiveShortTimeFFT

N = 90


def make(rng, kind, window, **settings):
    positions = np.sort(rng.uniform(-2, N + 1, 24))
    placed = {"positions": positions} if kind == "positions" else {}
    length = rng.uniform(22, 30, positions.size) if kind == "positions" else 25.3
    arguments = {"window": window, "win_length": length, "hop": None if placed else 4.7, "fs": 2.0}
    return arguments | {"max_length": 31, "scale_to": "psd"} | placed | settings


@pytest.mark.parametrize("mode", ["onesided", "onesided2X", "twosided", "centered"])
@pytest.mark.parametrize("mfft", [31, 36])
@pytest.mark.parametrize("kind", ["hop", "positions"])
@pytest.mark.parametrize("window", ["hann", ("kaiser", 14.0)])
def test_istft_vjp(mode, mfft, kind, window, backend, rng):
    arguments = make(rng, kind, window, fft_mode=mode, mfft=mfft, backend=backend)
    sft = AdaptiveShortTimeFFT(**arguments)
    x = rng.standard_normal((2, N))
    S = sft.stft(x)
    S = S + 0.3 * (rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape))  # not a transform of any signal
    g = rng.standard_normal((2, N - 5))
    if not sft.onesided_fft:
        g = g + 1j * rng.standard_normal(g.shape)
    gradient = sft.istft_vjp(S, g, 2, N - 3)

    def loss(S, **changed):
        return np.real(np.vdot(g, AdaptiveShortTimeFFT(**arguments | changed).istft(S, 2, N - 3)))

    step = 1e-6

    def check(exact, plus, minus):
        # central differences of values of order one keep ten digits
        assert exact == pytest.approx((plus - minus) / (2 * step), rel=1e-6, abs=1e-7 * abs(plus) / step * 1e-2)

    d = rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)
    check(np.real(np.vdot(gradient.S, d)), loss(S + step * d), loss(S - step * d))
    win_length = np.asarray(arguments["win_length"])
    d = rng.standard_normal(win_length.shape)
    moved = [loss(S, win_length=win_length + sign * step * d) for sign in (1, -1)]
    check(np.sum(gradient.win_length * d), *moved)
    if kind == "positions":
        d = rng.standard_normal(24)
        moved = [loss(S, positions=arguments["positions"] + sign * step * d) for sign in (1, -1)]
        check(gradient.positions @ d, *moved)
    else:
        check(gradient.hop, *[loss(S, hop=4.7 + sign * step) for sign in (1, -1)])
    if window != "hann":
        moved = [loss(S, window=("kaiser", 14.0 + sign * step)) for sign in (1, -1)]
        check(gradient.shape[0], *moved)


def test_the_transform_of_a_signal_does_not_depend_on_the_windows(rng):
    """istft(stft(x)) is x for all windows, so the gradients through both with respect to the windows cancel."""
    sft = AdaptiveShortTimeFFT(**make(rng, "positions", "hann"))
    x = rng.standard_normal(N)
    S = sft.stft(x)
    g = rng.standard_normal(N)
    back = sft.istft_vjp(S, g, k1=N)
    forward = sft.vjp(x, back.S)
    scale = np.abs(back.win_length).max()
    np.testing.assert_allclose(back.win_length + forward.win_length, 0, atol=1e-10 * scale)
    np.testing.assert_allclose(back.positions + forward.positions, 0, atol=1e-9 * np.abs(back.positions).max())
    np.testing.assert_allclose(forward.x, g, atol=1e-10)


@pytest.mark.parametrize(("f_axis", "t_axis"), [(-2, -1), (0, 2), (2, 0)])
def test_axes(f_axis, t_axis, rng):
    sft = AdaptiveShortTimeFFT("hann", 25.3, 4.7, 2.0)
    S = sft.stft(rng.standard_normal((3, N)))
    moved = np.moveaxis(S, (-2, -1), (f_axis, t_axis))
    g = rng.standard_normal((3, N))
    plain = sft.istft_vjp(S, g, k1=N)
    shape = sft.istft(moved, k1=N, f_axis=f_axis, t_axis=t_axis).shape
    turned = sft.istft_vjp(moved, g if shape == g.shape else g.T, k1=N, f_axis=f_axis, t_axis=t_axis)
    np.testing.assert_allclose(np.moveaxis(turned.S, (f_axis, t_axis), (-2, -1)), plain.S)
    with pytest.raises(ValueError, match="cotangent has shape"):
        sft.istft_vjp(S, g[:, 1:], k1=N)
