"""Values of ``area_fun`` of two results: the same neighbourhoods, or those of the criterion that is passed on."""

import numpy as np
import pytest

import adaptstft
from adaptstft import criteria

SIGNAL = adaptstft.datasets.decaying_tones_with_clicks()
X, FS = SIGNAL.x, SIGNAL.fs
MODES = ["constant", "time", "frequency"]
NAMES = ["description-length", "renyi"]


@pytest.fixture(scope="module")
def results():
    return {
        (name, mode): adaptstft.optimize(X, FS, criterion=name, scope="local", window_mode=mode)
        for name in NAMES
        for mode in MODES
    }


def again(res, win_length=None, **setting):
    """Evaluate lengths in the framing of a result and by its criterion."""
    win_length = res.win_length if win_length is None else win_length
    framing = {"hop": res.hop, "mfft": res.sft.mfft} | setting
    return adaptstft.optimize(X, FS, window_mode="fixed", win_length=win_length, criterion=res.criterion, **framing)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_the_criterion_of_a_result_gives_its_value_again(name, mode, results):
    res = results[name, mode]
    same = again(res)
    assert same.criterion == res.criterion
    # with a length for each frequency the value at the end of a search is in single precision
    assert same.area_fun == pytest.approx(res.area_fun, rel=1e-6 if mode == "frequency" else 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_one_length_is_worse_by_the_criterion_of_a_result_with_many(name, results):
    """The values are compared like with like: a length for all frames or bins is a special case."""
    by_time, by_frequency = results[name, "time"], results[name, "frequency"]
    one = adaptstft.optimize(X, FS, criterion=by_time.criterion)
    assert one.criterion == by_time.criterion
    assert one.area_fun > by_time.area_fun - 0.01
    for length in (2 * by_frequency.hop, results[name, "constant"].win_length):
        assert again(by_frequency, np.full((by_frequency.sft.f_pts, 1), length)).area_fun > by_frequency.area_fun


@pytest.mark.parametrize("name", NAMES)
def test_hop_and_fft_length_hardly_matter(name, results):
    res = results[name, "constant"]
    other = again(res, hop=res.hop / 2, mfft=2 * res.sft.mfft)
    assert other.area_fun == pytest.approx(res.area_fun, abs=0.01)


def test_the_neighbourhoods_of_a_description_length_are_those_of_every_mode(results):
    widths = [results["description-length", mode].criterion.width for mode in MODES]
    np.testing.assert_allclose(widths, widths[0], rtol=1e-12)
    assert [results["description-length", mode].criterion.bands for mode in MODES] == [None, None, 12]


def test_bands_need_lengths_per_frequency():
    with pytest.raises(ValueError, match=r"bands=3 in the criterion needs window_mode .* or 'fixed' with a win_length"):
        adaptstft.optimize(X, FS, window_mode="fixed", win_length=64, criterion=criteria.Renyi(bands=3))
