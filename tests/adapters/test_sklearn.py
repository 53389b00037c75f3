"""`adaptstft.sklearn`: scikit-learn's own checks, what is tuned on what, and the messages of errors."""

import doctest
import importlib
import sys

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.signal
from autograd.test_util import check_grads
from numpy.testing import assert_allclose, assert_array_equal

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'adaptstft[sklearn]'")

from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import adaptstft  # noqa: E402
import adaptstft.sklearn as module  # noqa: E402
from adaptstft import criteria  # noqa: E402
from adaptstft.engine.frames import frame_count  # noqa: E402
from adaptstft.sklearn import AdaptiveSpectrogram, discriminant_loss  # noqa: E402

FS = 200.0


@pytest.fixture(scope="module")
def tones():
    """Tones of 40 and 41 Hz in noise, 2 s: only windows of about a second tell them apart."""
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    t = np.arange(400) / FS
    X = np.cos(2 * np.pi * ((40 + y[:, None]) * t + rng.random((y.size, 1))))
    return X + 2.5 * rng.standard_normal(X.shape), y


@parametrize_with_checks(
    [
        AdaptiveSpectrogram(),
        AdaptiveSpectrogram(criterion="separability", pooling=("mean", "std")),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.full
@parametrize_with_checks(
    [
        AdaptiveSpectrogram(window_mode="frequency", pooling="max"),
        AdaptiveSpectrogram(criterion="separability", window_mode="frequency", control_points=2),
        AdaptiveSpectrogram(window_mode="fixed", win_length=2, log_floor=None, detrend=None),
    ]
)
def test_scikit_learn_checks_of_other_settings(estimator, check):
    check(estimator)


def test_examples_of_the_module():
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testmod(module, optionflags=flags)
    assert found.attempted > 10
    assert found.failed == 0


def test_without_scikit_learn_the_import_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "adaptstft.sklearn")
    with pytest.raises(ImportError, match=r"needs scikit-learn, which is not installed: pip install .*\[sklea"):
        importlib.import_module("adaptstft.sklearn")
    assert "sklearn" not in adaptstft.__all__


# ---------------------------------------------------------------------------------------
# Tuning


def test_a_concentration_criterion_finds_what_optimize_finds(tones):
    X, _ = tones
    equal = scipy.signal.detrend(X, axis=1)
    equal /= np.linalg.norm(equal, axis=1, keepdims=True)
    loud = X * np.geomspace(1e-3, 1e3, len(X))[:, None] + 5.0  # neither loudness nor an offset decides
    criterion = criteria.Shannon(power=1)
    expected = adaptstft.optimize(equal, FS, criterion=criterion)
    found = AdaptiveSpectrogram(FS, criterion=criterion).fit(loud)
    assert_allclose(found.win_length_, expected.win_length, rtol=1e-6)
    assert_allclose(found.criterion_value_, expected.fun, rtol=1e-9)
    assert found.hop_ == expected.hop


@pytest.mark.slow
def test_separability_finds_the_window_that_separates_the_classes(tones):
    X, y = tones
    tuned = AdaptiveSpectrogram(FS, criterion="separability", pooling="mean").fit(X[:80], y[:80])
    scores = {}
    for length in (16.0, 50.0, 100.0, 200.0, tuned.win_length_):
        fixed = AdaptiveSpectrogram(FS, window_mode="fixed", win_length=length, hop=8, mfft=200, pooling="mean")
        model = make_pipeline(fixed, StandardScaler(), LogisticRegression(C=0.01))
        scores[length] = model.fit(X[:80], y[:80]).score(X[80:], y[80:])
    assert scores[16.0] < 0.7
    assert tuned.win_length_ > 60
    assert scores[tuned.win_length_] >= max(scores.values()) - 0.05


@pytest.mark.slow
def test_separability_is_a_minimum_in_the_length(tones):
    X, y = tones[0][:60], tones[1][:60]
    options = {"fs": FS, "criterion": "separability", "pooling": "mean", "hop": 10, "mfft": 200}
    tuned = AdaptiveSpectrogram(**options).fit(X, y)
    for factor in (0.9, 1.1):
        length = min(tuned.win_length_ * factor, 200.0)
        other = AdaptiveSpectrogram(window_mode="fixed", win_length=length, **options).fit(X, y)
        assert other.criterion_value_ >= tuned.criterion_value_
    features = tuned.transform(X)
    assert_allclose(discriminant_loss(features, y), tuned.criterion_value_, rtol=1e-9)


@pytest.mark.slow
def test_a_window_for_each_frequency_is_tuned(tones):
    X, y = tones[0][:40], tones[1][:40]
    options = {"fs": FS, "criterion": "separability", "pooling": "mean", "hop": 20, "mfft": 128, "starts": 1}
    one = AdaptiveSpectrogram(**options).fit(X, y)
    many = AdaptiveSpectrogram(window_mode="frequency", control_points=4, **options).fit(X, y)
    assert many.win_length_.shape == (65, 1)
    assert np.ptp(many.win_length_) > 1
    assert many.criterion_value_ < one.criterion_value_


def test_a_user_function_gets_the_spectrograms(tones):
    seen = []

    def loss(power):
        seen.append(power.shape)
        return -anp.mean(anp.log(power + 1e-3))

    found = AdaptiveSpectrogram(FS, criterion=loss, hop=20, mfft=256, detrend="linear").fit(tones[0][:5])
    assert set(seen) == {(5, 129, frame_count(400, 20))}
    assert np.isfinite(found.criterion_value_)


def test_tuning_and_floor_come_from_the_training_signals_alone(tones):
    X, _ = tones
    tuned = AdaptiveSpectrogram(FS).fit(X[:20])
    before = tuned.win_length_, tuned.floor_
    tuned.transform(1e6 * X[20:])
    assert (tuned.win_length_, tuned.floor_) == before
    assert_allclose(tuned.floor_, 1e-6 * np.mean(scipy.signal.detrend(X[:20], axis=1) ** 2) / FS)


# ---------------------------------------------------------------------------------------
# Features


@pytest.mark.parametrize("detrend", ["constant", "linear", None])
@pytest.mark.parametrize("log_floor", [1e-3, None])
def test_features_are_those_of_the_transform(tones, log_floor, detrend):
    X = tones[0][:4] + np.arange(400) / 50
    tuned = AdaptiveSpectrogram(FS, window_mode="fixed", win_length=60.5, log_floor=log_floor, detrend=detrend).fit(X)
    assert tuned.win_length_ == 60.5
    trend = {"constant": X.mean(axis=1, keepdims=True), None: 0.0}
    if detrend == "linear":
        k = np.arange(400)
        trend["linear"] = np.array([np.polyval(np.polyfit(k, row, 1), k) for row in X])
    power = tuned.transform_.spectrogram(X - trend[detrend])
    expected = power if log_floor is None else np.log(power + tuned.floor_)
    assert_allclose(tuned.transform(X), expected.reshape(4, -1), rtol=1e-6)
    for pooling, pooled in (("mean", np.mean), ("std", np.std), ("max", np.max)):
        tuned.pooling = pooling
        assert_allclose(tuned.transform(X), pooled(expected, axis=-1), rtol=1e-6)
    tuned.pooling = ["max", "mean"]
    both = np.concatenate([expected.max(axis=-1), expected.mean(axis=-1)], axis=1)
    assert_allclose(tuned.transform(X), both, rtol=1e-6)


def test_features_do_not_depend_on_how_many_signals_there_are(tones, monkeypatch):
    tuned = AdaptiveSpectrogram(FS, pooling="std").fit(tones[0][:10])
    whole = tuned.transform(tones[0])
    monkeypatch.setattr(module, "_CHUNK", 1)
    assert_array_equal(tuned.transform(tones[0]), whole)


def test_many_signals_of_few_samples_are_rows(rng):
    """They are not taken for one signal with time first."""
    for criterion in ("renyi", lambda power: -anp.mean(anp.log(power + 1e-3))):
        X = rng.standard_normal((300, 8))
        found = AdaptiveSpectrogram(criterion=criterion, pooling="mean").fit(X)
        assert 2 <= found.win_length_ <= 8
        assert len(found.transform(X)) == 300


def test_names_of_features(tones):
    tuned = AdaptiveSpectrogram(FS, window_mode="fixed", win_length=40, hop=20, mfft=50).fit(tones[0][:3])
    names = tuned.get_feature_names_out()
    assert len(names) == tuned.transform(tones[0][:1]).shape[1] == 26 * frame_count(400, 20)
    assert list(names[:2]) == ["0Hz_0s", "0Hz_0.1s"]
    assert names[-1] == "100Hz_2s"
    tuned.pooling = ("mean", "max")
    assert list(tuned.get_feature_names_out()[[0, 1, -1]]) == ["mean_0Hz", "mean_4Hz", "max_100Hz"]
    with pytest.raises(ValueError, match=r"equal to number of features \(400\), got 3"):
        tuned.get_feature_names_out(["a", "b", "c"])


def test_precision_of_the_signals_is_kept(tones):
    single = tones[0][:6].astype(np.float32)
    tuned = AdaptiveSpectrogram(FS, pooling="mean").fit(single)
    assert tuned.transform(single).dtype == np.float32
    assert_allclose(tuned.transform(single), tuned.transform(single.astype(float)), rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------------------------------
# In scikit-learn


@pytest.mark.slow
def test_grid_search_over_lengths_and_tuning_per_fold(tones):
    X, y = tones[0][:60], tones[1][:60]
    spectrogram = AdaptiveSpectrogram(FS, window_mode="fixed", win_length=16, hop=8, mfft=200, pooling="mean")
    model = make_pipeline(spectrogram, StandardScaler(), LogisticRegression(C=0.01))
    search = GridSearchCV(model, {"adaptivespectrogram__win_length": [16, 150]}, cv=3).fit(X, y)
    assert search.best_params_ == {"adaptivespectrogram__win_length": 150}
    modes = {"adaptivespectrogram__criterion": ["renyi", "separability"]}
    model.set_params(adaptivespectrogram__window_mode="constant")
    search = GridSearchCV(model, modes, cv=2, error_score="raise").fit(X, y)
    assert np.all(search.cv_results_["mean_test_score"] > 0.5)
    assert search.best_estimator_[0].win_length_ > 16


def test_a_clone_has_the_parameters_and_nothing_fitted(tones):
    criterion = criteria.Renyi(alpha=2)
    tuned = AdaptiveSpectrogram(FS, criterion=criterion, win_bounds=(20, 90)).fit(tones[0][:4])
    other = clone(tuned)
    assert other.get_params() == tuned.get_params()
    assert not hasattr(other, "win_length_")
    assert 20 <= tuned.win_length_ <= 90


# ---------------------------------------------------------------------------------------
# The discriminant


def naive_discriminant_loss(features, labels):
    """Classify each sample by the means without it, in plain loops."""
    z = (features - features.mean(axis=0)) / features.std(axis=0)
    classes = np.unique(labels)
    within = np.concatenate([z[labels == c] - z[labels == c].mean(axis=0) for c in classes])
    covariance = within.T @ within / len(z) + 10 * np.mean(within**2) * np.eye(z.shape[1])
    losses = []
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        if not np.any(others & (labels == labels[i])):
            continue
        scores = []
        for c in classes:
            off = z[i] - z[(labels == c) & (others if c == labels[i] else True)].mean(axis=0)
            scores.append(-off @ np.linalg.inv(covariance) @ off / 2)
        losses.append(np.log(np.sum(np.exp(scores))) - scores[list(classes).index(labels[i])])
    return np.mean(losses)


@pytest.mark.parametrize("n_features", [3, 40], ids=["few", "many"])
@pytest.mark.parametrize("alone", [False, True])
def test_discriminant_loss(rng, n_features, alone):
    labels = np.array([0, 1, 2] * 5 + [3] * alone)
    features = rng.standard_normal((labels.size, n_features)) * rng.random(n_features) + 0.5 * labels[:, None]
    assert_allclose(discriminant_loss(features, labels), naive_discriminant_loss(features, labels), rtol=1e-6)
    check_grads(lambda f: discriminant_loss(f, labels), modes=["rev"], order=1)(features)


def test_features_without_information(rng):
    labels = np.arange(200) % 4
    loss = discriminant_loss(rng.standard_normal((200, 5)), labels)
    assert_allclose(loss, np.log(4), atol=0.05)
    assert_allclose(discriminant_loss(np.ones((200, 5)), labels), np.log(4))


# ---------------------------------------------------------------------------------------
# Errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fs": 0}, r"fs=0 must be greater than 0 Hz"),
        ({"window_mode": "time"}, r"window_mode='time' must be one of 'constant', 'frequency', 'fixed'"),
        ({"window_mode": "fixed"}, r"window_mode='fixed' keeps win_length, but win_length=None"),
        ({"win_length": 300.0}, r"win_length=300.0: windows may have at most 100 samples"),
        (
            {"criterion": "best"},
            r"unknown criterion='best'; known are \['description-length', 'gini', .*\], and 'separability'",
        ),
        ({"criterion": "separability"}, r"criterion='separability' requires y to be passed, .* y is None"),
        ({"pooling": "median"}, r"pooling='median' must be one of 'mean', 'std', 'max'"),
        ({"pooling": ["mean", "mode"]}, r"pooling='mode' must be one of 'mean', 'std', 'max'"),
        ({"pooling": ["mean", "max", "mean"]}, r"pooling=\['mean', 'max', 'mean'\] gives the same features twice"),
        ({"pooling": []}, r"pooling=\[\] is empty"),
        ({"log_floor": 0.0}, r"log_floor=0.0 must be greater than 0"),
        ({"detrend": "mean"}, r"detrend='mean' must be one of 'constant', 'linear', None"),
        ({"hop": 80.0}, r"hop=80.0 leaves samples uncovered: with min_overlap=0.5"),
        ({"control_points": 3}, r"control_points=3 needs window_mode 'frequency'"),
    ],
)
def test_parameters_out_of_range(rng, parameters, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveSpectrogram(**parameters).fit(rng.standard_normal((4, 100)))


def test_pooling_of_another_type(rng):
    with pytest.raises(TypeError, match=r"pooling=3 must be None, one of \('mean', 'std', 'max'\), or several"):
        AdaptiveSpectrogram(pooling=3).fit(rng.standard_normal((4, 100)))


@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_silent_signals(offset):
    with pytest.raises(ValueError, match=r"X is silent: its 300 samples are zero after removal of their trend"):
        AdaptiveSpectrogram().fit(np.full((3, 100), offset))


def test_signals_whose_powers_are_no_numbers(rng):
    X = rng.standard_normal((3, 100))
    with pytest.raises(ValueError, match=r"^X has the largest magnitude \S+e-160, whose square is no normal number"):
        AdaptiveSpectrogram().fit(X * 1e-160)
    assert AdaptiveSpectrogram().fit(X * 1e-150).win_length_ == pytest.approx(
        AdaptiveSpectrogram().fit(X).win_length_, rel=1e-6
    )


def test_some_silent_signals_do_not_matter(rng):
    X = rng.standard_normal((3, 100))
    with_silence = np.concatenate([X, np.full((2, 100), 0.1)])
    assert_allclose(AdaptiveSpectrogram().fit(with_silence).win_length_, AdaptiveSpectrogram().fit(X).win_length_)
    features = AdaptiveSpectrogram(pooling="std", criterion="separability").fit_transform(with_silence, [0, 1, 0, 1, 1])
    assert np.all(np.isfinite(features))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 1, 1, 1], r"needs at least two classes, but y has 1 class"),
        (
            [1, 2, 3, 4],
            r"needs a class with at least two samples, but n_samples=4 and all of them have different classes",
        ),
        ([0.1, 0.2, 0.1, 0.25], r"Unknown label type: continuous"),
    ],
)
def test_classes_that_cannot_be_separated(rng, y, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveSpectrogram(criterion="separability").fit(rng.standard_normal((4, 50)), y)
