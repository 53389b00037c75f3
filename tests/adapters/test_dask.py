"""Transforms and tuning of Dask arrays equal those of the signal in memory, for any chunks and workers."""

import itertools
import os
import signal
import time
from functools import cache

import numpy as np
import pytest

dask = pytest.importorskip("dask", reason="Dask comes with the extra 'dask'")
da = pytest.importorskip("dask.array", reason="Dask comes with the extra 'dask'")
distributed = pytest.importorskip("distributed", reason="Dask's workers come with the extra 'dask'")

import adaptstft  # noqa: E402
import adaptstft.dask as lazy  # noqa: E402
from adaptstft import AdaptiveShortTimeFFT, criteria  # noqa: E402
from adaptstft.tuning.shared import dask_signals  # noqa: E402

N = 5000
#: Rounding of sums over all frames, relative.
ROUNDING = 1e-10
CHUNKS = {"small": (1, 317), "one": (2, N), "uneven": (2, (13, 2000, 2987)), "samples": (2, 4000)}


@pytest.fixture(autouse=True)
def short_stretches():
    """Several stretches of a signal that is short enough to test."""
    with dask.config.set({"adaptstft.stretch": 1800}):
        yield


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, N))


def transforms():
    """A transform of every kind of frames."""
    rng = np.random.default_rng(5)
    f = np.linspace(60, 199, 101)[:, None]
    p_num = AdaptiveShortTimeFFT("hann", 200, 30.3, fs=100.0).p_num(N)
    positions = np.sort(rng.uniform(-20, N + 100, 150))
    return {
        "constant": AdaptiveShortTimeFFT("hann", 100.5, 30.3, fs=100.0, mfft=256),
        "positions": AdaptiveShortTimeFFT("hann", 100.5, None, fs=100.0, positions=positions, mfft=256),
        "lengths": AdaptiveShortTimeFFT("hann", rng.uniform(50, 200, p_num), 30.3, fs=100.0, max_length=200),
        "frequencies": AdaptiveShortTimeFFT("hann", f, 30.3, fs=100.0, max_length=200),
        "bins": AdaptiveShortTimeFFT("hann", f * np.linspace(0.7, 1, p_num), 30.3, fs=100.0, max_length=200),
        "shape": AdaptiveShortTimeFFT(("gaussian", 6), 80.0, 20, fs=100.0, scale_to="psd", phase_shift=None),
        "offset": AdaptiveShortTimeFFT("hann", 81, 20, fs=100.0, window_offset=0.5, workers=2),
    }


def close(found, wanted, tol=1e-12):
    found = np.asarray(found)
    assert found.shape == np.shape(wanted) and found.dtype == np.asarray(wanted).dtype
    return np.abs(found - wanted).max() <= tol * max(np.abs(wanted).max(), 1e-300)


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("kind", transforms())
def test_transforms(x, kind, chunks):
    sft, array = transforms()[kind], da.from_array(x, chunks=chunks)
    assert len(dask_signals.stretches_of(array)) > 2
    S, P = lazy.stft(sft, array), lazy.spectrogram(sft, array)
    assert isinstance(S, da.Array) and S.shape == sft.stft(x).shape
    assert close(S.compute(), sft.stft(x)) and close(P.compute(), sft.spectrogram(x))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.complex64, complex, np.int16, ">f8"])
def test_types(x, dtype):
    sft = AdaptiveShortTimeFFT("hann", 100, 25, fs=1.0, fft_mode="centered")
    typed = (100 * x).astype(dtype)
    found = lazy.stft(sft, da.from_array(typed, chunks=(1, 700)))
    assert found.dtype == sft.stft(typed).dtype
    assert close(found.compute(), sft.stft(typed), 1e-6 if found.dtype == np.complex64 else 1e-12)


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_axes(x, axis):
    sft = AdaptiveShortTimeFFT("hann", 100, 25, fs=1.0)
    turned = np.moveaxis(np.stack([x, 2 * x]), -1, axis)
    array = da.from_array(turned, chunks=700)
    assert close(lazy.stft(sft, array, axis=axis).compute(), sft.stft(turned, axis=axis))
    value, gradient = dask.compute(*lazy.value_and_grad(sft, array, "renyi", axis=axis))
    expected, wanted = sft.value_and_grad(turned, "renyi", axis=axis)
    assert value == pytest.approx(expected, rel=1e-12) and close(gradient.x, wanted.x)


