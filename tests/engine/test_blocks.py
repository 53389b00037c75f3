"""Blocks on threads: order of merging, errors, forks; and an import that compiles nothing."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from adaptstft import AdaptiveShortTimeFFT, kernels, windows
from adaptstft.common.threads import block_ranges, count_workers, run_blocks
from adaptstft.engine import blocks as engine_blocks
from adaptstft.engine import frames as engine_frames
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_results_are_merged_in_order(workers):
    rng = np.random.default_rng(0)
    naps = rng.uniform(0, 2e-3, 40)
    merged = []

    def work(i):
        time.sleep(naps[i])
        return 10 * i

    run_blocks(40, work, workers, lambda i, result: merged.append((i, result)))
    assert merged == [(i, 10 * i) for i in range(40)]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("where", ["work", "merge"])
def test_errors_come_back(workers, where):
    def fail(i, *_):
        if i == 5:
            raise KeyError("block 5")
        return i

    with pytest.raises(KeyError, match="block 5"):
        run_blocks(30, fail if where == "work" else int, workers, fail if where == "merge" else None)


def test_threads_are_used():
    seen = set()
    barrier = threading.Barrier(3, timeout=20)

    def work(_):
        seen.add(threading.get_ident())
        barrier.wait()

    run_blocks(3, work, 3)
    assert len(seen) == 3


def test_nothing_to_do():
    run_blocks(0, lambda i: pytest.fail("called"), 4)


@pytest.mark.parametrize("mfft", [1, 64, 1500, 10**6])
def test_ranges_cover_the_frames_once(mfft):
    ranges = block_ranges(1234, mfft)
    assert [i for low, high in ranges for i in range(low, high)] == list(range(1234))


def test_counting_workers():
    cores = count_workers(None)
    assert cores >= 1
    assert count_workers(3) == 3
    assert count_workers(-1) == cores
    assert count_workers(-10_000) == 1


def test_import_compiles_and_loads_nothing():
    code = (
        "import sys, adaptstft; "
        "heavy = {'numba', 'llvmlite', 'autograd', 'scipy.signal', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy; print(sorted(adaptstft.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "optimize" in done.stdout


def test_every_public_name_is_importable():
    import adaptstft

    for name in adaptstft.__all__:
        assert getattr(adaptstft, name) is not None
    assert set(adaptstft.__all__) <= set(dir(adaptstft))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = adaptstft.nonsense


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(engine_frames, "_PIECE", 3)
    monkeypatch.setattr(engine_blocks, "_FEW_FRAMES", 0)


def test_properties_of_all_frames_are_computed_piece_by_piece(small_pieces):
    positions = np.arange(11) * 4.0
    frames = make_frames(np.float64(9.5), positions, mfft=16).moved(2)
    placed = frames[:]
    assert frames.covered() == (placed.start.min(), (placed.start + placed.count).max()) == (-2, 47)
    np.testing.assert_array_equal(frames.centre, positions + 2)


def test_blocks_know_whether_their_frames_share_a_window():
    positions = np.arange(11) * 4.0
    assert make_frames(np.float64(9.5), positions, mfft=16)[:].share_window
    assert not make_frames(np.float64(9.5), positions + 0.1 * (positions > 39), mfft=16)[:].share_window
    mixed = make_frames(np.where(positions > 39, 9.0, 9.5), positions, mfft=16)
    assert not mixed[:].share_window
    assert mixed[:10].share_window


@pytest.mark.parametrize("length", [np.nextafter(32.0, 33), np.nextafter(32.0, 31), 32.0, 31.5])
def test_frames_that_share_a_window_have_as_many_samples(length):
    # centre + length / 2 is rounded up for small centres, and down for large ones
    frames = make_frames(np.float64(length), np.arange(4096.0) * 4, mfft=64)[:]
    for lead in set(frames.lead):
        assert len(set(frames.count[frames.lead == lead])) == 1


def test_blocks_that_share_different_windows_are_sampled_in_turn(monkeypatch):
    """In blocks of three frames there are shared windows, others, and shared ones again."""
    plan = FramePlan(16, "onesided", None, kernels.resolve("numpy")[1], 1, windows.resolve("hann"), 1.0)
    x = np.random.default_rng(0).standard_normal((1, 60))
    lengths = np.array([9.5, 9.5, 9.5, 9.5, 8.0, 8.0, 8.0, 8.0, 8.0, 9.5, 9.5, 9.5])
    frames = make_frames(lengths, np.arange(12) * 4.0, mfft=16)
    monkeypatch.setattr(engine_blocks, "block_ranges", lambda n, *_: [(k, min(k + 3, n)) for k in range(0, n, 3)])
    in_turn = forward(plan, x, frames)
    alone = [forward(plan, x, make_frames(lengths[p : p + 1], frames.positions[p : p + 1], mfft=16)) for p in range(12)]
    np.testing.assert_allclose(in_turn, np.concatenate(alone, axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_use_the_rows_of_windows_again(monkeypatch, dtype, rng):
    """Blocks of five frames, and a shorter last one, whose windows have another longest length in each block."""
    monkeypatch.setattr(engine_blocks, "block_ranges", lambda n, *_: [(k, min(k + 5, n)) for k in range(0, n, 5)])
    x, frames = rng.standard_normal(900).astype(dtype), 113
    settings = {"positions": np.arange(frames) * 8.0, "mfft": 64}
    lengths, cotangent = rng.uniform(6.0, 63.0, frames), rng.standard_normal((33, frames)).astype(dtype)
    found = []
    for backend, workers in (("numba", 3), ("numpy", 1)):
        sft = AdaptiveShortTimeFFT("hann", lengths, None, 1.0, workers=workers, backend=backend, **settings)
        power, vjp = sft.spectrogram_and_vjp(x)
        gradients = vjp(cotangent, wrt=("x", "win_length", "positions"))
        found.append((sft.stft(x), power, gradients.x, gradients.win_length, gradients.positions))
    for numba, numpy in zip(*found, strict=True):
        np.testing.assert_allclose(numba, numpy, atol=2000 * np.finfo(dtype).eps * np.abs(numpy).max(), rtol=0)


def test_rows_of_windows_are_as_long_as_the_longest_window_of_a_block():
    plan = FramePlan(4096, "onesided", None, kernels.resolve("numpy")[1], 1, windows.resolve("hann"), 1.0)
    frames = make_frames(np.array([40.5, 60.0, 50.0]), np.arange(3) * 8.0, mfft=4096)
    blocks = engine_blocks.WindowedBlocks(plan, frames, np.float64, gradient=True)
    rows = blocks.windows(frames[:])
    assert rows.w.shape == rows.dw.shape == (3, 60) and rows.w.flags.c_contiguous
    assert np.shares_memory(rows.w, blocks.windows(frames[:2]).w)


def test_frames_are_the_same_laid_out_block_by_block(monkeypatch):
    x = np.random.default_rng(0).standard_normal(3000)
    results = []
    for few in (0, 1 << 14):
        monkeypatch.setattr(engine_blocks, "_FEW_FRAMES", few)
        sft = AdaptiveShortTimeFFT("hann", 95.3, 7.7, 1.0, mfft=4096)  # blocks of a few frames
        value, gradient = sft.value_and_grad(x, "shannon", wrt=("win_length", "positions"))
        results.append((value, gradient.win_length, *gradient.positions))
    np.testing.assert_array_equal(*results)
