"""A transformer for scikit-learn: spectrograms whose window length is tuned on the training data.

It comes with the extra ``sklearn`` (``pip install 'adaptstft[sklearn]'``) and is imported by name,
``from adaptstft.sklearn import AdaptiveSpectrogram``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import autograd.numpy as anp
import numpy as np
from autograd.scipy.special import logsumexp

from adaptstft.common.detrend import remove_trend
from adaptstft.common.optional import require
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_real, check_option, check_positive, show
from adaptstft.criteria import UserLoss, names, resolve
from adaptstft.tuning.entry import optimize

require("sklearn", extra="sklearn", package="scikit-learn")

from sklearn.base import BaseEstimator, TransformerMixin  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

__all__ = ["AdaptiveSpectrogram", "discriminant_loss"]

_Mode = Literal["constant", "frequency", "fixed"]
_POOLINGS = ("mean", "std", "max")
_SUPERVISED = "separability"
#: Bins that `transform` holds at a time before they are pooled.
_CHUNK = 1 << 22
#: What is added to the covariance within classes, relative to its mean variance.
_SHRINKAGE = 10.0
#: Variance of a feature, relative to the mean of all, that hardly counts.
_CONSTANT = 1e-9


def discriminant_loss(features: Any, labels: Any) -> Any:
    r"""Measure how well features tell classes apart: the cross-entropy of a linear discriminant, in nats.

    It is the mean of ``-log p`` of the right class, where ``p`` is proportional to ``exp(-d / 2)`` of the
    squared Mahalanobis distance ``d`` from a sample to the mean of a class, without that sample if it is
    its own. Features are scaled to unit variance, and the covariance
    within classes is shrunk: ten times its mean variance is added on the diagonal [1]_, so
    that there may be far more features than samples.

    Parameters
    ----------
    features : array_like of float, shape (n_samples, n_features)
        One row for each sample. `autograd` differentiates in it.
    labels : array_like, shape (n_samples,)
        The class of each sample, at least two in all. Samples that are alone in their class are
        not counted.

    Returns
    -------
    float
        The loss, about ``log(n_classes)`` where the features say nothing.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or no class has two samples.

    References
    ----------
    .. [1] J. H. Friedman, "Regularized discriminant analysis", J. Am. Stat.
       Assoc. 84(405), 1989.

    Examples
    --------
    >>> from adaptstft.sklearn import discriminant_loss
    >>> features = [[0.0, 1.0], [0.1, 2.0], [3.0, 1.5], [3.1, 1.4]]
    >>> bool(discriminant_loss(features, [0, 0, 1, 1]) < discriminant_loss(features, [0, 1, 0, 1]))
    True
    """
    return _discriminant_loss(anp.array(features), _membership(labels))


def _membership(labels: Any) -> Float64Array:
    """Membership of each sample, one column for each class."""
    labels = np.asarray(labels)
    classes, index = np.unique(labels, return_inverse=True)
    if classes.size < 2:
        raise ValueError(f"criterion={_SUPERVISED!r} needs at least two classes, but y has {classes.size} class")
    if classes.size == labels.size:
        raise ValueError(
            f"criterion={_SUPERVISED!r} needs a class with at least two samples, but n_samples={labels.size} and "
            "all are of different classes"
        )
    return np.eye(classes.size)[index]


def _discriminant_loss(features: Any, member: Float64Array) -> Any:
    z = _standardised(features)
    size = member.sum(axis=0)
    means = anp.dot((member / size).T, z)
    within = z - anp.dot(member, means)
    variance = anp.sum(within**2) / features.size
    least = 1.0 * (variance == 0)  # no feature varies within any class
    covariance = anp.dot(within.T, within) / len(z) + (_SHRINKAGE * variance + least) * np.eye(z.shape[1])
    both = anp.concatenate([z, means])
    solved = anp.linalg.solve(covariance, both.T)
    norm = anp.sum(both * solved.T, axis=1)
    distance = norm[: len(z), None] + norm[len(z) :] - 2 * anp.dot(z, solved[:, len(z) :])
    # a sample's distance from its class without it
    distance = distance * anp.where(member > 0, (size / np.maximum(size - 1, 1)) ** 2, 1.0)
    surprise = logsumexp(-distance / 2, axis=1) + anp.sum(member * distance, axis=1) / 2
    counted = member @ (size > 1)
    return anp.dot(counted, surprise) / counted.sum()


def _standardised(features: Any) -> Any:
    """Features of zero mean and unit variance, or as many as there are samples with the same inner products."""
    centred = features - anp.mean(features, axis=0)
    variance = anp.mean(centred**2, axis=0)
    least = _CONSTANT * anp.mean(variance)
    z = centred / anp.sqrt(variance + least + 1.0 * (least == 0))
    if z.shape[1] <= len(z):
        return z
    return anp.linalg.cholesky(anp.dot(z, z.T) + _CONSTANT * z.shape[1] * np.eye(len(z)))


def _pool(values: Any, how: str) -> Any:
    """Reduce the last axis, time; differentiable by autograd, also where nothing changes in time."""
    if how == "mean":
        return anp.mean(values, axis=-1)
    if how == "max":
        return anp.max(values, axis=-1)
    variance = anp.var(values, axis=-1)
    changes = 1.0 * (variance > 0)
    return anp.sqrt(variance + (1 - changes)) * changes


class AdaptiveSpectrogram(TransformerMixin, BaseEstimator):
    """Spectrograms with a window length tuned on the training data, as features.

    Each row of ``X`` is a signal; all have the same length and sampling frequency. `fit` finds
    the window length that makes the spectrograms of the training signals most concentrated
    or, with ``criterion="separability"``, their classes easiest to tell apart. `transform` computes
    spectrograms with that length, which in a pipeline never depends on held-out signals.

    Parameters
    ----------
    fs : float
        Sampling frequency in Hz.
    window : str, tuple, callable or Window
        Window family, see `adaptstft.windows.resolve`.
    window_mode : {"constant", "frequency", "fixed"}
        Tune one window length, one for each frequency, or none.
    win_length : float, optional
        Window length in samples: to keep in mode ``"fixed"``, to begin from as well in the others.
    win_bounds : (float, float), optional
        Range of window lengths in samples; 16 to half a signal, as far as that goes, by default.
    hop : float, optional
        Time between frames in samples. None takes an eighth of the window length; for losses of
        the user's and ``"separability"``, of the geometric mean of `win_bounds`.
    min_overlap : float or None
        Least overlap of neighbouring windows as a fraction of the window length, which bounds lengths below where
        `hop` is given. None lets frames leave samples out.
    mfft : int, optional
        Length of the FFT, at least the longest window. None takes twice the window length; for losses of the
        user's and ``"separability"``, the longest window of `win_bounds`.
    criterion : str, Criterion or callable
        ``"separability"``, which needs ``y``: how well the features tell classes apart, see
        `discriminant_loss`. Or a measure of concentration of `adaptstft.criteria`, of all
        training signals together, each scaled to the same energy. Or a
        loss written with ``autograd.numpy``, a function of ``|S|**2`` of shape (n_samples, f_pts, p_num).
    pooling : {"mean", "std", "max"}, sequence of these, or None
        What is kept of the course in time of each frequency; None keeps all of it.
    log_floor : float or None
        Features are ``log(|S|**2 + floor_)``, with ``floor_`` this fraction of the mean power density of
        the training signals. None: they are ``|S|**2``.
    control_points : int or "free", optional
        In mode ``"frequency"``, the number of control points of the length over frequency, as in
        `adaptstft.optimize`.
    detrend : {"constant", "linear"} or None
        Trend that is removed from every signal.
    starts : int, optional
        Number of starting points to refine; up to three by default.
    workers : int, optional
        Number of threads; None uses all cores.

    Attributes
    ----------
    win_length_ : float or ndarray, shape (f_pts, 1)
        Window length(s) in samples.
    hop_ : float
        Time between frames in samples.
    transform_ : AdaptiveShortTimeFFT
        The transform, for signals of this length.
    criterion_value_ : float
        The criterion of the training signals with that transform; smaller is better.
    floor_ : float
        Power density that is added before the logarithm, 0 without one.
    n_features_in_ : int
        Number of samples of a signal.
    feature_names_in_ : ndarray of str
        Names of the columns of ``X``, if it had any.

    See Also
    --------
    adaptstft.optimize : Tunes more than this does, for one signal.

    Notes
    -----
    Windows have unit energy (``scale_to="psd"``), and frames are centred at ``p * hop``, ``p = 0 ...
    ceil((n - 1) / hop)``, with zeros outside the signal.

    ``"separability"`` and losses of the user's hold the spectrograms of all training signals in
    memory, about ``n_samples * n * mfft / hop`` numbers of 8 bytes, several times over.

    Examples
    --------
    Tones that are 1 Hz apart, in noise, which windows shorter than half a second hardly tell apart:

    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from adaptstft.sklearn import AdaptiveSpectrogram
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(80) % 2
    >>> t = np.arange(400) / 200
    >>> X = np.cos(2 * np.pi * ((40 + y[:, None]) * t + rng.random((80, 1))))
    >>> X += 2 * rng.standard_normal(X.shape)
    >>> spectrogram = AdaptiveSpectrogram(fs=200.0, hop=8, criterion="separability", pooling="mean")
    >>> model = make_pipeline(spectrogram, LogisticRegression()).fit(X[:40], y[:40])
    >>> bool(model[0].win_length_ > 80), model.score(X[40:], y[40:]) > 0.9
    (True, True)
    """

    def __init__(
        self,
        fs: float = 1.0,
        *,
        window: Any = "hann",
        window_mode: _Mode = "constant",
        win_length: float | None = None,
        win_bounds: tuple[float, float] | None = None,
        hop: float | None = None,
        min_overlap: float | None = 0.5,
        mfft: int | None = None,
        criterion: Any = "renyi",
        pooling: Any = None,
        log_floor: float | None = 1e-6,
        control_points: Any = None,
        detrend: str | None = "constant",
        starts: int | None = None,
        workers: int | None = None,
    ) -> None:
        self.fs = fs
        self.window = window
        self.window_mode = window_mode
        self.win_length = win_length
        self.win_bounds = win_bounds
        self.hop = hop
        self.min_overlap = min_overlap
        self.mfft = mfft
        self.criterion = criterion
        self.pooling = pooling
        self.log_floor = log_floor
        self.control_points = control_points
        self.detrend = detrend
        self.starts = starts
        self.workers = workers

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._supervised
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _supervised(self) -> bool:
        return isinstance(self.criterion, str) and self.criterion == _SUPERVISED

    def fit(self, X: Any, y: Any = None) -> AdaptiveSpectrogram:
        """Tune the window length.

        Parameters
        ----------
        X : array_like, shape (n_samples, n)
            Real signals, one in each row.
        y : array_like, shape (n_samples,), optional
            Their classes, for ``criterion="separability"``; not looked at otherwise.

        Returns
        -------
        AdaptiveSpectrogram
            The estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters out of range and signals that are silent; the message names the value and the range.
        """
        self._check_parameters()
        if self._supervised and y is None:
            raise ValueError(f"criterion={_SUPERVISED!r} requires y to be passed, but the target y is None")
        options: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_min_features": 2}
        member = None
        if self._supervised:
            X, y = validate_data(self, X, y, **options)
            check_classification_targets(y)
            member = _membership(y)
        else:
            X = validate_data(self, X, **options)
        signals = remove_trend(np.asarray(X, dtype=np.float64), self.detrend)
        power = self._check_not_silent(signals, np.abs(X).max())
        self.floor_ = 0.0 if self.log_floor is None else float(self.log_floor * power / self.fs)
        criterion = self._loss(member)
        if not isinstance(criterion, UserLoss):
            signals = _unit_energy(signals)
        res = optimize(
            signals,
            self.fs,
            window=self.window,
            window_mode=self.window_mode,
            win_length=self.win_length,
            win_bounds=self.win_bounds,
            hop=self.hop,
            min_overlap=self.min_overlap,
            mfft=self.mfft,
            criterion=criterion,
            control_points=self.control_points,
            detrend=None,
            starts=self.starts,
            workers=self.workers,
        )
        self.win_length_ = res.win_length
        self.hop_ = res.hop
        self.transform_ = res.sft
        self.criterion_value_ = float(res.fun)
        return self

    def transform(self, X: Any) -> AnyArray:
        """Compute the features.

        Parameters
        ----------
        X : array_like, shape (n_samples, n)
            Real signals of the length of the training signals.

        Returns
        -------
        ndarray, shape (n_samples, n_features)
            (Log) power, frequency by frequency and within one frame by frame; with `pooling`, one block of
            ``f_pts`` features for each kind. float32 for float32 signals, otherwise float64.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        out = np.empty((len(X), len(self.get_feature_names_out())), dtype=X.dtype)
        for rows in self._batches(len(X)):
            signals = remove_trend(X[rows], self.detrend)
            out[rows] = self._features(self.transform_.spectrogram(signals))
        return out

    def get_feature_names_out(self, input_features: Any = None) -> AnyArray:
        """Return names of the features, such as ``"12.5Hz_0.25s"`` or, pooled, ``"mean_12.5Hz"``.

        Parameters
        ----------
        input_features : array_like of str, optional
            Names of the columns of ``X``; only checked.

        Returns
        -------
        ndarray of str, shape (n_features,)
            The names.
        """
        check_is_fitted(self)
        self._check_input_names(input_features)
        sft = self.transform_
        frequencies = [f"{f:.8g}Hz" for f in sft.f]
        if self.pooling is None:
            assert sft.positions is not None
            times = [f"{t:.8g}s" for t in sft.positions / sft.fs]
            return np.array([f"{f}_{t}" for f in frequencies for t in times], dtype=object)
        return np.array([f"{how}_{f}" for how in self._poolings() for f in frequencies], dtype=object)

    # ------------------------------------------------------------------ parts

    def _check_parameters(self) -> None:
        check_positive("fs", self.fs, "Hz")
        check_option("window_mode", self.window_mode, get_args(_Mode))
        check_option("detrend", self.detrend, ("constant", "linear", None))
        if isinstance(self.criterion, str) and self.criterion not in (*names(), _SUPERVISED):
            raise ValueError(f"unknown criterion={self.criterion!r}; known are {names()}, and {_SUPERVISED!r}")
        if self.window_mode == "fixed" and self.win_length is None:
            raise ValueError("window_mode='fixed' keeps win_length, but win_length=None: give it in samples")
        if self.win_length is not None:
            as_real("win_length", self.win_length)
        if self.log_floor is not None:
            check_positive("log_floor", self.log_floor)
        if not isinstance(self.pooling, str | Sequence | type(None)):
            raise TypeError(f"pooling={show(self.pooling)} must be None, one of {_POOLINGS}, or several of them")
        if self.pooling is not None and not self._poolings():
            raise ValueError(f"pooling={show(self.pooling)} is empty: use None to keep all frames")
        for how in self._poolings():
            check_option("pooling", how, _POOLINGS)
        if len(set(self._poolings())) < len(self._poolings()):
            raise ValueError(f"pooling={show(self.pooling)} has the same features twice: name each kind once")

    def _poolings(self) -> tuple[Any, ...]:
        if self.pooling is None:
            return ()
        return (self.pooling,) if isinstance(self.pooling, str) else tuple(self.pooling)

    def _check_not_silent(self, signals: Float64Array, peak: float) -> float:
        """Return the mean power of detrended signals, which must be more than rounding."""
        power = float(np.mean(signals**2))
        if power <= (np.finfo(float).eps * peak) ** 2 * signals.shape[1]:
            raise ValueError(
                f"X is silent: its {signals.size} samples are zero once their trend is removed "
                f"(detrend={self.detrend!r}), so no window is better than another"
            )
        return power

    def _check_input_names(self, names: Any) -> None:
        known = getattr(self, "feature_names_in_", None)
        if names is None:
            return
        if known is not None and not np.array_equal(names, known):
            raise ValueError("input_features is not equal to feature_names_in_")
        if len(names) != self.n_features_in_:
            raise ValueError(
                f"input_features should have length equal to number of features ({self.n_features_in_}), "
                f"got {len(names)}"
            )

    def _loss(self, member: Float64Array | None) -> Any:
        """Criterion to minimise, with `member` the separability of the features that are emitted."""
        if member is None:
            return resolve(self.criterion)
        loss: Callable[[Any], Any] = lambda power: _discriminant_loss(self._features(power), member)  # noqa: E731
        return resolve(loss)

    def _features(self, power: Any) -> Any:
        """Features of spectrograms, (n_samples, f_pts, p_num), differentiable by autograd."""
        values = power if self.log_floor is None else anp.log(power + self.floor_)
        if self.pooling is None:
            return anp.reshape(values, (len(values), -1))
        return anp.concatenate([_pool(values, how) for how in self._poolings()], axis=1)

    def _batches(self, count: int) -> Iterator[slice]:
        sft = self.transform_
        step = max(1, _CHUNK // (sft.f_pts * sft.positions.size))
        return (slice(low, low + step) for low in range(0, count, step))


def _unit_energy(signals: Float64Array) -> Float64Array:
    """Scale every signal to unit energy but those that are silent, which stay so."""
    energy = np.sum(signals**2, axis=1, keepdims=True)
    heard = energy > np.finfo(float).eps * energy.max()
    return np.where(heard, signals / np.sqrt(np.where(heard, energy, 1.0)), 0.0)