def test_a_part_of_the_result_reads_a_part_of_the_signal(x):
    """A part of the result takes only that part of the signal."""
    seen = []

    def read(block, block_info=None):
        seen.append(block_info[0]["array-location"][-1])
        return block

    array = da.from_array(x, chunks=(2, 500)).map_blocks(read, dtype=float, meta=np.zeros((0, 0)))
    sft = AdaptiveShortTimeFFT("hann", 100, 25, fs=1.0)
    with dask.config.set(scheduler="synchronous"):
        part = lazy.stft(sft, array)[..., :10].compute()
    assert part.shape[-1] == 10 and max(high for _, high in seen) < N / 2


CRITERIA = ["renyi", "hoyer", criteria.Shannon(scope="frame"), criteria.Kurtosis(scope="frame")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "criterion"),
    [
        pytest.param(kind, criterion, marks=pytest.mark.full if (i + j) % 3 else ())
        for i, kind in enumerate(transforms())
        for j, criterion in enumerate(CRITERIA)
    ],
)
def test_value_and_grad(x, kind, criterion):
    sft = transforms()[kind]
    value, gradient = lazy.value_and_grad(sft, da.from_array(x, chunks=(1, 317)), criterion)
    value, gradient = dask.compute(value, gradient)
    expected, wanted = sft.value_and_grad(x, criterion)
    assert value == pytest.approx(expected, rel=1e-12)
    for name in ("win_length", "positions", "hop", "shape", "x"):
        if getattr(wanted, name) is None:
            assert getattr(gradient, name) is None
        else:
            assert close(getattr(gradient, name), getattr(wanted, name), ROUNDING)


def test_value_and_grad_of_a_part(x):
    sft = transforms()["constant"]
    _, gradient = lazy.value_and_grad(sft, da.from_array(x, chunks=700), "renyi", wrt=("win_length",))
    assert gradient.x is None and gradient.hop is None and isinstance(gradient.win_length, da.Array)
    value, none = lazy.value_and_grad(sft, da.from_array(x, chunks=700), "renyi", wrt=())
    assert value.compute() == pytest.approx(sft.value_and_grad(x, "renyi")[0], rel=1e-12) and none.win_length is None


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_any_amplitude(x, scale):
    sft = transforms()["constant"]
    value, _ = lazy.value_and_grad(sft, da.from_array(x * scale, chunks=700), "renyi", wrt=())
    assert value.compute() == pytest.approx(sft.value_and_grad(x, "renyi")[0], rel=1e-9)


# ---------------------------------------------------------------------------------------
# Tuning


def chirp():
    t = np.arange(N) / 1000
    return np.cos(2 * np.pi * (50 * t + 15 * t**2)) + 0.1 * np.random.default_rng(7).standard_normal((2, N)) + t


#: Lengths of the search, which takes the longer the more there are; the best one without the trend is among them.
BOUNDED = {"win_bounds": (100, 800)}
MODES = {
    "constant": {},
    "hop": {"hop_mode": "constant"},
    "shape": {"window": ("gaussian", 6), "tune_shape": True, "criterion": "renyi"},
    "frame": {"criterion": "kurtosis", "scope": "frame"},
    "hoyer": {"criterion": "hoyer"},
    "linear": {"detrend": "linear"},
    "as it is": {"detrend": None, "win_bounds": (50, 800), "win_length": 70.3, "hop": 33.3, "starts": 1},
    "frequency": {
        "window_mode": "frequency",
        "scope": "global",
        "accuracy": None,
        "win_bounds": (50, 500),
        "options": {"maxiter": 3},
    },
}


def same(a, b):
    lengths = np.allclose(a.win_length, b.win_length, rtol=ROUNDING, atol=0)
    return lengths and abs(a.fun - b.fun) <= ROUNDING and abs(a.area_fun - b.area_fun) <= ROUNDING


