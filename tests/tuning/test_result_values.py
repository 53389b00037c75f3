"""The comparable value of a result with its unit, its summary, and its values as plain data."""

import json
import re

import numpy as np
import pytest

import adaptstft
from adaptstft import criteria, datasets
from adaptstft.tuning.descent.messages import in_words
from adaptstft.tuning.result.summary import summary_rows

CHIRP = datasets.linear_chirp(20.0)
SHORT = CHIRP.x[:600]
CLICKS = datasets.decaying_tones_with_clicks().x[:600]
SHANNON = {"criterion": "shannon"}


@pytest.fixture(scope="module")
def results():
    settings = {
        "bits": {},
        "complex": {"x": SHORT + 1j * np.roll(SHORT, 250)},
        "renyi": {"criterion": "renyi"},
        "local": {"criterion": "renyi", "scope": "local"},
        "lp": {"criterion": "lp"},
        "hoyer": {"criterion": "hoyer"},
        "time": {"window_mode": "time", "win_bounds": (40, 250)},
        "moved": {"x": CLICKS, "hop_mode": "time", "window_mode": "fixed", "win_length": 64, "hop": 30} | SHANNON,
        "bins": {"window_mode": "time-frequency", "win_bounds": (40, 250), "options": {"maxiter": 2}},
        "frequency": {"window_mode": "frequency", "win_bounds": (40, 250), "options": {"maxiter": 2}},
    }
    return {name: adaptstft.optimize(**{"x": SHORT, "fs": CHIRP.fs} | more) for name, more in settings.items()}


def rows_of(res):
    return dict(summary_rows(res))


@pytest.mark.parametrize(
    ("name", "factor", "unit", "meaning"),
    [
        ("bits", 0.5 / np.log(2), "bits per sample", "the length of a code at a fixed distortion"),
        ("complex", 1 / np.log(2), "bits per sample", "the length of a code at a fixed distortion"),
        ("renyi", 1.0, "nat", "the logarithm of the area that the energy fills, in s Hz"),
        ("local", 1.0, "nat", "the logarithm of a measure of spread"),
        ("lp", 1.0, "nat", "the logarithm of a measure of spread"),
        ("hoyer", 1.0, "", "a measure of spread without a unit"),
    ],
)
def test_the_value_is_comparable_and_has_its_unit_where_it_is_shown(results, name, factor, unit, meaning):
    res = results[name]
    assert res.score == pytest.approx(factor * res.area_fun, rel=1e-12)
    assert res.score_unit == unit
    row = rows_of(res)[res.criterion.name]
    assert row.startswith(f"{res.score:.4g} {unit}".rstrip() + f", {meaning} (scope ") and row.endswith(
        "less is better"
    )
    assert f"{res.fun:.6g}" not in res.summary() or np.isclose(res.fun, res.score, rtol=1e-5)


def test_the_picture_has_the_value_of_the_summary(results, pyplot):
    for name in ("bits", "renyi", "hoyer"):
        ax = results[name].plot_criterion()
        (optimum,) = [line for line in ax.lines if line.get_label() == "optimum"]
        assert optimum.get_ydata()[0] == pytest.approx(results[name].score)
        unit = results[name].score_unit
        assert ax.get_ylabel() == results[name].criterion.name + (f" in {unit}" if unit else "")


def test_penalties_are_not_part_of_the_value(results):
    res = results["moved"]
    assert res.score == pytest.approx(res.area_fun)
    assert rows_of(res)["shannon"].startswith(f"{res.area_fun:.4g} nat")


def test_a_difference_that_does_not_count_is_not_a_gain():
    res = adaptstft.optimize(SHORT, CHIRP.fs, criterion="renyi", window_mode="fixed", win_length=100)
    assert rows_of(res)["gain"] == "as good as a hann window of 100 samples, within 0.01 nat"
    better = adaptstft.optimize(CHIRP.x, CHIRP.fs, criterion="renyi")
    gain = better.initial_area_fun - better.area_fun
    assert gain > 0.1
    assert rows_of(better)["gain"] == f"{gain:.3g} nat better than a hann window of 256 samples"


