"""Notes on noise and flat criteria: no note is missing, and no note is wrong."""

import re

import autograd.numpy as anp
import numpy as np
import pytest

import adaptstft
from adaptstft import criteria, datasets
from adaptstft.tuning.stages import frame_spacing, frames
from adaptstft.tuning.tables.frame_sums import FrameSums

FS = 1000.0
T = np.arange(4000) / FS
QUICK = {"options": {"maxiter": 1}, "starts": 1}


def is_noise(res):
    return any("cannot be told from noise with a smooth spectrum" in note for note in res.notes)


def noise(seed, shape, kind=float):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind is complex else x


def coloured(seed, n, exponent, kind=float):
    """Noise with a power spectrum ``f**-exponent``, of variance one."""
    x = np.fft.fft(noise(seed, n, kind))
    f = np.abs(np.fft.fftfreq(n))
    f[0] = f[1]
    x = np.fft.ifft(x / f ** (exponent / 2))
    x = x if kind is complex else x.real
    return x / x.std()


def speech_like(seed):
    """Harmonics of a moving pitch in syllables, with a noisy consonant before each."""
    rng = np.random.default_rng(seed)
    t = np.arange(8000) / 8000
    pitch = 120 + 30 * np.sin(2 * np.pi * 2.5 * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / 8000
    voice = sum(np.cos(k * phase + rng.uniform(0, 6)) / k for k in range(1, 20))
    syllable = np.clip(np.sin(2 * np.pi * 4 * t), 0, None)
    breath = np.clip(np.sin(2 * np.pi * 4 * t + 1.2), 0, None) ** 6 * rng.standard_normal(t.size)
    return syllable * voice + 0.5 * breath + 0.02 * rng.standard_normal(t.size)


SIGNALS = {
    "tone": lambda rng: np.cos(2 * np.pi * 123.4 * T),
    "short tone": lambda rng: np.cos(0.7 * np.arange(200)),
    "chirp": lambda rng: datasets.linear_chirp(rate=20.0).x,
    "chirp in noise": lambda rng: datasets.linear_chirp(rate=100.0).x + 1.5 * rng.standard_normal(4000),
    "clicks": lambda rng: (np.arange(4000) % 400 == 17) + 0.1 * rng.standard_normal(4000),
    "one click": lambda rng: 15.0 * (np.arange(4000) == 2000) + rng.standard_normal(4000),
    "tones and clicks": lambda rng: datasets.close_tones_and_clicks().x,
    "burst of noise": lambda rng: rng.standard_normal(4000) * np.exp(-0.5 * ((T - 2) / 0.3) ** 2),
    "low-pass noise": lambda rng: np.convolve(rng.standard_normal(4000), np.hanning(12), "same"),
    "speech": lambda rng: speech_like(int(rng.integers(1000))),
    "speech in noise": lambda rng: speech_like(int(rng.integers(1000))) + 0.5 * rng.standard_normal(8000),
    "tone in white noise": lambda rng: 0.5 * np.cos(2 * np.pi * 123.4 * T) + rng.standard_normal(4000),
    "tone in pink noise": lambda rng: 0.3 * np.cos(2 * np.pi * 123.4 * T) + coloured(int(rng.integers(1000)), 4000, 1),
    "tone in brown noise": lambda rng: 0.3 * np.cos(2 * np.pi * 23.4 * T) + coloured(int(rng.integers(1000)), 4000, 2),
    "chirp in pink noise": lambda rng: datasets.linear_chirp(rate=60.0).x + coloured(int(rng.integers(1000)), 4000, 1),
    "analytic chirp": lambda rng: np.exp(1j * np.pi * (100 * T**2 - 400 * T)) + 0.5 * noise(0, 4000, complex),
}


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
def test_signals_are_not_taken_for_noise(signal):
    assert sum(is_noise(adaptstft.optimize(signal(np.random.default_rng(s)), FS, **QUICK)) for s in range(4)) == 0


@pytest.mark.parametrize(
    ("n", "kind"), [(200, float), (1000, float), (4000, float), (2000, complex)], ids=["200", "1000", "4000", "complex"]
)
@pytest.mark.full
def test_white_noise_is_noted(n, kind):
    assert sum(is_noise(adaptstft.optimize(noise(s, n, kind), FS)) for s in range(12)) == 12


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0], ids=["one half", "pink", "brown"])
def test_few_seeds_of_noise_that_is_not_white_are_noted(exponent):
    assert all(is_noise(adaptstft.optimize(coloured(s, 2000, exponent), FS, **QUICK)) for s in range(4))