@pytest.mark.parametrize("chunks", [(2, (13, 2000, 2987)), pytest.param((1, 600), marks=pytest.mark.full)])
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.slow
def test_tuning(mode, chunks):
    x = chirp()
    settings = BOUNDED | mode
    in_memory = adaptstft.optimize(x, 1000, **settings)
    assert same(in_memory, adaptstft.optimize(da.from_array(x, chunks=chunks), 1000, **settings))


@pytest.mark.slow
def test_chunks_change_nothing():
    x = chirp().astype(np.float32)
    settings = {"detrend": "linear"} | BOUNDED
    found = [adaptstft.optimize(da.from_array(x, chunks=chunks), 1000, **settings) for chunks in CHUNKS.values()]
    assert 100 < found[0].win_length < 800
    assert all(same(found[0], other) for other in found[1:])


def test_result_of_a_dask_array():
    x = chirp()
    found = adaptstft.optimize(da.from_array(x, chunks=(1, 600)), 1000, **BOUNDED)
    assert (found.signals, found.samples, found.signal, found.positions) == (1, N, None, None)
    assert close(lazy.stft(found.sft, da.from_array(x, chunks=600)).compute(), found.sft.stft(x))


# ---------------------------------------------------------------------------------------
# Lengths of frames

#: Accuracy of sums in single precision: some thousand terms are added.
SINGLE = 1e-5
FRAMES = {
    "local": {},
    "renyi": {"criterion": "renyi"},
    "frame": {"criterion": "renyi", "scope": "frame", "smoothness": 0.1},
    "hoyer": {"criterion": "hoyer", "detrend": "linear"},
    "global": {"scope": "global", "hop": 24.5},
    "width": {"criterion": criteria.Shannon(width=0.7), "hop_mode": "constant", "hop_bounds": (20, 30)},
    "no guarantees": {"min_overlap": None, "scope": "global", "window": "gaussian"},
    "each": {"hop": 40, "win_length": np.linspace(150, 300, 126), "scope": "global"},
    "ratio": {"max_frame_ratio": 2.2, "hop": 60, "criterion": "renyi", "scope": "frame"},
}


def changing():
    """A tone with clicks in one half, a chirp in the other."""
    t = np.arange(N) / 1000
    parts = np.cos(2 * np.pi * 200 * t) + 8 * (np.arange(N) % 700 == 0), np.cos(2 * np.pi * (50 * t + 40 * t**2))
    return np.where(t < 2.5, *parts) + 0.1 * np.random.default_rng(7).standard_normal((2, N)) + t


@cache
def lengths_in_memory(mode):
    return adaptstft.optimize(changing(), 1000, window_mode="time", **BOUNDED | FRAMES[mode])


def same_frames(a, b):
    """The frames are the same, their lengths up to one step of the grid, and the values."""
    assert (a.hop, a.nfev, a.sft.mfft) == (b.hop, b.nfev, b.sft.mfft) and np.array_equal(a.positions, b.positions)
    assert a.criterion.width == (b.criterion.width and pytest.approx(b.criterion.width, rel=1e-12))
    lengths = np.abs(a.win_length - b.win_length).max() <= a.hop / 32 * (1 + 1e-9)
    names = ("fun", "prices", "area_fun", "initial_area_fun")
    assert np.allclose(a.survey.values, b.survey.values, rtol=SINGLE)
    return lengths and all(abs(getattr(a, name) - getattr(b, name)) <= SINGLE for name in names)


