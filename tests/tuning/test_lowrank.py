"""Low-rank transforms and control points: each against a plain computation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft import AdaptiveShortTimeFFT
from adaptstft.engine.bins import BinFrames, bin_forward
from adaptstft.tuning.penalties.variation import roughness, total_variation
from adaptstft.tuning.tables.lowrank import BasisTransforms, window_basis
from adaptstft.tuning.variables.control_grid import ControlGrid


def transform(window="hann", mfft=256, **options):
    sft = AdaptiveShortTimeFFT(window, float(mfft), 16, 1000.0, mfft=mfft, scale_to="psd", **options)
    return sft._plan


@pytest.mark.parametrize("accuracy", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("window", ["hann", "blackman", ("gaussian", 8.5), ("kaiser", 14.0)], ids=str)
def test_windows_of_any_length_are_combined_to_the_accuracy(window, accuracy, rng):
    plan = transform(window)
    basis = window_basis(plan, (30.0, 250.0), accuracy)
    assert basis.error <= accuracy
    x = rng.standard_normal((2, 700))
    positions = np.arange(0, 720, 24) + 0.3
    win_length = np.exp(rng.uniform(np.log(30), np.log(250), (positions.size, plan.f_pts)))
    got = BasisTransforms(plan, x, positions, basis, accuracy).spectra(win_length)
    exact = bin_forward(plan, x, BinFrames(win_length, positions, positions), gradient=True)
    assert np.linalg.norm(got.S - exact.S) <= accuracy * np.linalg.norm(exact.S)
    # its slope is that of what is evaluated, not of the exact transform
    step = 1e-4 * win_length
    transforms = BasisTransforms(plan, x, positions, basis, 1e-6)  # double precision, for the differences
    difference = (transforms.spectra(win_length + step).S - transforms.spectra(win_length - step).S) / (2 * step)
    assert_allclose(transforms.spectra(win_length).win_length, difference, atol=1e-6 * np.abs(difference).max())


@pytest.mark.parametrize("window", ["blackman", ("gaussian", 12.0)], ids=str)
@pytest.mark.parametrize("bounds", [(2.0, 2.5), (4.0, 16.0), (3.0, 60.0)], ids=str)
def test_windows_of_a_few_samples_keep_the_accuracy_between_samples(window, bounds, rng):
    accuracy = 1e-4
    plan = transform(window, mfft=64)
    basis = window_basis(plan, bounds, accuracy)
    x = rng.standard_normal((1, 500))
    positions = np.arange(0, 500, 3) + rng.uniform(0, 1, 167)
    win_length = np.exp(rng.uniform(*np.log(bounds), (positions.size, plan.f_pts)))
    got = BasisTransforms(plan, x, positions, basis, 1e-6).spectra(win_length)
    exact = bin_forward(plan, x, BinFrames(win_length, positions, positions))
    # the accuracy is that of windows at all places on average; few samples see some places more
    assert np.linalg.norm(got.S - exact.S) <= 2 * accuracy * np.linalg.norm(exact.S)


def test_rank_grows_with_the_accuracy_and_jumping_windows_have_none():
    ranks = [window_basis(transform(), (30.0, 250.0), a).lengths.size for a in (1e-2, 1e-3, 1e-4)]
    assert ranks == sorted(set(ranks))
    assert window_basis(transform(("gaussian", 5.0)), (30.0, 250.0), 1e-5) is None


@pytest.mark.parametrize(
    ("window", "accuracy", "rank"),
    # of windows that are alike, rounding decides which is chosen first: 79 and 89, 37 and 40 were seen
    [(("gaussian", 12.0), 1e-4, 15), ("hann", 1e-4, 84), ("hann", 1e-3, 38)],
    ids=str,
)
def test_ranks_are_those_of_the_docs(window, accuracy, rank):
    basis = window_basis(transform(window, mfft=1500), (100.0, 1500.0), accuracy)
    assert basis.lengths.size == pytest.approx(rank, rel=0.1)


def test_a_gaussian_cut_at_three_deviations_is_of_no_low_rank():
    assert window_basis(transform(("gaussian", 6.0), mfft=1500), (100.0, 1500.0), 1e-3) is None


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_basis_transforms_are_the_same_kept_or_made_again(backend, rng, monkeypatch):
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
    basis = window_basis(transform(backend="numpy"), (30.0, 250.0), 1e-3)  # rounding may choose other lengths elsewhere
    found = [
        BasisTransforms(transform(backend=backend), x, positions, basis, 1e-6).spectra(win_length)
        for backend in ("numpy", "numba")
    ]
    # sums of some tens of terms: rounding of 100 eps
    assert_allclose(found[0].S, found[1].S, atol=100 * np.finfo(float).eps * np.abs(found[0].S).max())
    assert_allclose(found[0].win_length, found[1].win_length, atol=1e-12 * np.abs(found[0].win_length).max())


# --- control points -------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [(1, 1), (1, 4), (2, 3), (5, 1), (12, 8)], ids=str)
def test_control_surface(points, rng):
    positions = np.sort(rng.uniform(0, 900, 30))
    grid = ControlGrid.smooth(np.arange(129), 256, positions, points)
    assert grid.shape == points and grid.size == points[0] * points[1]
    c = rng.uniform(3, 6, points)
    surface = grid.surface(c)
    assert surface.shape == (30, 129)
    assert c.min() - 1e-12 <= surface.min() and surface.max() <= c.max() + 1e-12  # the convex hull
    assert_allclose(grid.surface(np.full(points, 4.0)), 4.0)
    g = rng.standard_normal(surface.shape)
    assert np.sum(g * surface) == pytest.approx(np.sum(grid.adjoint(g) * c))
    assert_allclose(grid.fit(surface), c, rtol=1e-8)


def test_a_free_grid_is_the_lengths_themselves(rng):
    grid = ControlGrid.free(5, 4, constant=False)
    c = rng.standard_normal((5, 4))
    assert_allclose(grid.surface(c), c.T)
    assert_allclose(grid.fit(c.T), c)
    one = ControlGrid.free(5, 4, constant=True)
    assert one.shape == (5, 1)
    assert_allclose(one.surface(c[:, :1]), np.tile(c[:, 0], (4, 1)))


@pytest.mark.parametrize("shape", [(7,), (4, 5), (1, 6), (6, 1)], ids=str)
def test_variation_and_roughness_have_their_slopes(shape, rng):
    win_length, d = rng.uniform(50, 200, shape), rng.standard_normal(shape)
    for function, at in ((total_variation, win_length), (roughness, np.log(win_length))):
        slope = (function(at + 1e-5 * d)[0] - function(at - 1e-5 * d)[0]) / 2e-5
        assert np.sum(function(at)[1] * d) == pytest.approx(slope, rel=1e-6)
        assert function(np.full(shape, 5.0))[0] == pytest.approx(0, abs=1e-12)