@pytest.mark.full
@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("n", [2000, 8000])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0], ids=["one half", "pink", "brown"])
def test_noise_that_is_not_white_is_noted(exponent, n, kind):
    assert sum(is_noise(adaptstft.optimize(coloured(s, n, exponent, kind), FS)) for s in range(20)) >= 19


@pytest.mark.slow
def test_a_random_walk_is_noted():
    walks = np.cumsum(noise(7, (20, 4000)), axis=1)
    assert sum(is_noise(adaptstft.optimize(x, FS)) for x in walks) >= 19


@pytest.mark.parametrize(
    "criterion",
    [*criteria.names(), lambda P: anp.sum(anp.sqrt(P)) / anp.sqrt(anp.sum(P))],
    ids=[*criteria.names(), "callable"],
)
def test_white_noise_is_noted_with_every_criterion(criterion):
    named = isinstance(criterion, str)
    hop = {} if named else {"hop": 50}
    found = [is_noise(adaptstft.optimize(noise(s, 2000), FS, criterion=criterion, **QUICK, **hop)) for s in range(3)]
    assert found == [True] * 3
    assert not is_noise(adaptstft.optimize(np.cos(0.7 * np.arange(2000)), FS, criterion=criterion, **QUICK, **hop))


@pytest.mark.slow
@pytest.mark.parametrize(
    "modes",
    [
        {"window_mode": "time"},
        {"window_mode": "frequency"},
        {"hop_mode": "time"},
        {"scope": "frame"},
        {"scope": "local"},
        {"win_length": 100},
        {"window": ("tukey", 0.4)},
        {"hop": 40, "mfft": 1000},
        {"method": "chirp-rate", "starts": None, "options": None},
    ],
    ids=str,
)
def test_white_noise_is_noted_in_every_mode(modes):
    assert is_noise(adaptstft.optimize(noise(5, 1500), FS, **(QUICK | modes)))


def count_tables(monkeypatch):
    """Count the tables of sums over frames, and the searches for neighbourhoods and hops."""
    tables, searches = [], []
    make = FrameSums.of.__func__

    def table(cls, *args):
        tables.append(args)
        return make(cls, *args)

    monkeypatch.setattr(FrameSums, "of", classmethod(table))
    for module, name in ((frames, "neighbourhood_width"), (frame_spacing, "shortest_useful")):
        search = getattr(module, name)

        def counted(*args, search=search, name=name):
            searches.append(name)
            return search(*args)

        monkeypatch.setattr(module, name, counted)
    return tables, searches


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("exponent", [0.0, 1.0], ids=["white", "pink"])
def test_noise_in_time_has_at_most_one_table_at_the_hop_of_one_length(monkeypatch, seed, exponent):
    x = coloured(seed, 3000, exponent)
    tables, searches = count_tables(monkeypatch)
    res = adaptstft.optimize(x, FS, window_mode="time")
    assert len(tables) <= 1 and searches == []
    one = adaptstft.optimize(x, FS, scope="local")
    assert res.hop == one.hop
    assert sum("told from noise" in note for note in res.notes) == 1


