"""Interpolated transforms with windows per bin, against the exact sums."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft import AdaptiveShortTimeFFT
from adaptstft.engine.bins import BinFrames, bin_forward
from adaptstft.tuning.tables.lowrank import BasisTransforms, window_basis


def transform(window="hann", mfft=256, **options):
    sft = AdaptiveShortTimeFFT(window, float(mfft), 16, 1000.0, mfft=mfft, scale_to="psd", **options)
    return sft._plan


@pytest.mark.parametrize("accuracy", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("window", ["hann", "blackman", ("gaussian", 8.5), ("kaiser", 14.0)], ids=str)
def test_interpolated_transforms_have_the_accuracy_and_exact_derivatives(window, accuracy, rng):
    plan = transform(window)
    basis = window_basis(plan, (30.0, 250.0), accuracy)
    assert basis.error <= accuracy
    x = rng.standard_normal((2, 700))
    positions = np.arange(0, 720, 24) + 0.3
    win_length = np.exp(rng.uniform(np.log(30), np.log(250), (positions.size, plan.f_pts)))
    got = BasisTransforms(plan, x, positions, basis, accuracy).spectra(win_length)
    exact = bin_forward(plan, x, BinFrames(win_length, positions, positions), gradient=True)
    assert np.linalg.norm(got.S - exact.S) <= accuracy * np.linalg.norm(exact.S)
    # the derivatives are those of the interpolated transform, not of the exact one
    step = 1e-4 * win_length
    transforms = BasisTransforms(plan, x, positions, basis, 1e-6)  # double precision, for the differences
    difference = (transforms.spectra(win_length + step).S - transforms.spectra(win_length - step).S) / (2 * step)
    assert_allclose(transforms.spectra(win_length).win_length, difference, atol=1e-6 * np.abs(difference).max())


@pytest.mark.parametrize("window", ["blackman", ("gaussian", 12.0)], ids=str)
@pytest.mark.parametrize("bounds", [(2.0, 2.5), (4.0, 16.0), (3.0, 60.0)], ids=str)
def test_short_windows_have_the_accuracy_at_positions_between_samples(window, bounds, rng):
    accuracy = 1e-4
    plan = transform(window, mfft=64)
    basis = window_basis(plan, bounds, accuracy)
    x = rng.standard_normal((1, 500))
    positions = np.arange(0, 500, 3) + rng.uniform(0, 1, 167)
    win_length = np.exp(rng.uniform(*np.log(bounds), (positions.size, plan.f_pts)))
    got = BasisTransforms(plan, x, positions, basis, 1e-6).spectra(win_length)
    exact = bin_forward(plan, x, BinFrames(win_length, positions, positions))
    # the accuracy is an average over all positions between samples; short windows are sampled at few of them
    assert np.linalg.norm(got.S - exact.S) <= 2 * accuracy * np.linalg.norm(exact.S)


def test_rank_grows_with_the_accuracy_and_windows_that_jump_have_no_basis():
    ranks = [window_basis(transform(), (30.0, 250.0), a).lengths.size for a in (1e-2, 1e-3, 1e-4)]
    assert ranks == sorted(set(ranks))
    assert window_basis(transform(("gaussian", 5.0)), (30.0, 250.0), 1e-5) is None


@pytest.mark.parametrize(
    ("window", "accuracy", "rank"),
    # of windows that are nearly equal, rounding decides which one is chosen first: ranks of 79 and 89, 37 and 40 occur
    [(("gaussian", 12.0), 1e-4, 15), ("hann", 1e-4, 84), ("hann", 1e-3, 38)],
    ids=str,
)
def test_ranks_given_in_the_documentation(window, accuracy, rank):
    basis = window_basis(transform(window, mfft=1500), (100.0, 1500.0), accuracy)
    assert basis.lengths.size == pytest.approx(rank, rel=0.1)


def test_a_gaussian_cut_at_three_deviations_has_no_basis():
    assert window_basis(transform(("gaussian", 6.0), mfft=1500), (100.0, 1500.0), 1e-3) is None


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_basis_transforms_are_equal_from_memory_and_computed_again(backend, rng, monkeypatch):
    plan = transform(backend=backend)
    basis = window_basis(plan, (30.0, 250.0), 1e-3)
    x, positions = rng.standard_normal((1, 400)), np.arange(0, 401, 16.0)
    win_length = rng.uniform(30, 250, (positions.size, plan.f_pts))
    kept = BasisTransforms(plan, x, positions, basis, 1e-6)
    monkeypatch.setattr("adaptstft.tuning.tables.lowrank.MOST_BYTES", 0)
    again = BasisTransforms(plan, x, positions, basis, 1e-6)
    assert kept.kept is not None and again.kept is None
    assert_allclose(again.spectra(win_length).S, kept.spectra(win_length).S, rtol=1e-13, atol=1e-13)


def test_basis_transforms_of_both_backends_agree(rng):
    x, positions = rng.standard_normal((2, 300)), np.arange(0, 301, 20.0)
    win_length = rng.uniform(30, 250, (positions.size, 129))
    basis = window_basis(
        transform(backend="numpy"), (30.0, 250.0), 1e-3
    )  # with another backend, rounding may choose other lengths
    found = [
        BasisTransforms(transform(backend=backend), x, positions, basis, 1e-6).spectra(win_length)
        for backend in ("numpy", "numba")
    ]
    # sums of some tens of terms: rounding of 100 eps
    assert_allclose(found[0].S, found[1].S, atol=100 * np.finfo(float).eps * np.abs(found[0].S).max())
    assert_allclose(found[0].win_length, found[1].win_length, atol=1e-12 * np.abs(found[0].win_length).max())