@pytest.mark.parametrize(("samples", "length"), [(300, 150.0), (4000, 256.0)])
def test_the_window_before_is_one_that_was_searched(samples, length):
    res = adaptstft.optimize(CHIRP.x[:samples], CHIRP.fs)
    assert res.initial.win_length == length
    assert res.area_fun <= res.initial_area_fun + 1e-9
    bounded = adaptstft.optimize(CHIRP.x[:samples], CHIRP.fs, win_bounds=(20, 60))
    assert bounded.initial.win_length == 60 and bounded.area_fun <= bounded.initial_area_fun + 1e-9


def test_equal_lengths_are_shown_once(results):
    res = adaptstft.optimize(CHIRP.x, CHIRP.fs, window_mode="time", win_bounds=(100, 100))
    assert rows_of(res)["win_length"] == "100.00 samples = 100 ms, the same everywhere"
    assert re.fullmatch(r"100 samples, hop \d+: .*", rows_of(res)["recommended"])


# ------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("CONVERGENCE: NORM OF PROJECTED GRADIENT <= PGTOL", "converged: the gradient is nearly zero"),
        ("CONVERGENCE: RELATIVE REDUCTION OF F <= FACTR*EPSMCH", "converged: further steps hardly lower the value"),
        ("STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT", "stopped at the limit of iterations"),
        ("STOP: TOTAL NO. OF F,G EVALUATIONS EXCEEDS LIMIT", "stopped at the limit of evaluations"),
        ("ABNORMAL: ", "stopped: no step along the gradient lowers the value further"),
        ("nothing to tune", "nothing to tune"),
    ],
)
def test_messages_of_scipy_in_words(message, words):
    assert in_words(message) == words


def test_messages_of_results_are_words(results):
    for res in results.values():
        for text in (res.message, *(start["message"] for start in res.starts)):
            assert not re.search(r"[A-Z]{3}", text), text
    assert results["frequency"].message == "stopped at the limit of iterations"


# ------------------------------------------------------------------ plain values


def test_a_dictionary_for_json(results):
    for res in results.values():
        values = json.loads(json.dumps(res.to_dict(), allow_nan=False))
        np.testing.assert_array_equal(values["win_length"], res.win_length)
        np.testing.assert_array_equal(values["positions"], res.positions)
        assert (values["fs"], values["samples"], values["window"]) == (CHIRP.fs, SHORT.size, "hann")
        assert (values["score"], values["score_unit"], values["scope"]) == (
            res.score, res.score_unit, res.criterion.scope,
        )  # fmt: skip
        assert values["message"] == res.message and values["notes"] == res.notes
        assert values["recommended"]["loss"] == res.recommended.loss


def test_a_table_of_the_windows(results):
    pytest.importorskip("pandas", reason="tables need the extra 'many'")
    columns = {
        "bits": [],
        "time": ["time"],
        "moved": ["time"],
        "frequency": ["frequency"],
        "bins": ["time", "frequency"],
    }
    for name, places in columns.items():
        res = results[name]
        table = res.to_frame()
        assert list(table) == [*places, "win_length", "win_duration"]
        np.testing.assert_allclose(table["win_duration"], table["win_length"] / CHIRP.fs)
        frames = res.positions.size
        assert len(table) == {"bits": 1, "frequency": res.sft.f_pts, "bins": res.sft.f_pts * frames}.get(name, frames)
    table, res = results["bins"].to_frame(), results["bins"]
    row = table.iloc[3 * res.positions.size + 5]
    assert row["time"] == res.positions[5] / CHIRP.fs and row["frequency"] == res.sft.f[3]
    assert row["win_length"] == res.win_length[3, 5]
    moved = results["moved"]
    np.testing.assert_array_equal(moved.to_frame()["time"], moved.positions / CHIRP.fs)


# ------------------------------------------------------------------ attributes


def test_every_field_has_a_type(results):
    annotated = set(adaptstft.TuningResult.__annotations__)
    for res in results.values():
        assert set(res) == annotated


def test_methods_and_fields_are_listed(results):
    listed = dir(results["bits"])
    assert {"plot", "summary", "to_dict", "score", "win_length", "sft"} <= set(listed)


def test_criteria_of_a_result_are_typed(results):
    assert isinstance(results["bits"].criterion, criteria.DescriptionLength)


def test_one_sample_is_in_the_singular():
    res = adaptstft.optimize(SHORT, CHIRP.fs, win_length=16, hop=1, window_mode="fixed")
    assert rows_of(res)["hop"] == "1 sample = 1 ms; 600 frames"
