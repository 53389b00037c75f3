"""One set of parameters for many signals: equal to sums over all of them, for all orders and executors."""

import itertools
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import adaptstft
from adaptstft import Corpus, criteria, kernels, windows
from adaptstft.engine.plan import FramePlan
from adaptstft.recordings import Recording
from adaptstft.tuning.shared.corpus import CorpusSignals, as_corpus
from adaptstft.tuning.shared.partial_sums import Query, Stretch, partial_sums
from adaptstft.tuning.shared.signals import add_up, evaluate_sums

#: Rounding of sums over all frames, which an optimiser may pass on a few times.
ROUNDING = 1e-10
LENGTHS = (4001, 2500, 3333, 1200)


def chirp(n, frequency, rng):
    t = np.arange(n) / 1000
    return np.cos(2 * np.pi * (frequency * t + 30 * t**2)) + 0.1 * rng.standard_normal(n)


@pytest.fixture
def signals(rng):
    return [chirp(n, f, rng) for n, f in zip(LENGTHS, (50, 120, 80, 200), strict=True)]


def same(a, b, tol=ROUNDING):
    return np.allclose(a.win_length, b.win_length, rtol=tol, atol=0) and abs(a.fun - b.fun) <= tol


MODES = {
    "constant": {},
    "hop": {"hop_mode": "constant"},
    "shape": {"window": ("gaussian", 8.5), "tune_shape": True},  # with jumps at its ends rounding decides at last
    "frame": {"criterion": "kurtosis", "scope": "frame"},
    "hoyer": {"criterion": "hoyer"},
    "frequency": {"window_mode": "frequency", "scope": "global", "accuracy": None, "options": {"maxiter": 4}},
    "frequency, frame": {
        "window_mode": "frequency",
        "criterion": "renyi",
        "scope": "frame",
        "accuracy": None,
        "win_bounds": (40, 400),
        "options": {"maxiter": 4},
    },
    "frequency, shape": {
        "window_mode": "frequency",
        "scope": "global",
        "window": ("gaussian", 6),
        "tune_shape": True,
        "options": {"maxiter": 3},
    },
    "given": {"win_length": 123.4, "hop": 33.3, "starts": 1, "mfft": 600},
    "fixed": {"window_mode": "fixed", "win_length": 300.0},
    "adam": {"method": "adam", "options": {"maxiter": 10}},
    "grid": {"method": "grid", "options": {"step": 20}},
    "auto": {"window": "auto", "criterion": "renyi"},  # no Gaussian window, as above
    "linear trend": {"detrend": "linear"},
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_corpus_of_one_signal_is_that_signal(signals, mode):
    one = adaptstft.optimize(signals[1], 1000, **mode)
    corpus = adaptstft.optimize(Corpus(signals[1:2]), 1000, **mode)
    # the frames are the same, block by block, so that little but the order of sums differs
    assert same(one, corpus)
    for name in ("area_fun", "initial_area_fun", "hop"):
        assert one[name] == pytest.approx(corpus[name], rel=ROUNDING)
    assert corpus.sensitivity.factors == pytest.approx(one.sensitivity.factors, rel=1e-6)
    assert np.array_equal(corpus.recommended.win_length, one.recommended.win_length)
    assert corpus.sft.win_length == pytest.approx(corpus.win_length) and corpus.sft.hop == corpus.hop


@pytest.mark.parametrize("criterion", sorted(set(criteria.names()) - {"gini", "hoyer", "description-length"}))
def test_equals_one_long_signal(signals, criterion):
    """Between margins without energy, as long as any window, frames of one long signal see one signal each."""
    hop, margin = 40, np.zeros(520)
    padded = [np.concatenate([margin, x, margin, np.zeros(-(x.size + 2 * margin.size) % hop)]) for x in signals]
    settings = {"win_length": 200.0, "hop": hop, "mfft": 1024, "starts": 1, "win_bounds": (100, 1000), "detrend": None}
    whole = adaptstft.optimize(np.concatenate(padded), 1000, criterion=criterion, **settings)
    parts = adaptstft.optimize(padded, 1000, criterion=criterion, **settings)
    assert whole.nit > 1
    assert same(whole, parts)
    assert parts.jac == pytest.approx(whole.jac, abs=ROUNDING)


def test_equals_one_long_signal_in_frequency(signals):
    """With an entropy: the gaps lower the mean power, to which a description length is relative."""
    hop, margin = 40, np.zeros(260)
    padded = [np.concatenate([margin, x, margin, np.zeros(-(x.size + 2 * margin.size) % hop)]) for x in signals]
    settings = {"hop": hop, "mfft": 512, "win_bounds": (100, 500), "detrend": None, "window_mode": "frequency"}
    settings |= {"criterion": "renyi", "scope": "global", "accuracy": None, "options": {"maxiter": 5}}
    whole = adaptstft.optimize(np.concatenate(padded), 1000, **settings)
    parts = adaptstft.optimize(padded, 1000, **settings)
    assert np.ptp(whole.win_length) > 1
    # the search that the start comes from is in single precision
    assert parts.fun == pytest.approx(whole.fun, abs=1e-6)
    assert np.allclose(parts.win_length, whole.win_length, rtol=1e-3)


def test_a_given_floor_is_not_estimated(signals, monkeypatch):
    estimated = []

    def count_floors(x):
        estimated.append(x)
        return np.ones(len(x))

    monkeypatch.setattr("adaptstft.criteria.distortion.channel_floors", count_floors)
    given = criteria.DescriptionLength(floor=0.01)
    for criterion, count in ((given, 0), (criteria.DescriptionLength(), 3)):
        adaptstft.optimize(Corpus(signals[:3]), 1000, criterion=criterion)
        assert len(estimated) == count


@pytest.mark.parametrize("mode", ["constant", "hop", "frame", "frequency"])
@pytest.mark.slow
def test_order_changes_nothing(signals, mode):
    first = adaptstft.optimize(signals, 1000, **MODES[mode])
    for order in ([3, 1, 0, 2], [2, 3, 1, 0]):
        assert same(first, adaptstft.optimize([signals[k] for k in order], 1000, **MODES[mode]))


def test_weights_are_how_often_a_signal_counts(signals):
    twice = adaptstft.optimize([*signals, signals[1]], 1000)
    weighted = adaptstft.optimize(Corpus(signals, weights=[1, 2, 1, 1]), 1000)
    alike = adaptstft.optimize(signals, 1000)
    assert same(twice, weighted)
    assert not same(twice, alike, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("criterion", ["hoyer", "renyi"])
@pytest.mark.parametrize("scope", ["global", "frame"])
def test_weights_in_comparable_values(signals, criterion, scope):
    twice = adaptstft.optimize([*signals, signals[3]], 1000, criterion=criterion, scope=scope)
    weighted = adaptstft.optimize(Corpus(signals, weights=[1, 1, 1, 2]), 1000, criterion=criterion, scope=scope)
    assert weighted.area_fun == pytest.approx(twice.area_fun, rel=ROUNDING)


def test_executors_change_nothing(signals):
    alone = adaptstft.optimize(signals, 1000)
    with ThreadPoolExecutor(2) as executor:
        threads = adaptstft.optimize(Corpus(signals, executor=executor), 1000)
    assert threads.win_length == alone.win_length and threads.fun == alone.fun


def test_queries_survive_pickling(signals):
    """Queries survive pickling."""
    query = _question(np.array([100.0]), "renyi", gradient=True)
    sent = pickle.loads(pickle.dumps(query))
    stretch = Stretch(signals[0][np.newaxis], signals[0].size)
    (here,), (there,) = partial_sums(stretch, [query]), partial_sums(stretch, [sent])
    assert np.array_equal(here.sums, there.sums) and np.array_equal(here.win_length, there.win_length)


# ---------------------------------------------------------------------------------------
# Recognition


def test_what_is_a_corpus(signals, tmp_path):
    path = tmp_path / "a.npy"
    for items in ([str(path)], (path,), [lambda: signals[0]], signals, [Recording(signals[0][None], 1000.0, "a")]):
        assert isinstance(as_corpus(items, -1), Corpus)
    assert isinstance(as_corpus(iter(signals), -1), Corpus)
    for signal in (signals[0], signals[0].tolist(), [signals[0], signals[0]], np.ones((3, 9)), [], [[1, 2], [3, 4]], 3):
        assert as_corpus(signal, -1) is None


def test_lists_of_one_length_are_channels(signals):
    pair = [signals[0][:1200], signals[3]]
    channels = adaptstft.optimize(pair, 1000)
    assert channels.signals == 1 and channels.positions is not None
    assert adaptstft.optimize(Corpus(pair), 1000).signals == 2


def _written(folder, signals):
    paths = [folder / f"{k}.npy" for k in range(len(signals))]
    for path, x in zip(paths, signals, strict=True):
        np.save(path, x)
    return paths


class _Lazy:
    """A sequence that loads when it is indexed."""

    def __init__(self, paths):
        self.paths = paths
        self.loaded = 0

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, k):
        self.loaded += 1
        return np.load(self.paths[k])


KINDS = {
    "paths": lambda paths: paths,
    "strings": lambda paths: [str(p) for p in paths],
    "functions": lambda paths: [lambda p=p: np.load(p) for p in paths],
    "functions that name a path": lambda paths: [lambda p=p: p for p in paths],
    "iterator of arrays": lambda paths: (np.load(p) for p in paths),
    "iterator of paths": iter,
    "sequence": lambda paths: Corpus(_Lazy(paths)),
    "recordings": lambda paths: [Recording(np.load(p)[None], 1000.0, p.name) for p in paths],
    "channels first": lambda paths: Corpus([np.load(p)[:, None] for p in paths], axis=0),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_item(signals, tmp_path, kind):
    wanted = adaptstft.optimize(signals, 1000, starts=1)
    found = adaptstft.optimize(kind(_written(tmp_path, signals)), 1000, starts=1)
    assert found.win_length == wanted.win_length and found.signals == 4


@pytest.mark.slow
def test_memory_holds_one_signal(tmp_path, rng):
    """Memory: at most four of twelve signals."""
    paths = _written(tmp_path, [rng.standard_normal(200_000) for _ in range(12)])
    settings = {"win_length": 256.0, "hop": 256, "starts": 1, "min_overlap": None, "workers": 1}
    adaptstft.optimize(paths[:1], 1000, **settings)  # compiles
    tracemalloc.start()
    adaptstft.optimize((np.load(p) for p in paths), 1000, **settings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 200_000 * 8


def test_mixed_channels_and_types(signals):
    mixed = [signals[0].astype(np.float32), np.stack([signals[1]] * 2), signals[2]]
    plain = [signals[0].astype(np.float32), signals[1], signals[1], signals[2]]
    assert same(adaptstft.optimize(mixed, 1000), adaptstft.optimize(plain, 1000), 1e-6)
    with_complex = adaptstft.optimize([signals[0] + 0j, signals[1]], 1000)
    assert with_complex.sft.fft_mode == "centered"


# ---------------------------------------------------------------------------------------
# Derivatives and sums


def _check_gradient(value_and_grad, y, rng):
    """Central differences in random directions, two steps each."""
    _, gradient = value_and_grad(y)
    for _ in range(3):
        direction = rng.standard_normal(y.size)
        direction /= np.linalg.norm(direction)
        errors = []
        for step in (1e-4, 1e-5):
            high, low = (value_and_grad(y + sign * step * direction)[0] for sign in (1, -1))
            errors.append(abs((high - low) / (2 * step) - gradient @ direction))
        # the differences of values of order ten have an error of about eps * 10 / step
        assert min(errors) <= 1e-6 * max(np.linalg.norm(gradient), 1e-3)


def _question(win_length, criterion, scope="global", **wanted):
    loss = criteria.resolve(criterion, scope)
    window = windows.resolve(("gaussian", 5.0) if wanted.get("shape") else "hann")
    plan = FramePlan(256, "onesided", "psd", kernels.resolve("auto")[1], 1, window, 1e-3, amplitude=1000**0.5)
    return Query(plan, win_length, 33.3, loss, **wanted)


@pytest.mark.parametrize("scope", ["global", "frame"])
@pytest.mark.parametrize("comparable", [False, True], ids=["plain", "comparable"])
@pytest.mark.parametrize("criterion", sorted(set(criteria.names()) - {"gini"}))
def test_gradients(signals, criterion, scope, comparable, rng):
    stretches = [Stretch(x[np.newaxis], x.size, weight=w) for x, w in zip(signals, (1, 2, 0.5, 1), strict=True)]

    def value_and_grad(y):
        query = _question(np.exp(y[:1]), criterion, scope, comparable=comparable, gradient=True, shape=True)
        plan = replace(query.plan, window=query.plan.window.with_shape(y[1:]))
        query = replace(query, plan=plan)
        found = evaluate_sums(query, add_up([partial_sums(s, [query]) for s in stretches])[0])
        return found.value, np.concatenate([found.gradients.win_length * query.win_length, found.gradients.shape])

    _check_gradient(value_and_grad, np.array([np.log(111.1), 5.0]), rng)


@pytest.mark.parametrize("scope", ["global", "frame"])
def test_gradients_in_frequency(signals, scope, rng):
    stretch = Stretch(signals[3][np.newaxis], signals[3].size)

    def value_and_grad(y):
        query = _question(np.exp(y), "renyi", scope, gradient=True)
        found = evaluate_sums(query, partial_sums(stretch, [query])[0])
        return found.value, found.gradients.win_length * query.win_length

    _check_gradient(value_and_grad, np.log(np.linspace(60.5, 200.3, 129)), rng)


@pytest.mark.parametrize("lengths", ["one", "each frequency"])
@pytest.mark.parametrize("comparable", [False, True], ids=["plain", "comparable"])
def test_stretches_of_a_signal_add_up(signals, lengths, comparable):
    x, win_length = signals[0][np.newaxis], np.array([150.2])
    win_length = win_length if lengths == "one" else np.linspace(60, 200, 129)
    query = _question(win_length, "shannon", gradient=True, comparable=comparable)
    (whole,) = partial_sums(Stretch(x, x.shape[1]), [query])
    edges = [0, 700, 701, 2000, 2001, 4001]
    parts = []
    for a, b in itertools.pairwise(edges):
        first, last = max(a - 102, 0), min(b + 102, 4001)
        stop = np.inf if b == 4001 else float(b)
        parts.append(partial_sums(Stretch(x[:, first:last], 4001, first, float(a), stop), [query]))
    (total,) = add_up(parts)
    assert total.frames == whole.frames and total.time == pytest.approx(whole.time, rel=1e-14)
    assert np.allclose(total.sums, whole.sums, rtol=1e-13) and np.allclose(
        total.win_length, whole.win_length, rtol=1e-11
    )


# ---------------------------------------------------------------------------------------
# Results


def test_result(signals, tmp_path):
    found = adaptstft.optimize(signals, 1000)
    assert found.positions is None and found.signal is None
    assert (found.signals, found.samples) == (4, sum(LENGTHS))
    assert "4 signals, 11.03 s in all" in found.summary()
    for x in signals:
        assert np.allclose(found.sft.istft(found.sft.stft(x), k1=x.size), x)
    found.save(tmp_path / "corpus")
    read = adaptstft.load(tmp_path / "corpus.npz")
    assert read.win_length == found.win_length and read.sft.hop == found.hop
    assert read.summary() == found.summary()
    with pytest.raises(ValueError, match=r"holds no signal to draw"):
        found.plot()


def test_a_corpus_of_chirps_has_the_length_that_theory_says():
    """A linear chirp of 60 Hz/s asks for a Gaussian window of 1 / sqrt(2 pi 60) seconds, wherever it begins."""
    t = np.arange(4000) / 1000
    chirps = [np.cos(2 * np.pi * (f * t[:n] + 30 * t[:n] ** 2)) for f, n in ((50, 4000), (100, 3000), (150, 2500))]
    found = adaptstft.optimize(chirps, 1000, window=("gaussian", 6))
    assert found.win_length == pytest.approx(6 * 1000 / np.sqrt(2 * np.pi * 60), rel=0.02)


def test_callback_and_progress(signals):
    seen = []
    found = adaptstft.optimize(signals, 1000, callback=lambda r: seen.append(float(r.fun)))
    assert len(seen) >= found.nit


# ---------------------------------------------------------------------------------------
# What is refused

REFUSED = {
    "gini": (
        {"criterion": "gini"},
        r"criterion='gini' must be a function of sums over the spectrogram for a corpus",
    ),
    "callable": ({"criterion": lambda P: P.sum()}, r"criterion='callable'.*one of \["),
    "local": ({"scope": "local"}, r"scope='local' needs one signal in memory.*'global' or 'frame'"),
    "width": ({"criterion": criteria.Renyi(width=0.1)}, r"scope='local' needs one signal in memory"),
    "time": ({"window_mode": "time"}, r"window_mode='time' needs one signal, in memory or as a Dask.*'frequency'"),
    "bins": ({"window_mode": "time-frequency"}, r"window_mode='time-frequency' needs one signal in memory"),
    "positions": ({"hop_mode": "time"}, r"hop_mode='time' needs one signal in memory.*'fixed' or 'constant'"),
    "chirp-rate": ({"method": "chirp-rate"}, r"method='chirp-rate' needs one signal in memory"),
    "long windows": ({"win_bounds": (16, 9999)}, r"win_bounds=\(16, 9999\): windows may have at most 4001 samples"),
    "lengths": (
        {"window_mode": "fixed", "win_length": np.full(102, 90.0), "hop": 40, "mfft": 128},
        r"win_length has shape \(102,\); for a corpus or a Dask array it must be one length",
    ),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_settings(signals, settings, message):
    with pytest.raises(ValueError, match=message):
        adaptstft.optimize(signals, 1000, **settings)


BAD_ITEMS = {
    "nan": ([np.ones(99), np.full(50, np.nan)], r"signal 1 of the corpus: x has 50 NaN or infinite values"),
    "empty": ([np.ones(99), np.ones(0)], r"signal 1 of the corpus: x is empty"),
    "text": ([np.ones(99), lambda: np.array(["a"])], r"signal 1 of the corpus: x must be numeric"),
    "ending": ([__file__], r"signal 0 of the corpus \(.*\): .*: unknown ending '\.py', expected one of \.wav, \.csv"),
    "missing": (["no.wav"], r"signal 0 of the corpus \(no\.wav\): .*No such file"),
    "silent": ([np.zeros(99), np.ones(50)], r"all 2 signals of the corpus are silent once their trends are removed"),
    "rate": (
        [Recording(np.ones((1, 9)), 8000.0, "a")],
        r"its sampling rate of 8000 Hz must be fs=1000 Hz",
    ),
}


@pytest.mark.parametrize(("items", "message"), BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_bad_items(items, message):
    with pytest.raises(ValueError, match=message):
        adaptstft.optimize(items, 1000)


def test_single_samples():
    with pytest.raises(ValueError, match=r"no signal of the corpus has more than one sample"):
        adaptstft.optimize([lambda: np.ones(1)], 1000)


def test_another_rate_in_a_file(tmp_path):
    import scipy.io.wavfile

    scipy.io.wavfile.write(tmp_path / "a.wav", 8000, np.ones(99, np.float32))
    with pytest.raises(ValueError, match=r"signal 0 of the corpus \(.*a\.wav\): .*its sampling rate is 8000 Hz"):
        adaptstft.optimize([tmp_path / "a.wav"], 1000)


BAD_CORPORA = {
    "string": (TypeError, lambda: Corpus("a.wav"), r"items='a.wav' must be a sequence or iterator"),
    "number": (TypeError, lambda: Corpus(3), r"items=3 must be a sequence or iterator"),
    "none": (ValueError, lambda: Corpus([]), r"items is empty: a corpus needs at least one signal"),
    "weights": (ValueError, lambda: Corpus(["a"], weights=[1, 2]), r"weights has shape \(2,\), for 1 signals"),
    "zero": (ValueError, lambda: Corpus(["a"], weights=[0]), r"weights\[0\]=0\.0 must be greater than 0"),
    "text": (TypeError, lambda: Corpus(["a"], weights=["b"]), r"weights=\['b'\] must be real numbers"),
    "executor": (TypeError, lambda: Corpus(["a"], executor=2), r"executor=2 must have a method submit"),
}


@pytest.mark.parametrize(("kind", "make", "message"), BAD_CORPORA.values(), ids=BAD_CORPORA)
def test_bad_corpora(kind, make, message):
    with pytest.raises(kind, match=message):
        make()


def test_failures_cancel_what_is_left(signals):
    """An executor is not left with work after an error."""

    submitted = []

    class Counting(ThreadPoolExecutor):
        def submit(self, *arguments):
            submitted.append(super().submit(*arguments))
            return submitted[-1]

    with Counting(1) as executor, pytest.raises(ValueError, match=r"signal 0 of the corpus: x is empty"):
        adaptstft.optimize(Corpus([np.ones(0), *signals], executor=executor), 1000)
    assert all(future.done() for future in submitted)


def test_pieces_say_how_many_threads(signals):
    with ThreadPoolExecutor(1) as executor:
        assert CorpusSignals(Corpus(signals, executor=executor), 1000.0).threads(None) == 1
        assert CorpusSignals(Corpus(signals, executor=executor), 1000.0).threads(2) == 2
    assert CorpusSignals(Corpus(signals), 1000.0).threads(3) == 3


def test_an_iterator_keeps_what_recordings_are():
    rng = np.random.default_rng(0)
    recordings = [Recording(rng.standard_normal((1, 600)), fs, f"{fs:g}") for fs in (8e3, 16e3)]
    with pytest.raises(ValueError, match="8000 Hz"):
        adaptstft.optimize(iter(recordings), 16e3)
    same = [Recording(r.x, 8e3, r.name) for r in recordings]
    listed, kept = (adaptstft.optimize(adaptstft.Corpus(items, axis=0), 8e3) for items in (same, iter(same)))
    assert kept.win_length == listed.win_length


@pytest.mark.parametrize(
    ("criterion", "scope"), [("description-length", "global"), ("renyi", "global"), ("renyi", "frame")]
)
def test_signals_of_one_length_as_channels_and_as_a_corpus(rng, criterion, scope):
    """A list of them is an array, an iterator a corpus: alike in scope "global", as documented not in "frame"."""
    alike = [chirp(2000, f, rng) * level for f, level in ((50, 1.0), (120, 0.3), (200, 3.0))]
    # a window without jumps at its ends, at which rounding would decide where a descent ends
    settings = {"criterion": criterion, "scope": scope, "window": ("gaussian", 8.5)}
    channels = adaptstft.optimize(alike, 1000, **settings)
    assert channels.positions is not None and channels.signal.shape == (3, 2000)
    array = adaptstft.optimize(np.stack(alike), 1000, **settings)
    assert same(channels, array, 0.0)
    corpus = adaptstft.optimize(iter(alike), 1000, **settings)
    assert corpus.signals == 3
    assert same(corpus, adaptstft.optimize(Corpus(alike), 1000, **settings))
    assert same(channels, corpus) == (scope == "global")
