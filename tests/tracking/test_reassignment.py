"""Reassignment and synchrosqueezing: the cases in which theory gives the exact result, for all windows and modes."""

import numpy as np
import pytest
from naive import label
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import ShortTimeFFT

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, reassign, synchrosqueeze

FS = 100.0
N = 500
TIME = np.arange(N) / FS
EPS = np.finfo(float).eps
#: The window ends with exp(-18) = 1.5e-8 of its peak; its derivative does not include this jump.
GAUSSIAN = ("gaussian", 12.0)
JUMP = np.exp(-18.0)


def chirp(f0, rate, amplitude=1.0):
    return amplitude * np.exp(2j * np.pi * (f0 * TIME + rate * TIME**2 / 2 + 0.1))


def lengths(kind, sft):
    """Window lengths of every kind of shape."""
    rng = np.random.default_rng(4)
    shapes = {"constant": (), "frame": (sft.p_num(N),), "frequency": (sft.f_pts, 1), "bin": (sft.f_pts, sft.p_num(N))}
    return rng.uniform(40.0, 88.0, shapes[kind])


def transform(kind="constant", window=GAUSSIAN, **options):
    settings = {"mfft": 128, "fft_mode": "centered", "max_length": 90} | options
    positions = np.arange(2.0, N, 7.3)
    sft = AdaptiveShortTimeFFT(window, 64.0, None, FS, positions=positions, **settings)
    return sft.remade(win_length=lengths(kind, sft))


def inner(result):
    """Mask of the slices whose windows lie within the signal."""
    return (result.t > 0.5) & (result.t < N / FS - 0.5)


def near(result, frequency, distance=1.5):
    """Mask of the bins near a component, where the window's spectrum is not yet rounding."""
    return (np.abs(result.f[:, None] - frequency) < distance) & inner(result)


KINDS = ["constant", "frame", "frequency", "bin"]


@pytest.mark.parametrize("options", [{}, {"mfft": 97}, {"fft_mode": "twosided"}, {"phase_shift": None}], ids=label)
@pytest.mark.parametrize("kind", KINDS)
def test_tone_is_put_at_its_frequency(kind, options):
    sft = transform(kind, **options)
    x = chirp(13.37, 0.0)
    reassigned = reassign(sft, x)
    where = near(reassigned, 13.37)
    assert where.sum() > 100
    for frequency in (
        reassigned.f_hat,
        synchrosqueeze(sft, x, order=1).frequency,
        synchrosqueeze(sft, x).frequency,
    ):
        # the jump at the ends, over the window's spectrum at 1.5 Hz, which is at least a thousandth of its peak
        assert_allclose(frequency[where], 13.37, atol=1e3 * JUMP * FS / 40)


@pytest.mark.parametrize("options", [{"scale_to": "magnitude"}, {"scale_to": "psd", "phase_shift": 5}], ids=label)
@pytest.mark.parametrize("kind", KINDS)
def test_second_order_finds_linear_chirps_and_their_rates(kind, options):
    sft = transform(kind, **options)
    squeezed = synchrosqueeze(sft, chirp(5.0, 4.0))
    law = 5.0 + 4.0 * squeezed.t
    where = near(squeezed, law)
    assert_allclose(squeezed.frequency[where], np.broadcast_to(law, where.shape)[where], atol=1e3 * JUMP * FS / 40)
    assert_allclose(squeezed.chirp_rate[where], 4.0, atol=1e4 * JUMP * FS / 40)
    first = synchrosqueeze(sft, chirp(5.0, 4.0), order=1)
    assert np.abs(first.frequency - law)[where].max() > 0.01  # the first order is not exact for chirps
    assert first.chirp_rate is None


@pytest.mark.parametrize("kind", KINDS)
def test_gaussian_reassignment_puts_linear_chirps_on_their_line(kind):
    r = reassign(transform(kind), chirp(5.0, 4.0))
    where = near(r, 5.0 + 4.0 * r.t)
    assert_allclose(r.f_hat[where], 5.0 + 4.0 * r.t_hat[where], atol=1e3 * JUMP * FS / 40)
    assert np.abs(r.t_hat - r.t)[where].max() > 0.002  # the energy is not at the times of the frames