@pytest.mark.parametrize("chunks", [(2, (13, 2000, 2987)), pytest.param((1, 600), marks=pytest.mark.full)])
@pytest.mark.parametrize("mode", [*FRAMES][:4] + [pytest.param(name, marks=pytest.mark.full) for name in [*FRAMES][4:]])
@pytest.mark.slow
def test_lengths_of_frames(mode, chunks):
    in_memory = lengths_in_memory(mode)
    assert np.ptp(in_memory.win_length) > 50
    found = adaptstft.optimize(
        da.from_array(changing(), chunks=chunks), 1000, window_mode="time", **BOUNDED | FRAMES[mode]
    )
    assert same_frames(in_memory, found)
    # a length that differs by one step of the grid has another derivative
    equal = np.isclose(found.win_length, in_memory.win_length, rtol=1e-9)
    assert np.mean(equal) > 0.9
    assert np.allclose(found.jac[equal], in_memory.jac[equal], rtol=0, atol=SINGLE * np.abs(in_memory.jac).max())


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_types_of_signals_with_lengths_of_frames(dtype):
    x = changing().astype(dtype)
    settings = {"window_mode": "time", "criterion": "renyi", "scope": "frame", "hop": 50, "win_bounds": (100, 400)}
    settings["detrend"] = "constant"  # a linear trend differs by the rounding of single precision
    in_memory, found = (adaptstft.optimize(y, 1000, **settings) for y in (x, da.from_array(x, chunks=700)))
    assert same_frames(in_memory, found) and found.sft.fft_mode == in_memory.sft.fft_mode


@pytest.mark.slow
def test_stretches_without_frames():
    """Most stretches are shorter than the hop, and contain no position of a frame."""
    x, settings = changing()[0, 1500:3500], {"window_mode": "time", "hop": 300, "win_bounds": (700, 1000)}
    with dask.config.set({"adaptstft.stretch": 100}):
        found = adaptstft.optimize(da.from_array(x, chunks=100), 1000, **settings)
    assert same_frames(adaptstft.optimize(x, 1000, **settings), found)


def test_result_with_lengths_of_frames(tmp_path):
    x = changing()
    array = da.from_array(x, chunks=(1, 600))
    found = adaptstft.optimize(array, 1000, window_mode="time", hop=50, win_bounds=(100, 400))
    assert (found.signals, found.samples, found.signal) == (1, N, None)
    assert found.win_length.shape == found.positions.shape == (101,) == (found.sft.p_num(N),)
    assert np.array_equal(found.sft.win_length, found.win_length)
    S = found.sft.stft(x)
    assert close(lazy.stft(found.sft, array).compute(), S)
    assert np.allclose(found.sft.istft(S, k1=N), x)
    found.save(tmp_path / "found.npz")
    assert np.array_equal(adaptstft.load(tmp_path / "found.npz").positions, found.positions)


def test_a_callback_stops_the_search_for_lengths_of_frames():
    def stop(intermediate_result):
        if intermediate_result.stage == "varying":
            raise StopIteration

    settings = {"window_mode": "time", "hop": 50, "win_bounds": (100, 400), "callback": stop}
    in_memory, found = (adaptstft.optimize(y, 1000, **settings) for y in (changing(), da.from_array(changing())))
    assert found.status == in_memory.status == 99 and same_frames(in_memory, found)


def test_no_task_has_more_than_a_stretch_and_half_a_window_on_both_sides(monkeypatch):
    seen, filled = set(), dask_signals._filled

    def spy(block, stretch, *arguments):
        seen.add((block.shape[-1], min(stretch.stop, N) - stretch.start))
        return filled(block, stretch, *arguments)

    monkeypatch.setattr(dask_signals, "_filled", spy)
    array = da.from_array(changing(), chunks=(2, 500))
    with dask.config.set({"adaptstft.stretch": 1000}, scheduler="synchronous"):
        found = adaptstft.optimize(array, 1000, window_mode="time", win_bounds=(100, 500))
    assert found.win_length.max() > 250
    assert {own for _, own in seen} == {500}
    # a margin is the power of two from half a window and two samples on
    assert max(samples for samples, _ in seen) == 500 + 2 * 256


# ---------------------------------------------------------------------------------------
# Workers


