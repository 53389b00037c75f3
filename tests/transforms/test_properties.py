"""Properties for any signal and any valid lengths and positions; Hypothesis searches for counterexamples."""

import naive
import numpy as np
import pytest
from hypothesis import assume, example, given, target
from hypothesis import strategies as st
from losses import CLASSES
from numpy.testing import assert_allclose

from adaptstft import AdaptiveShortTimeFFT, criteria

# rounding of sums of products of order one, relative to the largest
TOL = 500 * np.finfo(float).eps
WINDOWS = ["hann", "hamming", "blackman", ("gaussian", 6.0), ("kaiser", 8.6), ("tukey", 0.5), ("tukey", 1.0)]


def reals(low, high):
    """Numbers in a range, often integers and halves, which put the end of a window on a sample."""
    halves = st.integers(int(np.ceil(2 * low)), int(2 * high)).map(lambda k: k / 2)
    return halves | st.floats(low, high, allow_subnormal=False)


@st.composite
def signals(draw, max_length, complex_x=False):
    """Noise of any length; its values come from a random seed."""
    n = draw(st.integers(1, max_length))
    channels = draw(st.sampled_from([(), (1,), (2,), (2, 3)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal((*channels, n))
    return x + 1j * rng.standard_normal(x.shape) if complex_x else x


@st.composite
def transforms(draw, n, max_length=40.0, min_overlap=None):
    """A window and a transform for signals of n samples.

    With `min_overlap` neighbouring windows overlap and every sample is far from the ends of some window, so the
    transform is invertible.
    """
    window = draw(st.sampled_from(WINDOWS))
    fft_mode, scale_to = draw(st.sampled_from(naive.MODE_SCALINGS))
    varies, placed = draw(st.booleans()), draw(st.booleans())
    longest = draw(reals(1.0 if min_overlap is None else 6.0, max_length))
    shortest = 1.0 if min_overlap is None else longest / 2
    hop = draw(reals(0.3, 2 * longest) if min_overlap is None else reals(0.5, shortest * (1 - min_overlap)))
    assume(hop > 0.25)
    m_num = int(np.ceil(longest))
    settings = {
        "fs": draw(st.sampled_from([1.0, 0.01, 44100.0])),
        "fft_mode": fft_mode,
        "scale_to": scale_to,
        "max_length": m_num,
        "mfft": m_num + draw(st.integers(0, 9)),
    }
    settings["phase_shift"] = draw(st.none() | st.integers(1 - settings["mfft"], settings["mfft"] - 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if placed:
        steps = rng.uniform(0.3 * hop, hop, int(n / (0.3 * hop)) + 3)
        positions = np.cumsum(steps) - hop
        settings |= {"hop": None, "positions": positions[: np.searchsorted(positions, n) + 1]}
        p_num = settings["positions"].size
    else:
        settings["hop"] = hop
        p_num = AdaptiveShortTimeFFT(window, m_num if varies else longest, hop, 1.0).p_num(n)
    length = rng.uniform(shortest, longest, p_num) if varies else longest
    return window, AdaptiveShortTimeFFT(window, length, **settings)


def with_imaginary_part(transform, x):
    """The signal, complex if the transform takes complex signals."""
    if transform.onesided_fft:
        return x
    return x + 1j * x[..., ::-1]


def rounding_decides(transform, n):
    """Whether rounding determines if a window covers a sample near its end. Multiples of 1/2 have no rounding."""
    first, end = transform.p_range(n)
    lengths = np.ravel(transform.win_length)
    hops = np.arange(first - 1, end + 1) if lengths.size == 1 else np.arange(first, end)
    positions = transform.hop * hops if transform.positions is None else transform.positions
    ends = np.concatenate([positions - lengths / 2, positions + lengths / 2])
    exact = np.all(2 * positions == np.round(2 * positions)) and np.all(2 * ends == np.round(2 * ends))
    return not exact and bool(np.any(np.abs(ends - np.round(ends)) < 1e-9))


def test_rounding_decides_at_the_end_of_a_window():
    assert rounding_decides(AdaptiveShortTimeFFT("hamming", 1.2, 1.2, 1.0), 10)  # 9 - 7 * 1.2 is 0.6
    assert not rounding_decides(AdaptiveShortTimeFFT("hamming", 1.23, 1.2, 1.0), 10)
    assert not rounding_decides(AdaptiveShortTimeFFT("hamming", 3.0, 0.5, 1.0), 10)


@given(st.data())
def test_transform_is_the_naive_sum(data):
    x = data.draw(signals(40))
    window, transform = data.draw(transforms(x.shape[-1], max_length=20.0))
    assume(transform.window.end_value == 0 or not rounding_decides(transform, x.shape[-1]))
    x = with_imaginary_part(transform, x)
    padding = data.draw(st.sampled_from(["zeros", "edge", "even", "odd"]))
    k_offset = data.draw(st.integers(-50, 50))
    S = transform.stft(x, padding=padding, k_offset=k_offset)
    expected = naive.stft_of(transform, window, x, padding=padding, k_offset=k_offset)
    # each repetition of the odd extension of a short signal adds its rise
    gain = 1 + 100 * (padding == "odd")
    scale = max(np.abs(expected).max(), np.abs(naive_scale(transform, window)) * np.abs(x).max() * gain)
    assert_allclose(S, expected, rtol=0, atol=TOL * scale)


def naive_scale(transform, window):
    """Largest contribution of a sample of size one to a bin."""
    lengths = np.ravel(transform.win_length)
    factors = [naive.scale_factor(window, win_length, transform.scaling, transform.fs) for win_length in lengths]
    return 2 * max(factors)


@given(st.data())
@example(data=None)
def test_shapes_and_kinds(data):
    if data is None:  # the largest case
        x, transform = np.ones((2, 5000), np.float32), AdaptiveShortTimeFFT("hann", 64.5, 3.3, 1.0)
    else:
        x = data.draw(signals(5000))
        _, transform = data.draw(transforms(x.shape[-1], max_length=300.0))
        assume(transform.p_num(x.shape[-1]) * transform.f_pts * x.size / x.shape[-1] < 1_000_000)
        x = with_imaginary_part(transform, x)
        kinds = [np.float32, np.float64, ">f8", np.int16] if transform.onesided_fft else [np.complex64, ">c16"]
        x = (10 * x).astype(data.draw(st.sampled_from(kinds)))
    n = x.shape[-1]
    S = transform.stft(x)
    single = x.dtype in (np.float32, np.complex64)
    assert S.shape == (*x.shape[:-1], transform.f_pts, transform.p_num(n))
    assert S.dtype == (np.complex64 if single else np.complex128)
    assert np.all(np.isfinite(S))
    assert transform.t(n).shape == (transform.p_num(n),)
    assert transform.f.shape == (transform.f_pts,)
    A, B = transform.frame_bounds(n)
    assert 0 <= A <= B


@given(st.data())
def test_round_trip_where_frames_overlap(data):
    x = data.draw(signals(400))
    n = x.shape[-1]
    _, transform = data.draw(transforms(n, min_overlap=0.6))
    x = with_imaginary_part(transform, x)
    A, B = transform.frame_bounds(n)
    assert A > 0
    target(B / A)
    restored = transform.istft(transform.stft(x), k1=n)
    assert restored.dtype == x.dtype
    # the division by the overlap amplifies rounding errors by at most sqrt(B / A)
    assert_allclose(restored, x, rtol=0, atol=TOL * np.sqrt(B / A) * np.abs(x).max())


@given(st.data())
def test_round_trip_is_exact_or_refused(data):
    """For any frames: istft restores all samples, or raises because it cannot restore some."""
    x = data.draw(signals(100))
    n = x.shape[-1]
    _, transform = data.draw(transforms(n))
    x = with_imaginary_part(transform, x)
    A, B = transform.frame_bounds(n)
    S = transform.stft(x)
    if A > 1e-12 * B:
        restored = transform.istft(S, k1=n)
        assert_allclose(restored, x, rtol=0, atol=TOL * np.sqrt(B / A) * np.abs(x).max())
    elif A == 0:
        with pytest.raises(ValueError, match=r"k1=|no window covers"):
            transform.istft(S, k1=n)


@given(st.data())
def test_adjoint(data):
    x = data.draw(signals(200))
    _, transform = data.draw(transforms(x.shape[-1]))
    x = with_imaginary_part(transform, x)
    padding = data.draw(st.sampled_from(["zeros", "edge", "even", "odd"]))
    S = transform.stft(x, padding=padding)
    rng = np.random.default_rng(0)
    G = rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)
    back = transform.vjp(x, G, wrt=("x",), padding=padding).x
    forward = np.sum(np.real(np.conj(G) * S))
    size = np.linalg.norm(G) * np.linalg.norm(S)
    # both sides are sums of the same products in different orders, and the odd extension cancels some
    assert np.sum(np.real(np.conj(back) * x)) == pytest.approx(forward, rel=0, abs=100 * TOL * size)


@given(st.data(), st.sampled_from(sorted(CLASSES)), st.sampled_from(["global", "frame"]))
def test_criteria_are_finite_with_their_gradients(data, name, scope):
    x = data.draw(signals(300))
    _, transform = data.draw(transforms(x.shape[-1], min_overlap=0.3))
    x = with_imaginary_part(transform, x)
    value, gradient = transform.value_and_grad(x, criteria.resolve(name, scope))
    assert np.isfinite(value)
    for part in (gradient.win_length, gradient.positions, gradient.x):
        assert np.all(np.isfinite(part))
    assert np.shape(gradient.win_length) == np.shape(transform.win_length)
    assert gradient.x.shape == x.shape


@given(st.floats(2, 200), st.floats(0.5, 100), st.integers(1, 5000), st.sampled_from(WINDOWS))
def test_slices_are_those_that_touch(win_length, hop, n, window):
    transform = AdaptiveShortTimeFFT(window, win_length, hop, 1.0)
    assume(not rounding_decides(transform, n))
    assert transform.p_range(n) == naive.slice_range(window, win_length, hop, n)
