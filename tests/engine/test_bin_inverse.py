"""Inverse, frame bounds and gradients of the inverse with a window length for each frequency or bin."""

import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import AdaptiveShortTimeFFT, griffin_lim
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.operator import enclosing_bounds

KINDS = ("frequency", "bin")
BACKENDS = ("numpy", "numba")
PLACES = ("hop", "positions")
# The documented accuracy is 1e-9; the tolerance of the solver for a random signal is 1e-10.
EXACT = 1e-9


def draw_signal(rng, shape, fft_mode="onesided"):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if fft_mode in ("twosided", "centered") else x


def make(kind, place, rng, n, window="hann", **options):
    """Frames a quarter to a half of their windows apart, from before the signal to the first after it."""
    options = {"fs": 3.0, "mfft": 20, "max_length": 17, "fft_mode": "onesided"} | options
    f_pts = len(naive.frequencies(options["fft_mode"], options["mfft"]))
    if place == "hop":
        options["hop"] = 3.37
        first, last = naive.slice_range(window, 17, 3.37, n, options.get("window_offset", 0.0))
        p_num = last - first
    else:
        steps = np.cumsum(rng.uniform(2.5, 4.5, n + 3)) - 5.0
        options |= {"hop": None, "positions": steps[: np.searchsorted(steps, n - 0.5) + 1]}
        p_num = options["positions"].size
    win_length = rng.uniform(10, 17, (f_pts, p_num if kind == "bin" else 1))
    return AdaptiveShortTimeFFT(window, win_length, **options)


def settings_of(transform, n):
    """Arguments of the naive functions for the slices of a signal of n samples."""
    first, last = transform.p_range(n)
    centres = np.arange(first, last) * transform.hop if transform.positions is None else transform.positions
    names = ("mfft", "fs", "fft_mode", "phase_shift", "window_offset")
    settings = {name: getattr(transform, name) for name in names}
    settings |= {"scale_to": transform.scaling, "max_length": transform.m_num}
    return settings | {"theta": transform.win_length, "centres": centres}


def assert_close(actual, expected, tol=EXACT):
    """Within `tol` of the largest value of each channel."""
    assert actual.shape == expected.shape
    size = np.abs(expected).max(axis=-1, keepdims=True)
    assert np.all(np.abs(actual - expected) <= tol * np.maximum(size, 1e-300))


def disturbed(S, rng):
    """Not the transform of any signal."""
    return S * (1 + 0.5 * (rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)))


# --- reconstruction -----------------------------------------------------------------------------


def test_the_matrix_of_the_reference_is_its_transform(rng):
    for kind, place, offset in [("frequency", "hop", 0.0), ("bin", "positions", 0.5)]:
        settings = {"fft_mode": "onesided2X", "scale_to": "psd", "phase_shift": 3, "window_offset": offset}
        arguments = settings_of(make(kind, place, rng, 15, **settings), 15)
        A = naive.matrix("hann", samples=np.arange(15), **arguments)
        columns = [naive.stft(e, "hann", **arguments) for e in np.eye(15)]
        assert_allclose(A, np.moveaxis(columns, 0, -1), rtol=0, atol=1e-14 * np.abs(A).max())


@pytest.mark.parametrize(
    ("kind", "mfft", "phase_shift", "n"), [("frequency", 17, 0, 26), ("bin", 20, None, 25), ("bin", 21, 3, 1)]
)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_round_trips_and_modified_spectra(fft_mode, scale_to, place, kind, mfft, phase_shift, n, backend, rng):
    """A transform gives the signal, other spectra the least-squares signal; singular values against iterations."""
    settings = {"fft_mode": fft_mode, "scale_to": scale_to, "mfft": mfft, "phase_shift": phase_shift}
    transform = make(kind, place, rng, n, backend=backend, **settings)
    x = draw_signal(rng, n, fft_mode)
    S = transform.stft(x)
    modified = disturbed(S, rng)
    kept = modified.copy()
    restored = transform.istft(S, k1=n)
    assert restored.dtype == x.dtype
    assert_close(restored, x)
    nearest = naive.istft(modified, "hann", n=n, **settings_of(transform, n))
    assert_close(transform.istft(modified, k1=n, n=n), nearest)
    assert_array_equal(modified, kept)


