"""A script of a user with type annotations: `make lint` checks it, and the suite runs it.

A misspelt name must be an error of the type checker: mypy reports each ``type: ignore`` that hides nothing.
"""

from typing import Any, assert_type

import numpy as np
import pytest

import adaptstft
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, FloatArray, IntArray

SFT = adaptstft.AdaptiveShortTimeFFT("hann", 64, 16, fs=1000.0)
X = np.cos(0.001 * np.arange(600.0) ** 2)


def test_results() -> None:
    res = adaptstft.optimize(X, 1000.0, criterion="renyi", callback=lambda step: print(step.fun))
    assert_type(res, adaptstft.TuningResult)
    assert isinstance(assert_type(res.fun, float), float)
    assert isinstance(assert_type(res.score, float), float)
    assert isinstance(assert_type(res.score_unit, str), str)
    assert isinstance(assert_type(res.hop, float), float)
    assert isinstance(assert_type(res.nit, int), int)
    assert isinstance(assert_type(res.success, bool), bool)
    assert isinstance(assert_type(res.notes, list[str]), list)
    assert isinstance(assert_type(res.win_length, float | Float64Array), float)
    assert isinstance(assert_type(res.positions, Float64Array | None), np.ndarray)
    assert isinstance(assert_type(res.to_dict(), dict[str, Any]), dict)
    assert isinstance(assert_type(res.summary(), str), str)
    assert res.recommended is not None and res.survey is not None
    assert isinstance(assert_type(res.recommended.win_length, int | IntArray), int)
    assert isinstance(assert_type(res.survey.lengths, Float64Array), np.ndarray)
    assert_type(res.initial, adaptstft.AdaptiveShortTimeFFT)
    assert_type(res.criterion, adaptstft.criteria.Criterion)
    assert_type(res.sft.stft(X), ComplexArray)


def test_transforms() -> None:
    S = assert_type(SFT.stft(X), ComplexArray)
    assert np.isrealobj(assert_type(SFT.spectrogram(X), FloatArray))
    assert np.iscomplexobj(assert_type(SFT.spectrogram(X, X[::-1]), ComplexArray))
    assert_type(SFT.istft(S, k1=X.size), AnyArray)
    y, info = SFT.istft(S, k1=X.size, full_output=True)
    assert_type(y, AnyArray)
    assert isinstance(info.error, float)
    assert_type(SFT.vjp(X, S), adaptstft.Gradient)
    assert_type(SFT.window.name, str)
    assert_type(SFT.window.shape_bounds, tuple[tuple[float, float], ...])
    assert_type(adaptstft.griffin_lim(SFT, abs(S), X.size, n_iter=1), AnyArray)
    _, errors = adaptstft.griffin_lim(SFT, abs(S), X.size, n_iter=1, full_output=True)
    assert_type(errors, Float64Array)


def test_components_and_noise() -> None:
    ridge = assert_type(adaptstft.ridges(SFT, X), adaptstft.Ridges)
    assert_type(adaptstft.track(X, 1000.0), adaptstft.Ridges)
    assert isinstance(assert_type(ridge.frequency, Float64Array), np.ndarray)
    assert assert_type(ridge.orders, tuple[float, ...] | None) is None
    assert_type(adaptstft.denoise(X, 1000.0), AnyArray)
    y, info = adaptstft.denoise(X, 1000.0, full_output=True)
    assert_type(y, AnyArray)
    assert_type(info.noise_std, Float64Array)
    table = assert_type(adaptstft.optimize_many([X, X], 1000.0), adaptstft.TuningTable)
    assert isinstance(assert_type(table[0], dict[str, Any]), dict)


def test_misspelt_names() -> None:
    res = adaptstft.optimize(X, 1000.0)
    with pytest.raises(AttributeError, match="win_lenght"):
        res.win_lenght  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ValueError, match="window_mode='tme'"):
        adaptstft.optimize(X, 1000.0, window_mode="tme")  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="optimise"):
        adaptstft.optimise  # type: ignore[attr-defined]  # noqa: B018
