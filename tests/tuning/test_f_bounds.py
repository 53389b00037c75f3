"""Tuning that sees a band of frequencies only."""

import autograd.numpy as anp
import numpy as np
import pytest

import adaptstft
from adaptstft import datasets

FS = 1000.0
QUICK = {"options": {"maxiter": 1}, "starts": 1}
CHIRP = datasets.linear_chirp(rate=60.0)
T = np.arange(CHIRP.x.size) / FS
#: A tone of 100 Hz with a smooth beginning and end: it has no energy at all from 300 Hz on.
PULSE = np.cos(2 * np.pi * 100 * T) * np.exp(-0.5 * ((T - 1.75) / 0.1) ** 2)


def beside_a_hum(seed, level=0.01, hum=50.2):
    """A chirp at -40 dB relative to a hum, in noise at -26 dB relative to the chirp."""
    rng = np.random.default_rng(seed)
    return level * (CHIRP.x + 0.05 * rng.standard_normal(T.size)) + np.cos(2 * np.pi * hum * T + seed)


def bearing(seed, fs=20_000.0, n=30_000):
    """Impacts that excite a resonance at 3 kHz, and strong tones of a shaft."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / fs
    times = np.cumsum(fs / 87.3 * (1 + 0.01 * rng.standard_normal(n))).astype(int)
    impacts = np.zeros(n)
    impacts[times[times < n]] = 1.0
    response = (np.exp(-t / 0.0008) * np.sin(2 * np.pi * 3000 * t))[:200]
    tones = sum(a * np.cos(2 * np.pi * f * t + f) for a, f in ((3.0, 29.7), (2.0, 59.4), (2.0, 348.0)))
    return np.convolve(impacts, response)[:n] + tones + 0.05 * rng.standard_normal(n)


def is_noise(res):
    return any("cannot be told from noise" in note for note in res.notes)


@pytest.mark.parametrize("criterion", ["description-length", "renyi"])
@pytest.mark.parametrize("seed", range(3))
def test_a_weak_chirp_beside_a_strong_hum(seed, criterion):
    settings = {"criterion": criterion, "window": ("gaussian", 6)}
    theory = CHIRP.win_length(6)[0, 0]
    x = beside_a_hum(seed)
    res = adaptstft.optimize(x, FS, f_bounds=(100, 450), **settings)
    assert res.win_length == pytest.approx(theory, rel=0.05)
    assert res.f_bounds == (100.0, 450.0) and not is_noise(res)
    assert adaptstft.optimize(x, FS, **settings).win_length > 3 * theory


def test_the_transform_stays_whole():
    x = beside_a_hum(0)
    res = adaptstft.optimize(x, FS, f_bounds=(100, 450))
    assert res.sft.f[-1] == pytest.approx(FS / 2)
    assert res.sft.istft(res.sft.stft(x), k1=x.size) == pytest.approx(x)
    assert np.array_equal(res.signal, x)


@pytest.mark.parametrize("seed", range(3))
def test_impacts_of_a_bearing_have_a_short_window(seed):
    x = bearing(seed)
    assert adaptstft.optimize(x, 20_000.0).win_length > 2000
    res = adaptstft.optimize(x, 20_000.0, f_bounds=(1500, 4500))
    assert 20 < res.win_length < 80  # the resonance decays within 16 samples by a factor e


@pytest.mark.parametrize("modes", [{"window_mode": "time"}, {"hop_mode": "constant"}], ids=str)
def test_other_modes_see_the_band(modes):
    alone = adaptstft.optimize(CHIRP.x, FS).win_length
    res = adaptstft.optimize(beside_a_hum(1), FS, f_bounds=(100, 450), **modes)
    assert res.win_length == pytest.approx(alone, rel=0.05)


def test_lengths_of_frequencies_see_the_band():
    alone = adaptstft.optimize(CHIRP.x, FS).win_length
    res = adaptstft.optimize(beside_a_hum(1), FS, f_bounds=(100, 450), window_mode="frequency")
    inside = (res.sft.f > 150) & (res.sft.f < 350)
    assert res.win_length[inside] == pytest.approx(alone, rel=0.1)


def test_a_user_function_sees_the_band():
    loss = lambda P: anp.sum(P**0.5) / anp.sum(P) ** 0.5  # noqa: E731
    settings = {"criterion": loss, "hop": 20, "win_bounds": (64, 1024)}
    alone = adaptstft.optimize(CHIRP.x, FS, **settings).win_length
    assert adaptstft.optimize(beside_a_hum(1), FS, f_bounds=(100, 450), **settings).win_length == pytest.approx(
        alone, rel=0.1
    )


def test_complex_signals_have_bands_of_both_signs():
    rising = 0.01 * np.exp(2j * np.pi * (-380 * T + 30 * T**2))
    x = rising + np.exp(2j * np.pi * 50.2 * T)
    alone = adaptstft.optimize(rising, FS).win_length
    for bounds in ((-450, -20), (None, 0)):
        assert adaptstft.optimize(x, FS, f_bounds=bounds).win_length == pytest.approx(alone, rel=0.05)


def test_the_whole_spectrum_changes_nothing():
    x = beside_a_hum(2, level=1.0)
    whole, plain = adaptstft.optimize(x, FS, f_bounds=(None, None)), adaptstft.optimize(x, FS)
    assert whole.f_bounds == (0.0, 500.0) and plain.f_bounds is None
    # the level of the description length is measured on complex signals of half the rate
    assert whole.win_length == pytest.approx(plain.win_length, rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_looked_for_in_the_band(seed):
    x = np.cos(2 * np.pi * 231.3 * np.arange(8000) / FS) + np.random.default_rng(seed).standard_normal(8000)
    for bounds, expected in (((100, 400), False), ((200, 260), False), ((0, 200), True), ((260, None), True)):
        assert is_noise(adaptstft.optimize(x, FS, f_bounds=bounds, **QUICK)) == expected


def test_a_corpus_has_one_band():
    x = beside_a_hum(0)
    corpus = adaptstft.Corpus([x, x[:3000], np.stack([x, x])])
    alone = adaptstft.optimize(CHIRP.x, FS).win_length
    res = adaptstft.optimize(corpus, FS, f_bounds=(100, 450))
    assert res.win_length == pytest.approx(alone, rel=0.05) and res.f_bounds == (100.0, 450.0)
    with pytest.raises(ValueError, match=r"x is silent from 300 to 400 Hz, the range of f_bounds"):
        adaptstft.optimize(adaptstft.Corpus([PULSE, PULSE[:3500]]), FS, f_bounds=(300, 400))


def test_a_corpus_of_one_signal_is_that_signal():
    x = beside_a_hum(0)
    one = adaptstft.optimize(adaptstft.Corpus([x]), FS, f_bounds=(100, 450), criterion="renyi")
    assert one.win_length == pytest.approx(adaptstft.optimize(x, FS, f_bounds=(100, 450), criterion="renyi").win_length)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((100, 600), r"f_bounds=\(100, 600\) must satisfy 0 <= low < high <= 500 Hz for a real signal with fs=1000 Hz"),
        ((-100, 100), r"f_bounds=\(-100, 100\) must satisfy 0 <= low < high <= 500 Hz for a real signal"),
        ((None, 0), r"f_bounds=\(None, 0\) must satisfy 0 <= low < high <= 500 Hz"),
        ((100, 100), r"f_bounds=\(100, 100\): low must be less than high"),
        ((300, 100), r"f_bounds=\(300, 100\): low must be less than high"),
        (
            (100, 101),
            r"f_bounds=\(100, 101\) is a band of 1 Hz: for 4000 samples with fs=1000 Hz it must have at least 4 Hz",
        ),
        (100, r"f_bounds=100 must be a pair \(low, high\) in Hz"),
        ((1, 2, 3), r"f_bounds=\(1, 2, 3\) must be a pair \(low, high\) in Hz"),
        ((0, np.inf), r"f_bounds\[1\]=inf must be finite"),
    ],
    ids=str,
)
def test_bad_bounds_are_refused_with_the_legal_range(bounds, message):
    with pytest.raises(ValueError, match=message):
        adaptstft.optimize(CHIRP.x, FS, f_bounds=bounds)


def test_other_bad_bounds():
    with pytest.raises(TypeError, match=r"f_bounds\[0\]='a' must be a real number"):
        adaptstft.optimize(CHIRP.x, FS, f_bounds=("a", 100))
    with pytest.raises(ValueError, match=r"must satisfy -500 <= low < high <= 500 Hz for a complex signal"):
        adaptstft.optimize(CHIRP.x * 1j, FS, f_bounds=(-600, 0))
    with pytest.raises(ValueError, match=r"x is silent from 300 to 400 Hz, the range of f_bounds"):
        adaptstft.optimize(PULSE, FS, f_bounds=(300, 400))


def test_a_dask_array_is_refused():
    da = pytest.importorskip("dask.array", reason="needs the extra 'dask'")
    with pytest.raises(ValueError, match=r"f_bounds=\(100, 200\) needs signals in memory"):
        adaptstft.optimize(da.from_array(CHIRP.x, chunks=1000), FS, f_bounds=(100, 200))


def test_the_summary_and_the_file_have_the_band(tmp_path):
    res = adaptstft.optimize(beside_a_hum(0), FS, f_bounds=(100, None), **QUICK)
    assert "f_bounds            the criterion sees 100 to 500 Hz" in res.summary()
    res.save(tmp_path / "band.npz")
    assert adaptstft.load(tmp_path / "band.npz").f_bounds == (100.0, 500.0)
    plain = adaptstft.optimize(CHIRP.x, FS, **QUICK)
    plain.save(tmp_path / "all.npz")
    assert adaptstft.load(tmp_path / "all.npz").f_bounds is None
    assert "f_bounds" not in plain.summary()


def test_many_recordings(tmp_path):
    table = adaptstft.optimize_many([beside_a_hum(0), beside_a_hum(1)], FS, f_bounds=(100, 450))
    alone = adaptstft.optimize(CHIRP.x, FS).win_length
    assert [row["win_length"] for row in table] == pytest.approx([alone, alone], rel=0.05)
    with pytest.raises(ValueError, match=r"f_bounds=\(450, 100\): low must be less than high"):
        adaptstft.optimize_many([CHIRP.x], FS, f_bounds=(450, 100))
