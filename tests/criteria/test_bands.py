"""Frequency bands, and tiles in time and frequency."""

import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft import AdaptiveShortTimeFFT, criteria
from adaptstft.criteria.bands import band_weights, frequency_scale, make_tiles
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.engine.bins import bin_numbers


def transform(window="hann", mfft=256, **options):
    sft = AdaptiveShortTimeFFT(window, float(mfft), 16, 1000.0, mfft=mfft, scale_to="psd", **options)
    return sft._plan


@pytest.mark.parametrize("mode", naive.FFT_MODES)
def test_bands_add_up_to_a_constant(mode):
    plan = transform(mfft=64, fft_mode=mode)
    for count in (1, 2, 5, 12):
        bands = band_weights(plan, count)
        assert bands.shape == (count, plan.f_pts)
        assert np.all(bands >= 0)
        if count > 4:  # with fewer, the first or last band reaches every bin
            inner = (bands[0] == 0) & (bands[-1] == 0)
            assert_allclose(bands[:, inner].sum(axis=0), 2.0)
    scale = frequency_scale(bin_numbers(plan), 64)
    assert np.all(np.diff(np.sort(scale)) > 0)


def test_energy_of_tiles(rng):
    plan = transform()
    x = np.zeros((1, 2000))
    x[0, 1000:1400] = np.cos(2 * np.pi * 0.25 * np.arange(400)) * np.hanning(400)
    in_time = Neighbourhoods.of_signal(x, 400.0)
    tiles = make_tiles(plan, x, in_time, 12)
    share = tiles.energy.reshape(12, -1)
    assert share.sum() == pytest.approx(1)
    band, time = np.unravel_index(share.argmax(), share.shape)
    assert in_time.centres[time] == pytest.approx(1200, abs=100)
    centre = band_weights(plan, 12)[band].argmax() / 256
    assert centre == pytest.approx(0.25, abs=0.05)
    assert share[:3].sum() < 1e-6
    member, gradient = tiles.weights(np.tile(np.arange(50.0), 12))
    assert member.shape == gradient.shape == (12 * in_time.centres.size, 600)
    assert_allclose(member.toarray()[: in_time.centres.size, :50], in_time.weights(np.arange(50.0))[0].toarray())
    assert member.toarray()[: in_time.centres.size, 50:].sum() == 0


def test_one_band_is_no_band(rng):
    x = rng.standard_normal(300)
    sft = AdaptiveShortTimeFFT("hann", np.linspace(60, 30, 33)[:, None], 8, 1.0, mfft=64)
    for criterion in (criteria.Hoyer, criteria.Renyi):
        plain, _ = sft.value_and_grad(x, criterion(width=100.0), wrt=())
        banded, _ = sft.value_and_grad(x, criterion(width=100.0, bands=1), wrt=())
        # the weight of two for every bin doubles the number of cells for Renyi, but not for Hoyer
        shift = np.log(2) if criterion is criteria.Renyi else 0.0
        assert banded == pytest.approx(plain + shift, rel=2e-2 if criterion is criteria.Hoyer else 1e-2)
    many, gradient = sft.value_and_grad(x, criteria.Hoyer(width=100.0, bands=16), wrt=("win_length",))
    assert -1 < many < 0 and np.all(np.isfinite(gradient.win_length))
