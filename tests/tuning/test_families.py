"""``window="auto"``: every family tuned alike, the best kept, and all of it reported."""

import re

import autograd.numpy as anp
import numpy as np
import pytest

import adaptstft
from adaptstft.criteria import Renyi
from adaptstft.tuning.auto_window import AUTO
from adaptstft.tuning.result.summary import summary_rows

FS = 1000.0
T = np.arange(3000) / FS
CHIRP = np.cos(2 * np.pi * (100 * T + 30 * T**2))
#: Pulses in the shape of a Gaussian window, which it alone matches.
PULSES = sum(np.exp(-0.5 * ((T - c) / 0.03) ** 2) * np.cos(2 * np.pi * f * T) for c, f in ((0.5, 100), (2, 300)))


@pytest.mark.parametrize(
    ("x", "criterion", "family"),
    [
        (CHIRP, "renyi", "hann"),
        (CHIRP, "description-length", "gaussian"),  # lower side lobes are shorter to describe
        (PULSES, "renyi", "gaussian"),
        (PULSES, "description-length", "kaiser"),  # hardly shorter than with a Gaussian window
    ],
    ids=["chirp-renyi", "chirp", "pulses-renyi", "pulses"],
)
def test_the_best_family_is_kept(x, criterion, family):
    res = adaptstft.optimize(x, FS, window="auto", criterion=criterion)
    each = {"hann": adaptstft.optimize(x, FS, criterion=criterion)}
    if criterion == "description-length":  # the same frames count in all
        criterion = each["hann"].criterion
    each |= {str(window): adaptstft.optimize(x, FS, window=window, criterion=criterion) for window in AUTO[1:]}
    assert res.sft.window.name == family
    best = min(each.values(), key=lambda one: one.area_fun)
    assert res.win_length == best.win_length
    assert res.area_fun == best.area_fun
    assert res.nfev == sum(one.nfev for one in each.values())
    assert res.starts == [start for one in each.values() for start in one.starts]


def test_what_was_compared_is_told():
    res = adaptstft.optimize(CHIRP, FS, window="auto")
    assert {start["window"] for start in res.starts} == {"hann", "blackman", "kaiser (8.6)", "gaussian (6)"}
    (row,) = [text for name, text in summary_rows(res) if name == "compared"]
    assert re.fullmatch(r"hann 0\.\d+, blackman 0\.\d+, kaiser 0\.\d+, gaussian 0\.\d+ bits per sample", row)
    assert "compared" not in adaptstft.optimize(CHIRP, FS).summary()


@pytest.mark.parametrize(
    "modes", [{"window_mode": "time"}, {"hop_mode": "time"}, {"scope": "local"}], ids=["lengths", "positions", "scope"]
)
@pytest.mark.slow
def test_local_values_are_compared_in_the_same_neighbourhoods(modes):
    x = CHIRP[:700]
    res = adaptstft.optimize(x, FS, window="auto", options={"maxiter": 3}, **modes)
    first = adaptstft.optimize(x, FS, window=AUTO[0], options={"maxiter": 3}, **modes)
    assert res.criterion.width == first.criterion.width
    assert res.area_fun <= first.area_fun


def test_shapes_are_tuned_where_there_are_some():
    res = adaptstft.optimize(PULSES, FS, window="auto", tune_shape=True, criterion="shannon")
    assert {start["window"].partition(" ")[0] for start in res.starts} == {"kaiser", "gaussian"}
    fixed = adaptstft.optimize(PULSES, FS, window="auto", criterion="shannon")
    assert res.area_fun <= fixed.area_fun + 1e-6


def test_every_method_compares_families(tmp_path):
    for method in ("grid", "chirp-rate", "adam"):
        options = {"grid": {"step": 10}, "adam": {"maxiter": 5}}.get(method)
        res = adaptstft.optimize(CHIRP[:1000], FS, window="auto", method=method, options=options)
        assert len({start["window"] for start in res.starts}) == len(AUTO)
        res.save(tmp_path / method)
        again = adaptstft.load(tmp_path / method)
        assert again.summary() == res.summary()
        assert again.starts == res.starts


def test_a_callback_stops_all():
    stages = []

    def stop(intermediate_result):
        stages.append(intermediate_result.fun)
        raise StopIteration

    res = adaptstft.optimize(CHIRP, FS, window="auto", callback=stop)
    assert len(stages) == 1
    assert (res.status, res.success) == (99, False)


def l1_over_l2(P):
    return anp.sum(anp.sqrt(P)) / anp.sqrt(anp.sum(P))


def test_a_users_loss_compares_families():
    res = adaptstft.optimize(CHIRP, FS, window="auto", criterion=l1_over_l2, hop=50, mfft=1024, options={"maxiter": 5})
    assert res.fun == min(start["fun"] for start in res.starts)


def test_progress_goes_through_all_families(capsys, monkeypatch):
    monkeypatch.setattr("adaptstft.common.progress._DELAY", 0.0)
    adaptstft.optimize(CHIRP, FS, window="auto", progress=True)
    assert "hann: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_mode": "fixed", "win_length": 100}, "window_mode='fixed' must be another one"),
        ({"scale_to": None}, "compares windows of unit energy: scale_to=None must be 'psd'"),
        ({"scale_to": "magnitude"}, "scale_to='magnitude' must be 'psd'"),
        ({"criterion": l1_over_l2}, "needs hop and mfft, .* got hop=None, mfft=None"),
    ],
    ids=["fixed", "unscaled", "magnitude", "callable"],
)
def test_what_cannot_be_compared_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        adaptstft.optimize(CHIRP, FS, window="auto", **arguments)


def test_a_width_of_the_users_is_kept():
    res = adaptstft.optimize(CHIRP, FS, window="auto", criterion=Renyi(width=0.5), options={"maxiter": 3})
    assert res.criterion.width == 0.5
