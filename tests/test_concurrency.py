"""The same results from many threads at once and from forked processes."""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import adaptstft
from adaptstft import AdaptiveShortTimeFFT
from adaptstft.common import threads as blocks

N_THREADS = 8


def chirp(rate, n=3000, fs=1000.0):
    t = np.arange(n) / fs
    return np.cos(2 * np.pi * (60 * t + rate / 2 * t**2))


def transform_of(seed, workers=2, backend="auto"):
    rng = np.random.default_rng(seed)
    positions = np.cumsum(rng.uniform(10, 30, 140))
    lengths = rng.uniform(60, 128, 140)
    return AdaptiveShortTimeFFT("hann", lengths, None, 1.0, positions=positions, workers=workers, backend=backend)


def transform_task(seed):
    """Everything that runs on the thread pool."""
    transform, x = transform_of(seed), chirp(20 + seed)
    S = transform.stft(x)
    value, gradient = transform.value_and_grad(x, "renyi")
    restored = transform.istft(S, 200, 2000)
    return S, value, gradient.win_length, gradient.x, restored


def tuning_task(seed):
    mode, x = ("constant", "time")[seed % 2], chirp(300 + 50 * seed, 500)
    settings = {"win_bounds": (60, 130), "hop": 40.0, "starts": 1, "options": {"maxiter": 5}}
    result = adaptstft.optimize(x, 1000.0, window_mode=mode, workers=2, **settings)
    return np.ravel(result.win_length), result.fun, result.nfev


def assert_same(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("task", [transform_task, tuning_task])
@pytest.mark.slow
def test_threads_at_once(task):
    serial = [task(seed) for seed in range(N_THREADS)]
    barrier = threading.Barrier(N_THREADS)

    def together(seed):
        barrier.wait(timeout=60)
        return task(seed)

    with ThreadPoolExecutor(N_THREADS) as pool:
        parallel = list(pool.map(together, range(N_THREADS), timeout=120))
    for actual, expected in zip(parallel, serial, strict=True):
        assert_same(actual, expected)


def test_threads_share_one_transform():
    transform, x = transform_of(3), chirp(40)
    expected = transform.stft(x)
    with ThreadPoolExecutor(N_THREADS) as pool:
        for S in pool.map(transform.stft, [x] * 40, timeout=120):
            assert_array_equal(S, expected)


def test_errors_of_one_thread_leave_the_others_alone():
    transform, x = transform_of(3), chirp(40)
    expected = transform.stft(x)
    bad = np.where(np.arange(x.size) == 7, np.nan, x)

    def attempt(k):
        if k % 2:
            with pytest.raises(ValueError, match="NaN"):
                transform.stft(bad)
            return expected
        return transform.stft(x)

    with ThreadPoolExecutor(N_THREADS) as pool:
        for S in pool.map(attempt, range(20), timeout=120):
            assert_array_equal(S, expected)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("task", [transform_task, tuning_task])
def test_forked_processes_after_first_use(task):
    """The thread pool of the parent does not exist in a child; compiled code and caches do."""
    expected = [task(seed) for seed in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map_async(task, range(4)).get(timeout=120)
    for actual, wanted in zip(results, expected, strict=True):
        assert_same(actual, wanted)
    assert_same(task(0), expected[0])  # and the parent goes on


def run_two_blocks_at_once(timeout):
    """Run two blocks that wait for each other, so that they need two threads."""
    barrier = threading.Barrier(2)
    blocks.run_blocks(2, lambda k: barrier.wait(timeout), 2)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_forked_process_makes_threads_of_its_own():
    run_two_blocks_at_once(60)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(run_two_blocks_at_once, (60,)).get(timeout=120)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_blocks_run_once_each_and_merge_in_order(workers):
    done, merged = [], []

    def work(k):
        time.sleep(0.003 * (k % 3 == 0))  # later blocks end first
        done.append(k)
        return k * k

    blocks.run_blocks(50, work, workers, lambda k, square: merged.append((k, square)))
    assert sorted(done) == list(range(50))
    assert merged == [(k, k * k) for k in range(50)]


def test_error_in_a_block_reaches_the_caller():
    def work(k):
        if k == 17:
            raise RuntimeError("block 17")
        return k

    merged = []
    for workers in (1, 3):
        with pytest.raises(RuntimeError, match="block 17"):
            blocks.run_blocks(40, work, workers, lambda k, _: merged.append(k))
    assert all(k < 17 for k in merged)


def test_blocks_within_blocks_do_not_wait_for_each_other():
    """More callers than the pool has threads, each with blocks that ask for helpers."""
    totals = np.zeros(100)

    def outer(k):
        inner = []
        blocks.run_blocks(4, lambda j: j, 4, lambda _, j: inner.append(j))
        totals[k] = sum(inner)

    blocks.run_blocks(100, outer, 80)
    assert_array_equal(totals, 6)
