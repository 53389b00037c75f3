"""Inverse, frame bounds and dual windows of the transform with one window per frame."""

import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import AdaptiveShortTimeFFT

EPS = np.finfo(float).eps
MODES = [*naive.MODE_SCALINGS]


def covered_framings(rng, n, window_offset=0.0):
    """Framings whose frames overlap by half of the shorter window, so that D varies tenfold at most."""
    hop = 4.37
    steps = rng.uniform(2.5, 5.0, n)
    positions = np.cumsum(steps) - 3.0
    positions = positions[: np.searchsorted(positions, n + 3.0) + 1]
    slices = AdaptiveShortTimeFFT("hann", 17, hop, 1.0, window_offset=window_offset).p_num(n)
    return {
        "length and hop": {"win_length": 12.37, "hop": hop},
        "length per slice": {"win_length": rng.uniform(10, 17, slices), "hop": hop, "max_length": 17},
        "positions": {"win_length": 12.37, "hop": None, "positions": positions},
        "length per position": {
            "win_length": rng.uniform(10, 17, positions.size),
            "hop": None,
            "positions": positions,
        },
    }


FRAMINGS = list(covered_framings(np.random.default_rng(0), 20))


def draw_signal(rng, shape, fft_mode):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if fft_mode in ("twosided", "centered") else x


def naive_settings(transform, n):
    """Arguments of the naive functions for a transform, slices of the whole signal."""
    p0, p1 = transform.p_range(n)
    centres = np.arange(p0, p1) * transform.hop if transform.positions is None else transform.positions
    return {
        "theta": transform.win_length,
        "centres": centres,
        "scale_to": transform.scaling,
        "fs": transform.fs,
        "window_offset": transform.window_offset,
    }


def naive_duals(window, transform, n):
    w = naive.frame_windows(window, n=n, **naive_settings(transform, n))
    return w, w / (w**2).sum(axis=0)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("fft_mode", "scale_to"), MODES)
