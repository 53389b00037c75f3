"""Sums over bins, with and without gradients, and the number of calls between them and the FFT."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import kernels, windows
from adaptstft.criteria.distortion import Distortion
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.frames import make_frames
from adaptstft.engine.operator import analyse, energies, sum_statistics
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics, statistics, sums_of_longer_fft
from adaptstft.kernels import host_fft
from adaptstft.kernels.terms import LOG1P, POWER

MFFT = 64
POSITIONS = np.arange(20) * 12.5
STATS = Statistics.of((1.0, False), (1.0, True), (3.0, False), (0.5, False))


def frame_plan(backend="numba", window="hann"):
    return FramePlan(MFFT, "onesided2X", "psd", kernels.resolve(backend)[1], 2, windows.resolve(window), 1.0)


@pytest.mark.parametrize("per_bin", [False, True])
def test_sums_are_those_of_the_spectrogram(per_bin, backend, rng):
    plan, x = frame_plan(backend), rng.standard_normal((2, 250))
    lengths = rng.uniform(20, 60, POSITIONS.size)
    frames = make_frames(lengths, POSITIONS, mfft=MFFT)
    if per_bin:
        frames = BinFrames(np.repeat(lengths[:, np.newaxis], plan.f_pts, axis=1), POSITIONS, POSITIONS)
    E = energies(analyse(plan, x, frames))
    expected = [(E**a * (np.log(E) if log else 1)).sum(axis=(0, 2)) for a, log in STATS.pairs]
    # sums of 66 terms that cancel by a factor of ten at most
    assert_allclose(sum_statistics(plan, x, frames, STATS), expected, rtol=1e-11)


def test_gradients_with_one_window_for_all_frames_are_those_with_several(rng):
    """The former come from one row of samples, the latter from kernels that evaluate each window."""
    plan, x = frame_plan(), rng.standard_normal((2, 250))
    positions = np.arange(20) * 12.0 + 0.25
    common, mixed = (make_frames(np.r_[np.full(19, 40.3), last], positions, mfft=MFFT) for last in (40.3, 31.0))
    shifted = make_frames(np.full(20, 40.3), np.r_[positions[:-1], 230.5], mfft=MFFT)
    assert common.share_window and not mixed.share_window and not shifted.share_window
    values, gradients = statistics(plan, x, common, STATS, gradient=True)
    for frames in (mixed, shifted):
        others, expected = statistics(plan, x, frames, STATS, gradient=True)
        assert_allclose(values[:, :-1], others[:, :-1], rtol=1e-11)
        for name in ("win_length", "positions"):
            found, reference = (getattr(one, name)[:, :-1] for one in (gradients, expected))
            assert_allclose(found, reference, rtol=1e-9, atol=1e-9 * np.abs(reference).max())


def test_no_frames_have_no_sums(backend):
    values, gradients = statistics(
        frame_plan(backend), np.ones((1, 250)), make_frames(np.empty(0), np.empty(0), mfft=MFFT), STATS, gradient=True
    )
    assert values.shape == gradients.win_length.shape == gradients.positions.shape == (len(STATS), 0)


def local_distortion(x, offset=0.0):
    """Units that differ by a factor of a hundred within the signal."""
    places = Neighbourhoods.of_signal(x, 60.0)
    return Distortion(np.geomspace(0.1, 10, places.centres.size), places, offset)


def test_units_are_those_at_the_centres_of_the_windows(backend, rng):
    """The centres are neither the positions nor the origins of the phase."""
    plan, x, lengths = frame_plan(backend), rng.standard_normal((2, 250)), rng.uniform(20, 60, POSITIONS.size)
    stats, offset = Statistics.of((1.5, LOG1P)), 7.5
    at_positions, at_centres = (replace(stats, units=local_distortion(x, by)) for by in (offset, 0.0))
    frames = make_frames(lengths, POSITIONS, mfft=MFFT, window_offset=offset)
    rows = np.repeat(lengths[:, np.newaxis], plan.f_pts, axis=1)
    found = sum_statistics(plan, x, BinFrames(rows, POSITIONS + offset, POSITIONS - 9.0), at_centres)
    assert_allclose(found, sum_statistics(plan, x, frames, at_positions), rtol=1e-11)


@pytest.mark.parametrize("window", ["hann", lambda u: np.cos(np.pi * u) ** 2], ids=["fused", "rows"])
def test_gradients_of_sums_in_units_are_those_of_the_values(window, backend, rng):
    """The sum of energies in units has no gradient without an adjoint FFT: the units change with the position."""
    plan, x = frame_plan(backend, window), rng.standard_normal((2, 250))
    stats = replace(Statistics.of((1.0, POWER), (2.0, POWER)), units=local_distortion(x))
    lengths, d, h = rng.uniform(20, 60, POSITIONS.size), rng.standard_normal(POSITIONS.size), 1e-5
    gradients = statistics(plan, x, make_frames(lengths, POSITIONS, mfft=MFFT), stats, gradient=True)[1]

    def change(by_length, by_position):
        up, down = (
            statistics(plan, x, make_frames(lengths + s * by_length, POSITIONS + s * by_position, mfft=MFFT), stats)[0]
            for s in (h, -h)
        )
        return (up - down) / (2 * h)

    none = np.zeros_like(d)
    scale = np.abs(gradients.win_length).max(axis=1, keepdims=True)
    assert_allclose(gradients.win_length * d / scale, change(d, none) / scale, rtol=1e-5, atol=1e-7)
    scale = np.abs(gradients.positions).max(axis=1, keepdims=True)
    assert_allclose(gradients.positions * d / scale, change(none, d) / scale, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("mfft", [256, 255])
@pytest.mark.parametrize("mode", ["onesided", "onesided2X", "centered"])
def test_sums_of_a_longer_fft_follow_from_a_shorter_one(mode, mfft, backend, rng):
    """Exactly for integer exponents, where the FFT has at least three points a sample of the window."""
    x = rng.standard_normal((2, 250)) + 3.0  # strong bins at zero
    if mode == "centered":
        x = x + 1j * rng.standard_normal((2, 250))
    long, short = (
        FramePlan(m, mode, "psd", kernels.resolve(backend)[1], 1, windows.resolve("hann"), 1.0) for m in (mfft, 64)
    )
    stats = Statistics.of((1.0, False), (2.0, False), (3.0, False))
    lengths = rng.uniform(8, 20, POSITIONS.size)
    expected = statistics(long, x, make_frames(lengths, POSITIONS, mfft=mfft), stats)[0]
    found = sums_of_longer_fft(short, x, make_frames(lengths, POSITIONS, mfft=64), stats, mfft)
    assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("window", ["hann", lambda u: np.cos(np.pi * u) ** 2])
@pytest.mark.parametrize("terms", [((1.0, False),), ((3.0, False),), ((1.0, False), (3.0, False), (1.0, True))])
def test_values_do_not_depend_on_the_gradient(terms, window, backend, rng):
    plan, stats, x = frame_plan(backend, window), Statistics.of(*terms), rng.standard_normal((2, 250))
    frames = make_frames(rng.uniform(20, 60, POSITIONS.size), POSITIONS, mfft=MFFT)
    alone, none = statistics(plan, x, frames, stats)
    values, gradients = statistics(plan, x, frames, stats, gradient=True)
    assert none is None
    assert_allclose(values, alone, rtol=1e-12)
    assert gradients.win_length.shape == gradients.positions.shape == alone.shape
    lengths_only = statistics(plan, x, frames, stats, gradient=True, positions=False)[1]
    assert lengths_only.positions.shape == (len(stats), 0)
    assert_array_equal(lengths_only.win_length, gradients.win_length)


@pytest.mark.parametrize("gradient", [False, True])
def test_few_calls_lie_between_the_sums_and_the_fft(gradient, monkeypatch, rng):
    depths = []

    def counted(function):
        def count(*args, **kwargs):
            frame, depth = sys._getframe(1), 0
            while frame is not None:
                depth += "/adaptstft/" in frame.f_code.co_filename
                frame = frame.f_back
            depths.append(depth)
            return function(*args, **kwargs)

        return count

    for name in ("rfft", "irfft"):
        monkeypatch.setattr(host_fft, name, counted(getattr(host_fft, name)))
    frames = make_frames(np.float64(40.0), POSITIONS, mfft=MFFT)
    statistics(frame_plan(), rng.standard_normal((1, 250)), frames, STATS, gradient=gradient)
    assert depths
    assert max(depths) <= 6