def test_other_signals_in_time_search_neighbourhoods_and_a_hop(monkeypatch):
    tables, searches = count_tables(monkeypatch)
    signal = datasets.close_tones_and_clicks()
    res = adaptstft.optimize(signal.x, signal.fs, window_mode="time")
    assert searches == ["neighbourhood_width", "shortest_useful"] and len(tables) >= 1
    assert not is_noise(res)


def test_white_noise_is_known_before_lengths_vary():
    def stop(intermediate_result):
        if intermediate_result.stage == "varying":
            raise StopIteration

    res = adaptstft.optimize(noise(0, 2000), FS, window_mode="time", callback=stop)
    assert res.status == 99
    assert sum("told from noise" in note for note in res.notes) == 1


@pytest.mark.parametrize("modes", [{}, {"win_length": 100, "starts": 1}, {"window": "auto"}], ids=str)
@pytest.mark.parametrize("window_mode", ["constant", "time", "frequency"])
@pytest.mark.slow
def test_white_noise_is_noted_once(window_mode, modes):
    res = adaptstft.optimize(noise(1, 1500), FS, window_mode=window_mode, **modes)
    assert sum("told from noise" in note for note in res.notes) == 1


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_channels_and_scale_do_not_matter(scale):
    x = scale * noise(3, (3, 2000)) * np.array([[1.0], [0.1], [5.0]])
    assert is_noise(adaptstft.optimize(x, FS, **QUICK))


def test_other_distributions_of_white_noise():
    rng = np.random.default_rng(0)
    assert all(is_noise(adaptstft.optimize(rng.uniform(-1, 1, 4000), FS, **QUICK)) for _ in range(3))
    # single large samples of a heavy-tailed distribution are events, for which short windows are best
    assert not is_noise(adaptstft.optimize(rng.standard_t(2, 4000), FS, **QUICK))


@pytest.mark.parametrize("criterion", ["renyi", "description-length"])
def test_the_length_is_right_where_there_is_no_note(criterion):
    """At every noise level either the best length for a chirp is found, or a note is there.

    At -10 dB a description length is flat, which is noted, too. At -5 dB its minimum is found to 15 %.
    """
    best = adaptstft.optimize(np.cos(2 * np.pi * (100 * T + 30 * T**2)), FS, criterion=criterion).win_length
    told = 0
    for snr in (-20, -15, -10, -5):
        for seed in range(3):
            x = np.cos(2 * np.pi * (100 * T + 30 * T**2)) + np.sqrt(0.5 / 10 ** (snr / 10)) * noise(seed, T.size)
            res = adaptstft.optimize(x, FS, criterion=criterion)
            told += is_noise(res)
            flat = any("it changes by only" in note for note in res.notes)
            noted = is_noise(res) or (flat and snr == -10 and criterion == "description-length")
            assert noted or res.win_length == pytest.approx(best, rel=0.1 if criterion == "renyi" else 0.15)
    assert 3 <= told <= 6


def test_there_is_no_note_if_nothing_is_tuned():
    assert adaptstft.optimize(noise(0, 1000), FS, window_mode="fixed", win_length=100).notes == []
    assert not is_noise(adaptstft.optimize(noise(0, 1000), FS, win_bounds=(100, 100)))


def test_a_flat_criterion_is_noted():
    res = adaptstft.optimize(noise(1, 20_000), FS, win_bounds=(64, 600))
    (note,) = [note for note in res.notes if note.startswith("the criterion is flat: it changes by only")]
    assert re.search(r"by only [\d.e-]+ nat per bin from 64 to 600 samples$", note)
    entropy = adaptstft.optimize(noise(1, 20_000), FS, win_bounds=(64, 600), criterion="renyi")
    assert any(re.search(r"by only [\d.e-]+ nat from 64 to 600 samples$", note) for note in entropy.notes)
    chirp = adaptstft.optimize(datasets.linear_chirp(rate=20.0).x, FS)
    assert not any("flat" in note for note in chirp.notes)