@pytest.mark.parametrize("mfft", [17, 24])
def test_round_trip(framing, fft_mode, scale_to, mfft, backend, rng):
    for n in (1, 20, 61):
        options = covered_framings(rng, n)[framing]
        for phase_shift in (0, None, 3):
            transform = AdaptiveShortTimeFFT(
                "hann",
                fs=3.0,
                fft_mode=fft_mode,
                scale_to=scale_to,
                mfft=mfft,
                phase_shift=phase_shift,
                backend=backend,
                **options,
            )
            x = draw_signal(rng, n, fft_mode)
            restored = transform.istft(transform.stft(x), k1=n)
            assert restored.dtype == x.dtype
            # Division by D, which varies within a factor of ten, enlarges a few dozen roundings.
            assert_allclose(restored, x, rtol=0, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("fft_mode", ["onesided", "centered"])
def test_round_trip_in_single_precision(framing, fft_mode, backend, rng):
    x = draw_signal(rng, (2, 61), fft_mode)
    x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
    transform = AdaptiveShortTimeFFT(
        "hamming", fs=3.0, fft_mode=fft_mode, backend=backend, **covered_framings(rng, 61)[framing]
    )
    restored = transform.istft(transform.stft(x), k1=61)
    assert restored.dtype == x.dtype
    assert_allclose(restored, x, rtol=0, atol=1e-5 * np.abs(x).max())


@pytest.mark.parametrize(
    "window", ["hann", "blackman", ("gaussian", 6.0), ("kaiser", 8.6), ("tukey", 0.5)], ids=naive.label
)
@pytest.mark.parametrize("window_offset", [0.0, 0.5, -1.3])
def test_round_trip_of_windows(window, window_offset, backend, rng):
    x = rng.standard_normal(61)
    transform = AdaptiveShortTimeFFT(window, 13.6, 2.9, 1.0, window_offset=window_offset, backend=backend)
    assert_allclose(transform.istft(transform.stft(x), k1=61), x, rtol=0, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("f_axis", "t_axis"), [(-2, -1), (0, 1), (1, 0), (-1, 0), (2, 3), (3, 1)])
def test_round_trip_of_channels_and_axes(framing, f_axis, t_axis, backend, rng):
    x = rng.standard_normal((3, 2, 20))
    transform = AdaptiveShortTimeFFT("hann", fs=3.0, backend=backend, **covered_framings(rng, 20)[framing])
    S = np.moveaxis(transform.stft(x), (-2, -1), (f_axis, t_axis))
    restored = transform.istft(S, k1=20, f_axis=f_axis, t_axis=t_axis)
    # As in SciPy, time takes the place of the frequency axis where there is one.
    place = f_axis % 4 if f_axis % 4 < 3 else t_axis % 4
    assert_allclose(np.moveaxis(restored, place, -1), x, rtol=0, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("framing", FRAMINGS)
def test_part_of_the_signal(framing, backend, rng):
    x = rng.standard_normal(61)
    transform = AdaptiveShortTimeFFT("hann", fs=3.0, backend=backend, **covered_framings(rng, 61)[framing])
    S = transform.stft(x)
    for k0, k1 in [(0, 61), (5, 40), (17, 18), (30, 61)]:
        assert_allclose(transform.istft(S, k0, k1), x[k0:k1], rtol=0, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("fft_mode", "scale_to"), MODES)
@pytest.mark.parametrize("mfft", [17, 20])
def test_modified_spectra_give_the_nearest_signal(framing, fft_mode, scale_to, mfft, backend, rng):
    n = 25
    transform = AdaptiveShortTimeFFT(
        "hann",
        fs=3.0,
        fft_mode=fft_mode,
        scale_to=scale_to,
        mfft=mfft,
        backend=backend,
        **covered_framings(rng, n)[framing],
    )
    S = transform.stft(draw_signal(rng, n, fft_mode))
    S *= rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)
    kept = S.copy()
    settings = naive_settings(transform, n)
    expected = naive.istft(S, "hann", n=n, mfft=mfft, fft_mode=fft_mode, **settings)
    # lstsq by singular values; the frame's condition number is below ten.
    assert_allclose(transform.istft(S, k1=n), expected, rtol=0, atol=2000 * EPS * np.abs(expected).max())
    assert_array_equal(S, kept)


def test_samples_beyond_the_signal_come_back_as_zeros(backend, rng):
    """By default all samples that a slice touches are returned, as in SciPy."""
    x = rng.standard_normal(61)
    transform = AdaptiveShortTimeFFT("hamming", 12.4, 4.4, 1.0, backend=backend)
    restored = transform.istft(transform.stft(x))
    assert 61 < restored.size <= transform.k_max(61)
    assert_allclose(restored, np.pad(x, (0, restored.size - 61)), rtol=0, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("fft_mode", ["onesided", "twosided"])
@pytest.mark.parametrize("scale_to", [None, "psd"])
def test_frame_bounds(framing, fft_mode, scale_to, rng):
    for n in (1, 7, 40):
        options = covered_framings(rng, n)[framing]
        transform = AdaptiveShortTimeFFT("hamming", fs=3.0, mfft=19, fft_mode=fft_mode, scale_to=scale_to, **options)
        w, _ = naive_duals("hamming", transform, n)
        D = 19 * (w**2).sum(axis=0)
        # Windows evaluated as polynomials are accurate to 2e-14 of their peak.
        assert_allclose(transform.frame_bounds(n), (D.min(), D.max()), rtol=500 * EPS)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_frame_bounds_bound_the_energy(framing, rng):
    """A |x|**2 <= sum |S|**2 <= B |x|**2 over all bins, and both are attained by unit impulses."""
    n = 30
    transform = AdaptiveShortTimeFFT("hann", fs=3.0, fft_mode="twosided", **covered_framings(rng, n)[framing])
    A, B = transform.frame_bounds(n)
    energies = [np.sum(np.abs(transform.stft(e)) ** 2) for e in np.eye(n)]
    assert min(energies) == pytest.approx(A, rel=1000 * EPS)
    assert max(energies) == pytest.approx(B, rel=1000 * EPS)
    x = rng.standard_normal(n)
    assert A < np.sum(np.abs(transform.stft(x)) ** 2) / np.sum(x**2) < B


def in_slots(transform, rows, n):
    """Rows of n samples, cut to the m_num samples that begin at ceil(t_p + window_offset - m_num/2)."""
    positions = naive_settings(transform, n)["centres"] + transform.window_offset
    starts = np.ceil(positions - transform.m_num / 2).astype(int)
    wide = np.pad(rows, ((0, 0), (200, 200)))
    return np.array([row[200 + k : 200 + k + transform.m_num] for row, k in zip(wide, starts, strict=True)])


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("window_offset", [0.0, 0.5])
@pytest.mark.parametrize("scale_to", [None, "magnitude"])
def test_windows_and_dual_windows(framing, window_offset, scale_to, rng):
    """Compared within the signal only."""
    n = 40
    transform = AdaptiveShortTimeFFT(
        "hann",
        fs=3.0,
        scale_to=scale_to,
        window_offset=window_offset,
        **covered_framings(rng, n, window_offset)[framing],
    )
    w, duals = naive_duals("hann", transform, n)
    inside = in_slots(transform, np.ones_like(w), n)
    for actual, expected in ((transform.windows(n), w), (transform.dual_windows(n), duals)):
        assert actual.shape == (len(w), transform.m_num)
        atol = 500 * EPS * np.abs(expected).max()
        assert_allclose(actual * inside, in_slots(transform, expected, n), rtol=0, atol=atol)


@pytest.mark.parametrize("window", ["hann", "hamming"])
def test_lower_frame_bound_of_uncovered_samples_is_zero(window):
    transform = AdaptiveShortTimeFFT(window, 8.0, None, 1.0, positions=[4.0, 20.0])
    A, B = transform.frame_bounds(24)
    assert A == 0
    assert B > 1
    assert not transform.invertible


@pytest.mark.parametrize(
    ("settings", "invertible"),
    [
        ({"win_length": 12.4, "hop": 4.4}, True),
        ({"win_length": 4.4, "hop": 12.4}, False),
        ({"win_length": np.full(20, 12.4), "hop": 4.4}, True),
        ({"win_length": 8.5, "hop": None, "positions": [2.0, 6.0, 10.0]}, True),
        ({"win_length": 8.5, "hop": None, "positions": [2.0, 6.0, 30.0]}, False),
    ],
    ids=naive.label,
)
def test_invertible(settings, invertible):
    assert AdaptiveShortTimeFFT("hann", fs=1.0, **settings).invertible is invertible


def test_uncovered_samples_are_named(backend, rng):
    """Windows of 8 around 4 and 20: samples 0 (where Hann is 0) and 8 to 16 are out of reach."""
    transform = AdaptiveShortTimeFFT("hann", 8.0, None, 1.0, positions=[4.0, 20.0], backend=backend)
    S = transform.stft(rng.standard_normal(24))
    with pytest.raises(ValueError, match=r"\b10\b.*\b0\b.*\b8\b.*\b16\b"):
        transform.istft(S, k1=24)
    # A covered part can be reconstructed.
    assert transform.istft(S, 1, 8).shape == (7,)
    with pytest.raises(ValueError, match=r"\b8\b"):
        transform.istft(S, 1, 9)


def test_gap_of_a_hop_beyond_the_window(backend, rng):
    transform = AdaptiveShortTimeFFT("hamming", 6.0, 10.0, 1.0, backend=backend)
    S = transform.stft(rng.standard_normal(40))
    with pytest.raises(ValueError, match=r"\b3\b.*\b6\b"):
        transform.istft(S, k1=40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f_axis": -1}, "f_axis"),
        ({"k0": 9, "k1": 9}, "k0"),
        ({"k1": 10_000}, "k1"),
        ({"k0": -500}, "k0"),
    ],
    ids=naive.label,
)
def test_bad_ranges_and_axes(change, message, rng):
    transform = AdaptiveShortTimeFFT("hann", 12.0, 4.0, 1.0)
    S = transform.stft(rng.standard_normal(40))
    with pytest.raises(ValueError, match=message):
        transform.istft(S, **change)


def test_wrong_shapes_of_spectra(rng):
    transform = AdaptiveShortTimeFFT("hann", [8.0, 9.0, 8.5], None, 1.0, positions=[1.0, 4.0, 7.0])
    S = transform.stft(rng.standard_normal(8))
    with pytest.raises(ValueError, match="f_pts"):
        transform.istft(S[:-1], k1=8)
    with pytest.raises(ValueError, match=r"3"):
        transform.istft(S[:, :-1], k1=8)