@pytest.mark.parametrize("window_offset", [0.0, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_impulse_is_put_at_its_time(kind, window_offset):
    x = np.zeros(N)
    x[217] = 3.0
    r = reassign(transform(kind, "hann", window_offset=window_offset), x)
    significant = r.P / r.P.max() > 1e-20
    assert significant.sum() > 100
    # differences of times of up to 5 s, divided by windows of down to 1e-10 of their peak
    assert_allclose(r.t_hat[significant], 2.17, atol=1e3 * EPS * N / FS / 1e-10)
    unmoved = np.broadcast_to(r.t + window_offset / FS, r.P.shape)
    assert_allclose(r.t_hat[r.P == 0], unmoved[r.P == 0], rtol=2 * EPS)


def test_definition_with_direct_sums():
    """Times and frequencies of the docstring, from the derivative of Hann's formula."""
    x = np.random.default_rng(0).standard_normal(N)
    win_length, centre, mfft = 61.7, 203.4, 80
    sft = AdaptiveShortTimeFFT("hann", win_length, None, FS, positions=[centre], mfft=mfft)
    s = np.arange(N) - centre
    inside = (s >= -win_length / 2) & (s < win_length / 2)
    w = np.where(inside, 0.5 + 0.5 * np.cos(2 * np.pi * s / win_length), 0.0)
    dw = np.where(inside, -np.pi / win_length * np.sin(2 * np.pi * s / win_length), 0.0)
    e = np.exp(-2j * np.pi * np.outer(np.arange(mfft // 2 + 1), s) / mfft)
    V, U, D = e @ (x * w), e @ (x * w * s), e @ (x * dw)
    r = reassign(sft, x)
    assert_allclose(r.P[:, 0], np.abs(V) ** 2, rtol=1e-10)
    assert_allclose(r.t_hat[:, 0], (centre + (U / V).real) / FS, rtol=1e-10)
    assert_allclose(r.f_hat[:, 0], sft.f - FS / (2 * np.pi) * (D / V).imag, atol=1e-10 * FS)


# ------------------------------------------------------------------ sums and inverses


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("mfft", [96, 97])
@pytest.mark.parametrize("fft_mode", ["onesided", "onesided2X", "twosided", "centered"])
def test_columns_sum_to_the_signal_and_the_inverse_is_exact(fft_mode, mfft, order):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 200))
    if not fft_mode.startswith("onesided"):
        x = x + 1j * rng.standard_normal(x.shape)
    win_length = rng.uniform(40.0, 90.0, 200)
    options = {"positions": np.arange(200.0), "mfft": mfft, "fft_mode": fft_mode, "scale_to": "psd"}
    squeezed = synchrosqueeze(AdaptiveShortTimeFFT("hann", win_length, None, FS, **options), x, order=order)
    total = squeezed.S.sum(axis=-2)
    # sums of mfft terms of the size of the signal
    assert_allclose(total if np.iscomplexobj(x) else total.real, x, atol=100 * mfft * EPS)
    assert_allclose(squeezed.inverse(), x, atol=100 * EPS * np.abs(x).max())
    assert squeezed.inverse().dtype == x.dtype


@pytest.mark.parametrize("options", [{}, {"phase_shift": None}, {"phase_shift": 7}, {"window_offset": 0.5}], ids=label)
@pytest.mark.parametrize("kind", KINDS)
def test_tone_keeps_its_amplitude_whatever_the_phase(kind, options):
    squeezed = synchrosqueeze(transform(kind, "blackman", **options), chirp(12.5, 0.0, amplitude=2.0), order=1)
    row = np.abs(squeezed.S[np.argmin(np.abs(squeezed.f - 12.5))])[inner(squeezed)]
    # The ratios of the bins near the tone are exact, those of its sidelobes are not. Windows that differ at random from
    # one frequency to the next are the worst case for a sum over frequencies.
    assert_allclose(row, 2.0, rtol=1e-3 if kind in ("constant", "frame") else 0.5)


def test_per_bin_inverse_is_exact_to_the_tolerance():
    x = np.random.default_rng(3).standard_normal(N)
    squeezed = synchrosqueeze(transform("frequency", "hann", fft_mode="onesided"), x)
    assert_allclose(squeezed.inverse(), x, atol=1e-8)


def test_band_around_a_ridge_is_the_component():
    low, high = chirp(8.0, 3.0).real, 0.5 * chirp(30.0, 2.0).real
    sft = transform("frame", "hann", fft_mode="onesided")
    squeezed = synchrosqueeze(sft, low + high)
    middle = slice(60, -60)
    for part, law in ((low, 8.0 + 3.0 * squeezed.t), (high, 30.0 + 2.0 * squeezed.t)):
        back = squeezed.inverse(law, width=6.0)
        # distant sidelobes have other frequencies: a few thousandths of the energy
        assert np.linalg.norm((back - part)[middle]) < 0.03 * np.linalg.norm(part[middle])
        assert_allclose(squeezed.inverse(np.stack([law]).squeeze(), width=6.0), back)


def test_band_of_a_two_sided_transform_wraps_around():
    x = np.exp(2j * np.pi * 49.9 * TIME)
    squeezed = synchrosqueeze(transform("constant", "hann"), x, order=1)
    assert_allclose(squeezed.inverse(-50.1, width=2.0)[60:-60], x[60:-60], atol=0.02)
    assert np.abs(squeezed.inverse(20.0, width=2.0)).max() < 0.02


def test_channels_axes_and_single_precision():
    x = np.random.default_rng(2).standard_normal((3, N))
    sft = transform("frame", "hann", fft_mode="onesided")
    one, many = synchrosqueeze(sft, x[1]), synchrosqueeze(sft, x.T, axis=0)
    assert many.S.shape == (3, sft.f_pts, sft.p_num(N))
    assert_allclose(many.S[1], one.S, atol=1e-13)
    assert_allclose(many.chirp_rate[1], one.chirp_rate, rtol=1e-9)
    assert_allclose(many.inverse(), x.T, atol=1e-13)
    ridge = np.array([[10.0], [20.0], [30.0]]) + 0 * many.t
    assert_allclose(many.inverse(ridge, 5.0)[:, 1], one.inverse(20.0, 5.0), atol=1e-13)
    r = reassign(sft, x.reshape(3, 1, N))
    assert r.P.shape == r.t_hat.shape == r.f_hat.shape == (3, 1, sft.f_pts, sft.p_num(N))
    assert_allclose(r.P[1, 0], sft.spectrogram(x[1]), rtol=1e-10)
    single = x.astype(np.float32)
    squeezed = synchrosqueeze(sft, single)
    assert squeezed.S.dtype == np.complex64 and squeezed.inverse().dtype == np.float32
    assert squeezed.frequency.dtype == np.float64
    assert_allclose(squeezed.S, synchrosqueeze(sft, single.astype(float)).S, atol=4 * np.finfo(np.float32).eps)
    assert reassign(sft, single).P.dtype == np.float32
    assert synchrosqueeze(transform("frame"), single.astype(np.complex64)).inverse().dtype == np.complex64


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_silence_stays_where_it_is(kind):
    sft = transform(kind, "hann")
    x = np.zeros((2, N))
    x[1, 300:] = 1.0
    r, s = reassign(sft, x), synchrosqueeze(sft, x)
    for values in (r.P, r.t_hat, r.f_hat, s.S, s.frequency, s.chirp_rate, s.inverse()):
        assert np.all(np.isfinite(values))
    assert_array_equal(r.P[0], 0)
    assert_array_equal(r.f_hat[0], np.broadcast_to(sft.f[:, None], r.P[0].shape))
    assert_allclose(r.t_hat[0], np.broadcast_to(r.t, r.P[0].shape), rtol=1e-14)
    assert_array_equal(s.frequency[0], np.broadcast_to(sft.f[:, None], r.P[0].shape))
    assert_array_equal(s.chirp_rate[0], 0)


def test_transform_of_scipy():
    """A periodic window of odd length is centred half a sample after the time of its slice."""
    SFT = ShortTimeFFT.from_window("hann", FS, nperseg=65, noverlap=64, mfft=80)
    x = chirp(20.0, 3.0).real
    sft = AdaptiveShortTimeFFT.from_scipy(SFT, "hann")
    squeezed = synchrosqueeze(sft, x)
    law = 20.0 + 3.0 * (squeezed.t + 0.5 / FS)
    where = near(squeezed, law, 0.7)
    # Hann's spectrum falls like 1/f**3, so that sampling and negative frequencies leave 1e-3 of a cell of 1.5 Hz
    assert_allclose(squeezed.frequency[where], np.broadcast_to(law, where.shape)[where], atol=3e-3)
    assert_allclose(squeezed.inverse(), x, atol=1e-13)


def test_picture_collects_the_energy():
    sft = transform("frame", fft_mode="twosided")
    r = reassign(sft, np.stack([chirp(5.0, 4.0), chirp(-30.0, 2.0)]))
    grid_t, grid_f = np.arange(0.0, 5.01, 0.1), np.arange(-50.0, 50.1, 0.5)
    Z = r.picture(grid_t, grid_f)
    assert Z.shape == (2, grid_f.size, grid_t.size)
    inside = (r.t_hat > -0.05) & (r.t_hat < 5.05) & (np.abs(r.f_hat) < 50.25)
    assert_allclose(Z.sum(axis=(1, 2)), np.sum(r.P * inside, axis=(1, 2)), rtol=1e-12)
    peaks = grid_f[Z[:, :, 10:40].argmax(axis=1)]
    assert_allclose(peaks, np.stack([5.0 + 4.0 * grid_t, -30.0 + 2.0 * grid_t])[:, 10:40], atol=0.5)
    assert r.picture().shape == r.P.shape
    edge = np.float64(5.0)
    one = adaptstft.Reassigned(np.ones((1, 1)), np.full((1, 1), edge), np.full((1, 1), 0.25), r.t, r.f)
    assert one.picture([3.0, 4.0], [0.0, 0.5]).sum() == 0
    assert_array_equal(one.picture([4.0, 4.75], [0.0, 0.6]), [[0.0, 1.0], [0.0, 0.0]])


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize("use", [reassign, synchrosqueeze], ids=label)
@pytest.mark.parametrize(
    ("sft", "x", "error", "message"),
    [
        (None, np.ones(9), TypeError, r"sft=NoneType must be an AdaptiveShortTimeFFT, such as the sft of"),
        (transform(), np.zeros(0), ValueError, r"x is empty"),
        (transform(), [0.0, np.nan], ValueError, r"x has 1 NaN or infinite values of 2, the first at index 1"),
        (transform(fft_mode="onesided"), np.ones(9, complex), ValueError, r"x is complex"),
        (
            transform(window="boxcar"),
            np.ones(9),
            ValueError,
            r"window 'boxcar' is not continuous, so its derivative does not",
        ),
    ],
    ids=["transform", "empty", "nan", "complex", "window"],
)
def test_bad_arguments(use, sft, x, error, message):
    with pytest.raises(error, match=message):
        use(sft, x)


def test_bad_options():
    sft, x = transform(), np.ones(N)
    with pytest.raises(ValueError, match=r"order=3 must be one of 1, 2"):
        synchrosqueeze(sft, x, order=3)
    hollow = transform(window=lambda u: u**2 * (0.25 - u**2))
    with pytest.raises(ValueError, match=r"window 'callable' is 0 at its centre: it must be positive"):
        synchrosqueeze(hollow, x)
    squeezed = synchrosqueeze(sft, x)
    with pytest.raises(ValueError, match=r"frequency=3.0 and width=None must be given together"):
        squeezed.inverse(3.0)
    with pytest.raises(ValueError, match=r"width=0 must be greater than 0 Hz"):
        squeezed.inverse(3.0, 0)
    with pytest.raises(ValueError, match=r"frequency has shape \(3,\): it must be one number, or one for each frame"):
        squeezed.inverse([1.0, 2.0, 3.0], 1.0)
    r = reassign(sft, x)
    with pytest.raises(ValueError, match=r"t has shape \(2,\): it must be 1-D and increasing"):
        r.picture([1.0, 0.0])
    with pytest.raises(ValueError, match=r"f=\[1.0\] must have at least 2 values"):
        r.picture(f=[1.0])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", ["frame", "bin"])
def test_backends_agree(kind, order):
    x = np.random.default_rng(7).standard_normal(N)
    one, other = (
        synchrosqueeze(transform(kind, "hann", backend=backend), x, order=order) for backend in ("numba", "numpy")
    )
    significant = np.abs(one.S) > 1e-3 * np.abs(one.S).max()
    # Ratios of numbers down to a thousandth of the largest one; a bin that changes its row also moves its energy.
    assert np.mean(np.abs(one.S - other.S)[significant] > 1e-9 * np.abs(one.S).max()) < 1e-3
    assert_allclose(np.median(np.abs(one.frequency - other.frequency)), 0.0, atol=1e-10 * FS)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", ["frame", "bin"])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_channel_that_is_far_weaker_than_another_has_its_own_frequencies(backend, kind, order):
    x = np.random.default_rng(8).standard_normal(N)
    sft = transform(kind, "hann", backend=backend)
    alone = synchrosqueeze(sft, x, order=order)
    both = synchrosqueeze(sft, np.stack([x, x * 2.0**-700]), order=order)  # the power of the second one underflows
    for channel, scale in enumerate((1.0, 2.0**700)):
        assert_allclose(np.median(np.abs(both.frequency[channel] - alone.frequency)), 0.0, atol=1e-10 * FS)
        assert_allclose(both.S[channel] * scale, alone.S, atol=1e-9 * np.abs(alone.S).max())
    assert_allclose(both.inverse()[1] * 2.0**700, x, atol=1e-9)


def test_the_inverse_does_not_depend_on_later_changes_of_the_signal():
    x = np.random.default_rng(9).standard_normal(N)
    kept = x.copy()
    squeezed = synchrosqueeze(transform("constant", "hann"), x)
    x[:] = 0.0
    assert_allclose(squeezed.inverse(), kept, atol=1e-10)
