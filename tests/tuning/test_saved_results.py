"""Files of saved results: those of version 0.1.0 are read without a loss, and saving them again changes nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import adaptstft

HERE = Path(__file__).parent
ARRAYS = ("win_length", "positions", "signal", "history", "x", "jac")


def contents(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(str(arrays.pop("settings"))), arrays


@pytest.fixture(params=["one_length", "bins"])
def old_file(request):
    return HERE / f"saved_by_0_1_0_{request.param}.npz"


def test_files_of_0_1_0_are_read(old_file):
    settings, arrays = contents(old_file)
    res = adaptstft.load(old_file)
    for name in ARRAYS:
        assert_array_equal(res[name], arrays[name])
    for name in ("fun", "area_fun", "prices", "initial_area_fun", "hop", "nfev", "message", "starts", "notes"):
        assert res[name] == settings[name]
    assert res.sft.mfft == settings["sft"]["mfft"] and res.sft.hop == settings["sft"]["hop"]
    assert res.criterion.settings() == settings["criterion"]
    assert list(res.sensitivity.factors) == settings["sensitivity"]["factors"]
    assert_array_equal(res.recommended.win_length, settings["recommended"]["win_length"])
    assert_array_equal(res.survey.lengths, arrays["survey_lengths"])
    assert_array_equal(res.survey.values, arrays["survey_values"])
    assert res.survey.surface is None
    assert (res.approximation is None) == (settings["approximation"] is None)
    assert res.sft.stft(res.signal).shape == (res.sft.f_pts, res.positions.size)


def test_the_criterion_of_a_file_of_0_1_0_is_the_one_that_was_saved():
    res = adaptstft.load(HERE / "saved_by_0_1_0_one_length.npz")
    value, _ = res.sft.value_and_grad(res.signal - res.signal.mean(), res.criterion, wrt=())
    assert_allclose(value, res.fun - res.prices, rtol=1e-9)


def test_saved_again_a_file_of_0_1_0_is_the_same(old_file, tmp_path):
    res = adaptstft.load(old_file)
    res.save(tmp_path / "again")
    (settings, arrays), (new_settings, new_arrays) = contents(old_file), contents(tmp_path / "again.npz")
    assert new_settings == settings
    assert new_arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert_array_equal(new_arrays[name], array)