@pytest.mark.slow
@pytest.mark.parametrize("window", ["hamming", ("tukey", 0.5), ("gaussian", 6.0), ("kaiser", 8.6)], ids=naive.label)
def test_windows_and_offsets(window, backend, rng):
    for kind, offset in [("frequency", 0.5), ("bin", -1.3)]:
        transform = make(kind, "hop", rng, 61, window, window_offset=offset, backend=backend)
        x = rng.standard_normal(61)
        assert_close(transform.istft(transform.stft(x), k1=61), x)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("f_axis", "t_axis"), [(-2, -1), (0, 1), (1, 0), (-1, 0), (2, 3), (3, 1)])
def test_channels_and_axes(place, f_axis, t_axis, rng):
    x = rng.standard_normal((3, 2, 20))
    transform = make("bin", place, rng, 20)
    S = np.moveaxis(transform.stft(x), (-2, -1), (f_axis, t_axis))
    restored = transform.istft(S, k1=20, f_axis=f_axis, t_axis=t_axis)
    # As in SciPy, time takes the place of the frequency axis where there is one.
    axis = f_axis % 4 if f_axis % 4 < 3 else t_axis % 4
    assert_close(np.moveaxis(restored, axis, -1), x)


@pytest.mark.slow
@pytest.mark.parametrize("fft_mode", ["onesided", "centered"])
def test_channels_of_different_amplitudes(fft_mode, backend, rng):
    """Each channel has its own relative accuracy, and a silent one stays silent."""
    x = draw_signal(rng, (4, 61), fft_mode) * np.array([1.0, 1e-8, 0.0, 1e150])[:, None]
    transform = make("frequency", "hop", rng, 61, fft_mode=fft_mode, backend=backend)
    restored = transform.istft(transform.stft(x), k1=61)
    assert_array_equal(restored[2], 0)
    assert_close(restored, x)
    silent = transform.istft(np.zeros((11 if fft_mode == "onesided" else 20, transform.p_num(61))), k1=61)
    assert_array_equal(silent, np.zeros(61))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fft_mode", ["onesided", "centered"])
def test_single_precision(fft_mode, place, backend, rng):
    x = draw_signal(rng, (2, 61), fft_mode)
    x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
    transform = make("bin", place, rng, 61, fft_mode=fft_mode, backend=backend)
    restored, info = transform.istft(transform.stft(x), k1=61, full_output=True)
    assert restored.dtype == x.dtype
    assert_close(restored, x, 1e-5)
    assert info.error <= 1e-5


# --- parts of the signal ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_parts_are_those_of_the_whole(kind, place, rng):
    x = rng.standard_normal((2, 60))
    transform = make(kind, place, rng, 60)
    S = transform.stft(x)
    for k0, k1 in [(0, 60), (5, 40), (17, 18), (30, 60), (0, 55)]:
        assert_close(transform.istft(S, k0, k1), x[:, k0:k1])
    restored = transform.istft(S)
    assert_close(restored[:, :60], x)
    assert np.all(np.abs(restored[:, 60:]) <= EXACT * np.abs(x).max())
    assert transform.istft(S, -1, 60).shape == (2, 61)


def test_part_that_ends_in_the_last_hop(rng):
    x = rng.standard_normal(40)
    lengths = np.linspace(16, 6, 11)[:, None]
    transform = AdaptiveShortTimeFFT("hann", lengths, 3.0, 1.0, mfft=20)
    assert transform.p_range(39) == transform.p_range(40)
    assert_close(transform.istft(transform.stft(x), 0, 39), x[:39])


def test_positions_beyond_the_end(rng):
    """The least-squares signal has n samples, wherever the frames are."""
    n, positions = 25, np.arange(-2.0, 32.0, 3.0)
    lengths = np.linspace(16, 8, 11)[:, None]
    transform = AdaptiveShortTimeFFT("hann", lengths, None, 1.0, positions=positions, mfft=20)
    S = disturbed(transform.stft(rng.standard_normal(n)), rng)
    assert_close(transform.istft(S, k1=n, n=n), naive.istft(S, "hann", n=n, **settings_of(transform, n)))


@pytest.mark.parametrize(("k0", "k1"), [(8, 60), (20, 60), (20, 50)])
def test_positions_that_begin_within_the_signal(k0, k1, rng):
    """Either the right part or an error, because windows cover samples that are not among the unknowns."""
    x = rng.standard_normal(60)
    lengths = np.linspace(16, 6, 11)[:, None]
    transform = AdaptiveShortTimeFFT("hann", lengths, None, 1.0, positions=np.arange(12.0, 60.0, 3.0), mfft=20)
    S = transform.stft(x)
    try:
        part = transform.istft(S, k0, k1)
    except ValueError:
        return
    assert_close(part, x[k0:k1])