@pytest.fixture(scope="module")
def cluster():
    with (
        dask.config.set({"distributed.worker.daemon": True}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def _made(block_info=None):
    """Make a chunk where it is needed."""
    (_, _), (low, high) = block_info[None]["array-location"]
    return chirp()[:, low:high]


def made():
    return da.map_blocks(_made, chunks=((2,), (1000,) * 5), dtype=float, meta=np.zeros((0, 0)))


@pytest.mark.slow
def test_tuning_on_workers(cluster):
    """The workers make and keep the data; none are sent to the client."""
    in_memory = adaptstft.optimize(chirp(), 1000, **BOUNDED)
    assert same(in_memory, adaptstft.optimize(made().persist(), 1000, **BOUNDED))


@pytest.mark.slow
def test_lengths_of_frames_on_workers(cluster):
    settings = {"window_mode": "time", "win_bounds": (100, 400)}
    in_memory = adaptstft.optimize(chirp(), 1000, **settings)
    assert same_frames(in_memory, adaptstft.optimize(made().persist(), 1000, **settings))


def test_gradient_on_workers(cluster):
    sft = transforms()["constant"]
    value, gradient = dask.compute(*lazy.value_and_grad(sft, made(), "renyi"))
    expected, wanted = sft.value_and_grad(chirp(), "renyi")
    assert value == pytest.approx(expected, rel=1e-12) and close(gradient.x, wanted.x, ROUNDING)


def test_a_corpus_on_workers(cluster):
    signals = [chirp()[0], chirp()[1, :3000], chirp()[0, 1000:]]
    alone = adaptstft.optimize(signals, 1000, **BOUNDED)
    assert same(alone, adaptstft.optimize(adaptstft.Corpus(signals, executor=cluster), 1000, **BOUNDED))


def _kill_one(client):
    pids = client.run(os.getpid)
    os.kill(next(iter(pids.values())), getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has the latter, as final
    return set(pids.values())


@pytest.mark.slow
def test_tuning_survives_a_dead_worker(cluster):
    """One of two workers is killed after the first iteration, with the part of the signal that it holds."""
    settings = {"starts": 1, "win_length": 400.0, "hop": 20, "mfft": 1024}
    in_memory = adaptstft.optimize(chirp(), 1000, **settings)
    before = []

    def kill(intermediate_result):
        if not before:
            before.extend(_kill_one(cluster))

    found = adaptstft.optimize(made().persist(), 1000, callback=kill, **settings)
    assert before and found.nit > 1
    assert same(in_memory, found)
    cluster.wait_for_workers(2, timeout=120)
    assert set(cluster.run(os.getpid).values()) != set(before)


def test_a_corpus_survives_a_dead_worker(cluster):
    cluster.wait_for_workers(2, timeout=120)
    signals = [chirp()[0], chirp()[1, :3000], chirp()[0, 1000:]]
    settings = {"starts": 1, "win_length": 400.0, "hop": 20, "mfft": 1024}
    alone = adaptstft.optimize(signals, 1000, **settings)
    killed = []

    def kill(intermediate_result):
        if not killed:
            killed.extend(_kill_one(cluster))
            time.sleep(0.1)

    corpus = adaptstft.Corpus([lambda x=x: x for x in signals], executor=cluster)
    assert same(alone, adaptstft.optimize(corpus, 1000, callback=kill, **settings))
    assert killed


# ---------------------------------------------------------------------------------------
# Stretches


def test_stretches_follow_chunks():
    assert dask_signals.divide((700, 700, 100), 2, 1000, 1600) == [(0, 700), (700, 1400), (1400, 1500)]
    assert dask_signals.divide((100,) * 10, 1, 250, 400) == [(0, 300), (300, 600), (600, 900), (900, 1000)]
    assert dask_signals.divide((1000,), 1, 100, 250) == [(0, 250), (250, 500), (500, 750), (750, 1000)]


def test_length_of_stretches(x):
    array = da.from_array(x, chunks=(2, 500))
    assert len(dask_signals.stretches_of(array)) == 10
    with dask.config.set({"adaptstft.stretch": 4000}):
        assert len(dask_signals.stretches_of(array)) == 10
    with dask.config.set({"adaptstft.stretch": 8000}):
        assert len(dask_signals.stretches_of(array)) == 5
    with (
        dask.config.set({"adaptstft.stretch": 0}),
        pytest.raises(ValueError, match=r"adaptstft\.stretch in Dask's configuration=0 must be at least 1"),
    ):
        lazy.stft(transforms()["constant"], array)


def test_stretches_cover_the_signal(rng):
    for _ in range(50):
        chunks = rng.integers(1, 500, rng.integers(1, 20)).tolist()
        found = dask_signals.divide(chunks, 2, 300, 600)
        assert found[0][0] == 0 and found[-1][1] == sum(chunks)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
        assert all(b - a <= 600 for a, b in found)


# ---------------------------------------------------------------------------------------
# What is refused


def test_refused(x):
    sft, array = transforms()["constant"], da.from_array(x, chunks=700)
    with pytest.raises(TypeError, match=r"x must be a dask\.array\.Array, got ndarray"):
        lazy.stft(sft, x)
    with pytest.raises(ValueError, match=r"axis=2 must lie in \[-2, 1\]"):
        lazy.stft(sft, array, axis=2)
    with pytest.raises(ValueError, match=r"x is empty: its shape is \(2, 0\)"):
        lazy.stft(sft, array[:, :0])
    with pytest.raises(ValueError, match=r"x has the unknown shape .*compute_chunk_sizes"):
        lazy.stft(sft, array[:, array[0] > 0])
    with pytest.raises(ValueError, match=r"x is complex, which a one-sided spectrum cannot represent"):
        lazy.stft(sft, array + 1j)
    with pytest.raises(TypeError, match=r"x must be numeric, got an array of dtype <U1"):
        lazy.stft(sft, da.from_array(np.array(["a", "b"])))
    with pytest.raises(ValueError, match=r"win_length has 172 entries"):
        lazy.stft(transforms()["lengths"], array[:, :4000])
    for criterion in ("gini", criteria.Renyi(width=0.1), lambda P: P.sum()):
        with pytest.raises(ValueError, match=r"for a signal in chunks it must be a function of sums"):
            lazy.value_and_grad(sft, array, criterion)
    with pytest.raises(ValueError, match=r"wrt=\('y',\) must be a tuple of names"):
        lazy.value_and_grad(sft, array, "renyi", wrt=("y",))


def test_bad_samples(x):
    sft, bad = transforms()["constant"], x.copy()
    bad[1, 3210] = np.nan
    array = da.from_array(bad, chunks=(1, 700))
    for make in (
        lambda: lazy.stft(sft, array).compute(),
        lambda: lazy.value_and_grad(sft, array, "renyi")[0].compute(),
        lambda: adaptstft.optimize(array, 1000),
    ):
        with pytest.raises(ValueError, match=r"x has 1 NaN or infinite values among its samples .*at sample 3210"):
            make()


def test_silent_signals():
    silent = da.zeros((2, N), chunks=700)
    with pytest.raises(ValueError, match=r"x is silent"):
        lazy.value_and_grad(transforms()["constant"], silent, "renyi")[0].compute()
    with pytest.raises(ValueError, match=r"x is silent once its trend is removed \(detrend='linear'\)"):
        adaptstft.optimize(silent + 3, 1000)
    with pytest.raises(ValueError, match=r"x has one sample; a Dask array must have at least two: pass x\.compute\(\)"):
        adaptstft.optimize(da.ones(1), 1000)


def test_refused_tuning(x):
    array = da.from_array(x, chunks=700)
    for mode in ({"hop_mode": "time"}, {"window_mode": "time-frequency"}, {"scope": "local"}):
        with pytest.raises(ValueError, match=r" needs one signal in memory"):
            adaptstft.optimize(array, 1000, **mode)
    with pytest.raises(ValueError, match=r"hop_mode='time' needs one signal in memory"):
        adaptstft.optimize(array, 1000, window_mode="time", hop_mode="time")
    for more in (
        {"method": "adam"},
        {"method": "grid"},
        {"window": ("gaussian", 6), "tune_shape": True},
        {"win_length": 100.0, "starts": 1},
        {"win_length": np.full((65, 1), 100.0), "hop": 30, "mfft": 128},
        {"criterion": criteria.Combined(["renyi", "shannon"], rule="min-norm")},
    ):
        with pytest.raises(ValueError, match=r"window_mode='time' for a Dask array needs method='L-BFGS-B'"):
            adaptstft.optimize(array, 1000, window_mode="time", **more)
    with pytest.raises(ValueError, match=r"criterion='gini'"):
        adaptstft.optimize(array, 1000, criterion="gini")