# --- accuracy and iterations --------------------------------------------------------------------


def test_tolerance_and_iterations(backend, rng):
    x = rng.standard_normal(120)
    transform = make("frequency", "hop", rng, 120, backend=backend)
    S = transform.stft(x)
    counts = []
    for tol in (1e-12, 1e-8, 1e-6, 1e-4):
        restored, info = transform.istft(S, k1=120, tol=tol, full_output=True)
        assert_close(restored, x, 20 * tol)  # relative to the largest value, where tol is to the norm
        assert info.error <= max(tol, 1e-13)
        assert 0 <= info.residual <= tol
        counts.append(info.iterations)
    assert sorted(counts, reverse=True) == counts
    assert counts[0] > counts[-1] > 0
    with pytest.raises(ValueError, match=r"tol=1e-10: after 2 iterations .* samples .* frame bounds .* maxiter"):
        transform.istft(S, k1=120, maxiter=2)
    enough = transform.istft(S, k1=120, maxiter=400)
    assert_close(enough, x)
    for bad in ({"tol": 0}, {"tol": 1.5}, {"tol": -1e-3}, {"maxiter": 0}, {"tol": np.nan}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            transform.istft(S, k1=120, **bad)
    frames = transform.remade(win_length=12.3)
    assert frames.istft(frames.stft(x), k1=120, full_output=True)[1].iterations == 0


def test_wrong_shapes_of_spectra(rng):
    transform = make("bin", "positions", rng, 20)
    S = transform.stft(rng.standard_normal(20))
    with pytest.raises(ValueError, match="f_pts"):
        transform.istft(S[:-1], k1=20)
    with pytest.raises(ValueError, match=rf"S has {S.shape[1] - 1} slices.*{S.shape[1]}"):
        transform.istft(S[:, :-1], k1=20)


def test_there_are_no_dual_windows(rng):
    transform = make("frequency", "hop", rng, 20)
    for method in (transform.windows, transform.dual_windows):
        with pytest.raises(ValueError, match=r"win_length has shape \(11, 1\).*istft"):
            method(20)


# --- transforms that are not invertible ---------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_gaps_are_named(kind, backend, rng):
    lengths = np.full((11, 6 if kind == "bin" else 1), 6.0)
    transform = AdaptiveShortTimeFFT("hann", lengths, 10.0, 1.0, mfft=20, backend=backend)
    n = 50 if kind == "bin" else 500
    assert transform.p_num(n) == lengths.shape[1] or kind == "frequency"
    with pytest.raises(ValueError, match=r"not invertible.*samples 0 to \d+, namely 3 to 7, 13 to 17"):
        transform.istft(transform.stft(rng.standard_normal(n)), k1=n)
    assert not transform.invertible
    assert transform.frame_bounds(n)[0] == 0


def low_overlap(m, **placed):
    """Windows of 30 samples for the lowest m of 17 bins, of 4 for the others, 6 samples apart."""
    return AdaptiveShortTimeFFT("hann", np.where(np.arange(17) < m, 30.0, 4.0)[:, None], fs=1.0, mfft=32, **placed)


@pytest.mark.parametrize("n", [30, pytest.param(110, marks=pytest.mark.full)])
@pytest.mark.parametrize("m", [1, 3, 8, 12])
@pytest.mark.slow
def test_overlap_at_low_frequencies_only(n, m, rng):
    """Windows cover every sample, but not at every frequency: either an error or the right signal."""
    transform = low_overlap(m, hop=6.0)
    x = rng.standard_normal(n)
    S = transform.stft(x)
    A, B = naive.frame_bounds("hann", n=n, **settings_of(transform, n))
    for tol in (None, 1e-5):
        try:
            restored = transform.istft(S, k1=n, tol=tol)
        except ValueError as error:
            assert "random signal is reconstructed" in str(error) or "no window covers" in str(error)
            assert A < 1e-4 * B, f"{tol=}"
        else:
            assert A > 1e-9 * B
            assert_close(restored, x, 100 * (tol or 1e-10))


@pytest.mark.parametrize("n", [30, pytest.param(100, marks=pytest.mark.full)])
@pytest.mark.parametrize("m", [2, 5, 8, 12])
@pytest.mark.slow
def test_invertible_agrees_with_the_inverse(m, n, rng):
    positions = np.arange(0.0, n, 6.0)
    transform = low_overlap(m, hop=None, positions=positions)
    last = int(positions[-1]) + 1
    S = transform.stft(rng.standard_normal(last))
    try:
        # the loosest inverse that there is: one of a badly conditioned transform exists, but not to the default 1e-10
        transform.istft(S, k1=last, tol=1e-4)
        inverted = True
    except ValueError:
        inverted = False
    assert transform.invertible is inverted
    assert make("frequency", "hop", rng, 25).invertible
    assert make("bin", "positions", rng, 25).invertible


# --- frame bounds -------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "n"), [("frequency", 1), ("frequency", 40), ("bin", 61)])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fft_mode", ["onesided", "twosided", "onesided2X"])
@pytest.mark.slow
def test_frame_bounds(fft_mode, place, kind, n, rng):
    transform = make(kind, place, rng, n, mfft=19, fft_mode=fft_mode, scale_to="psd")
    expected = naive.frame_bounds("hann", n=n, **settings_of(transform, n))
    assert_allclose(transform.frame_bounds(n), expected, rtol=1e-3)


def test_frame_bounds_of_irregular_frames(rng):
    """Frames far apart and close together, and lengths from 4 to 40."""
    ratios = []
    for n in (50, 90):
        positions = np.sort(np.concatenate([rng.uniform(-5, n + 5, n // 3), np.linspace(0, n, n // 3)]))
        win_length = rng.uniform(4, 40, (21, positions.size))
        transform = AdaptiveShortTimeFFT("hann", win_length, None, 1.0, positions=positions, mfft=41)
        expected = naive.frame_bounds("hann", n=n, **settings_of(transform, n))
        assert_allclose(transform.frame_bounds(n), expected, rtol=1e-3)
        ratios.append(expected[1] / expected[0])
    assert min(ratios) > 3


@pytest.mark.parametrize("fft_mode", ["onesided", "twosided"])
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_that_enclose_the_frame_bounds(kind, fft_mode, rng):
    n = 120
    m, positions = 24, np.arange(41) * 3.0
    win_length = np.sort(rng.uniform(16, 20, (m if fft_mode == "twosided" else 13, 41 if kind == "bin" else 1)))
    transform = AdaptiveShortTimeFFT(
        "hann", win_length, None, 1.0, positions=positions, mfft=m, fft_mode=fft_mode, max_length=20
    )
    frames = BinFrames(np.broadcast_to(win_length.T, (41, len(win_length))).copy(), *[transform.positions] * 2)
    low, high = enclosing_bounds(transform._plan, frames, n)
    A, B = naive.frame_bounds("hann", n=n, **settings_of(transform, n))
    assert low <= A <= B <= high
    assert low > 0.7 * A and high < 1.3 * B


def test_bounds_that_enclose_those_of_samples_without_windows(rng):
    frames = BinFrames(np.full((3, 10), 8.0), np.array([0.0, 50.0, 100.0]), np.array([0.0, 50.0, 100.0]))
    transform = AdaptiveShortTimeFFT("hann", 8.0, 50.0, 1.0, mfft=19)
    assert enclosing_bounds(transform._plan, frames, 101) == (0.0, np.inf)


@pytest.mark.parametrize(("m", "n"), [(2, 60), (1, 100)])
def test_frame_bounds_that_vanish(m, n):
    """A lower bound of zero is returned, and is not an error of the iterations."""
    transform = low_overlap(m, hop=8.0)
    A, B = transform.frame_bounds(n)
    expected = naive.frame_bounds("hann", n=n, **settings_of(transform, n))
    assert expected[0] < 1e-10
    assert 0 <= A < 1e-6
    assert pytest.approx(expected[1], rel=1e-3) == B


# --- Griffin-Lim and gradients of the inverse ---------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fft_mode", "scale_to"), [("onesided", None), ("onesided2X", "magnitude"), ("centered", "psd")]
)
def test_griffin_lim_never_gets_worse(fft_mode, scale_to, kind, place, rng):
    n = 60
    transform = make(kind, place, rng, n, fft_mode=fft_mode, scale_to=scale_to)
    A = np.abs(transform.stft(rng.standard_normal((2, n))))
    A *= rng.uniform(0.7, 1.3, A.shape)  # not of any signal
    y, errors = griffin_lim(transform, A, n, n_iter=8, momentum=0, rng=0, full_output=True)
    assert y.shape == (2, n)
    assert np.all(np.diff(errors) <= 1e-9)  # the solver's tolerance
    assert errors[-1] < 0.95 * errors[0]


def invertible_case(window, framing, rng, **options):
    case = naive.Case(window, framing, rng, n=29, mfft=18, **options)
    while True:
        A, B = naive.frame_bounds(window, case.win_length, case.centres, case.n, **case.options)
        if B < 100 * A:
            return case
        case.draw_frames(framing, rng)


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["frequency, hop", "bin, hop", "frequency, positions", "bin, positions"])
@pytest.mark.parametrize("fft_mode", naive.FFT_MODES)
def test_istft_vjp(fft_mode, framing, rng):
    """Against differences of the dense least-squares solution, in every parameter."""
    window = ("kaiser", 12.0)
    case = invertible_case(window, framing, rng, fft_mode=fft_mode)
    S = disturbed(case.spectra()[0], rng)
    g = draw_signal(rng, case.n - 2, fft_mode)
    gradients = {}
    for backend in BACKENDS:
        transform = AdaptiveShortTimeFFT(window, case.win_length, backend=backend, **case.settings())
        gradients[backend] = transform.istft_vjp(S, g, 2, case.n, n=case.n)
        assert np.shape(gradients[backend].win_length) == case.win_length.shape

    def loss(name, v):
        def value(s):
            win_length, centres, moved, shape = case.win_length, case.centres, S, case.shape
            if name == "win_length":
                win_length = win_length + s * v
            elif name == "positions":
                centres = centres + s * v
            elif name == "hop":
                centres = centres + s * v * np.arange(*case.slices)
            elif name == "shape":
                shape = shape + s * v
            else:
                moved = S + s * v
            x = naive.istft(moved, ("kaiser", shape), win_length, centres, case.n, **case.options)
            return naive.inner(g, x[2:])

        return value

    names = [name for name in case.parameters() if name != "x"] + ["S"]
    for name in names:
        v = draw_signal(rng, S.shape, "twosided") if name == "S" else case.direction(name, rng)
        expected, error = naive.derivative(loss(name, v), 1e-3, levels=4)
        # Values of a few dozen, difference quotients with steps down to 1e-4, and a solver with the tolerance 1e-10.
        tol = 1e-7 * max(1.0, abs(expected), abs(loss(name, v)(0.0)))
        assert error < tol, name
        for backend, gradient in gradients.items():
            slope = naive.inner(getattr(gradient, name), v)
            assert slope == pytest.approx(expected, abs=tol), f"{name=} {backend=}"


def test_the_transform_of_a_signal_does_not_depend_on_the_windows(rng):
    """istft(stft(x)) is x for all windows, so the gradients through both with respect to the windows cancel."""
    for kind, place in [("frequency", "hop"), ("bin", "positions")]:
        transform = make(kind, place, rng, 40)
        x, g = rng.standard_normal((2, 40))
        back = transform.istft_vjp(transform.stft(x), g, k1=40, tol=1e-13)
        forward = transform.vjp(x, back.S)
        for name in ("win_length", "positions"):
            own, other = getattr(back, name), getattr(forward, name)
            assert_allclose(own, -other, rtol=0, atol=1e-9 * np.abs(other).max())
        assert_allclose(forward.x, g, rtol=0, atol=1e-9 * np.abs(g).max())


@pytest.mark.parametrize("lengths", [12.0, np.linspace(16, 8, 11)[:, None]], ids=["one", "frequency"])
@pytest.mark.parametrize("placed", ["hop", "positions"])
def test_length_of_the_signal(lengths, placed, rng):
    """Beyond its length the signal is zero, and a transform of another length raises."""
    n = 41
    x = rng.standard_normal(n)
    place = {"hop": 3.0} if placed == "hop" else {"hop": None, "positions": np.arange(-2.0, 50.0, 3.0)}
    transform = AdaptiveShortTimeFFT("hann", lengths, fs=1.0, mfft=20, **place)
    S = transform.stft(x)
    for k0, k1 in ((0, n), (5, 20), (-3, n + 2), (n, n + 2)):
        expected = np.pad(x, 5)[k0 + 5 : k1 + 5]
        assert_allclose(transform.istft(S, k0, k1, n=n), expected, atol=1e-9)
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        transform.istft(S, k1=n, n=0)
    if placed == "hop":
        with pytest.raises(ValueError, match=r"n=90: a signal of that many samples has \d+ slices, S has"):
            transform.istft(S, k1=n, n=90)
