"""Transformer for scikit-learn: spectrograms with a window length that is tuned on the training data.

It comes with the extra ``sklearn`` (``pip install 'adaptstft[sklearn]'``) and is imported by name,
``from adaptstft.sklearn import AdaptiveSpectrogram``.
"""

from __future__ import annotations

import inspect
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
#: Keyword arguments of `optimize`; the estimator has some of them as parameters of the same name.
_OPTIONS = [p.name for p in inspect.signature(optimize).parameters.values() if p.kind is p.KEYWORD_ONLY]
_POOLINGS = ("mean", "std", "max")
_SUPERVISED = "separability"
#: Number of bins that `transform` computes at once before pooling.
_CHUNK = 1 << 22
#: Multiple of the mean variance that is added to the diagonal of the covariance within classes.
_SHRINKAGE = 10.0
#: Variance that is added to that of each feature, relative to the mean variance of all features.
_CONSTANT = 1e-9


def discriminant_loss(features: Any, labels: Any) -> Any:
    r"""Return the cross-entropy of a linear discriminant in nats: small if the features separate the classes well.

    The loss is the mean of ``-log p`` over the samples, with ``p`` the probability of the right class. The
    probability of a class is proportional to ``exp(-d / 2)``, with ``d`` the squared Mahalanobis distance from the
    sample to the mean of the class; the mean of its own class leaves the sample out. Features are scaled to unit
    variance. The covariance within classes is regularised: ten times its mean variance is added to the diagonal
    [1]_, so there may be many more features than samples.

    Parameters
    ----------
    features : array_like of float, shape (n_samples, n_features)
        One row for each sample. `autograd` can differentiate the loss with respect to it.
    labels : array_like, shape (n_samples,)
        The class of each sample, at least two different ones. A sample that is alone in its class does
        not count.

    Returns
    -------
    float
        The loss; about ``log(n_classes)`` for features without information on the classes.

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
    """Return 1 in the column of the class of each sample, else 0; shape (n_samples, n_classes)."""
    labels = np.asarray(labels)
    classes, index = np.unique(labels, return_inverse=True)
    if classes.size < 2:
        raise ValueError(f"criterion={_SUPERVISED!r} needs at least two classes, but y has {classes.size} class")
    if classes.size == labels.size:
        raise ValueError(
            f"criterion={_SUPERVISED!r} needs a class with at least two samples, but n_samples={labels.size} and "
            "all of them have different classes"
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
    # distance from the mean of the own class without the sample
    distance = distance * anp.where(member > 0, (size / np.maximum(size - 1, 1)) ** 2, 1.0)
    surprise = logsumexp(-distance / 2, axis=1) + anp.sum(member * distance, axis=1) / 2
    counted = member @ (size > 1)
    return anp.dot(counted, surprise) / counted.sum()


def _standardised(features: Any) -> Any:
    """Return features of zero mean and unit variance; if there are more than samples, fewer with equal products."""
    centred = features - anp.mean(features, axis=0)
    variance = anp.mean(centred**2, axis=0)
    least = _CONSTANT * anp.mean(variance)
    z = centred / anp.sqrt(variance + least + 1.0 * (least == 0))
    if z.shape[1] <= len(z):
        return z
    return anp.linalg.cholesky(anp.dot(z, z.T) + _CONSTANT * z.shape[1] * np.eye(len(z)))


def _pool(values: Any, how: str) -> Any:
    """Reduce the last axis, time; autograd can differentiate it, also for values that are constant in time."""
    if how == "mean":
        return anp.mean(values, axis=-1)
    if how == "max":
        return anp.max(values, axis=-1)
    variance = anp.var(values, axis=-1)
    changes = 1.0 * (variance > 0)
    return anp.sqrt(variance + (1 - changes)) * changes


class AdaptiveSpectrogram(TransformerMixin, BaseEstimator):
    """Features from spectrograms with a window length that is tuned on the training data.

    Each row of ``X`` is a signal; all have the same length and sampling frequency. `fit` finds
    the window length with the most concentrated spectrograms of the training signals
    or, with ``criterion="separability"``, the best separation of their classes. `transform` computes
    spectrograms with that length. In a pipeline the length never depends on the test signals.

    Parameters
    ----------
    fs : float
        Sampling frequency in Hz.
    window : str, tuple, callable or Window
        Window family, see `adaptstft.windows.resolve`.
    window_mode : {"constant", "frequency", "fixed"}
        Tune one window length, one for each frequency, or none.
    win_length : float, optional
        Window length in samples: the length in mode ``"fixed"``, an additional starting point in the others.
    win_bounds : (float, float), optional
        Range of window lengths in samples; by default as in `adaptstft.optimize`.
    f_bounds : (float, float), optional
        Range of frequencies in Hz that the criterion sees, as in `adaptstft.optimize`. The features have all
        frequencies.
    hop : float, optional
        Time between frames in samples. None takes an eighth of the window length; for user functions
        and ``"separability"`` an eighth of the geometric mean of `win_bounds`.
    min_overlap : float or None
        Least overlap of neighbouring windows as a fraction of the window length. With a given `hop` it is a lower
        bound on the window length. None allows frames that leave samples out.
    mfft : int, optional
        Length of the FFT, at least the longest window. None takes twice the window length; for user functions and
        ``"separability"`` the longest window of `win_bounds`.
    criterion : str, Criterion or callable
        ``"separability"``, which needs ``y``: how well the features separate the classes, see
        `discriminant_loss`. Or a measure of concentration of `adaptstft.criteria`, of all
        training signals together, each scaled to the same energy. Or a
        user function written with ``autograd.numpy``, of ``|S|**2`` of shape (n_samples, f_pts, p_num).
    pooling : {"mean", "std", "max"}, sequence of these, or None
        Statistics of each frequency over time that become the features; None keeps all frames.
    log_floor : float or None
        Features are ``log(|S|**2 + floor_)``, with ``floor_`` this fraction of the mean power density of
        the training signals. With None they are ``|S|**2``.
    control_points : int or "free", optional
        In mode ``"frequency"``, the number of control points of the length over frequency, as in
        `adaptstft.optimize`.
    detrend : {"constant", "linear"} or None
        Trend to remove from each signal.
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
        Value of the criterion for the training signals with that transform; smaller is better.
    floor_ : float
        Power density that is added before the logarithm, 0 without one.
    n_features_in_ : int
        Number of samples of a signal.
    feature_names_in_ : ndarray of str
        Names of the columns of ``X``, if they have names.

    See Also
    --------
    adaptstft.optimize : Tune one signal, with more modes.

    Notes
    -----
    Windows have unit energy (``scale_to="psd"``), and frames are centred at ``p * hop``, ``p = 0 ...
    ceil((n - 1) / hop)``. The signals are continued by zeros.

    ``"separability"`` and user functions keep the spectrograms of all training signals in
    memory, several times ``n_samples * n * mfft / hop`` numbers of 8 bytes.

    Examples
    --------
    Two classes of tones in noise, 1 Hz apart, for which windows shorter than half a second are too short:

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
        f_bounds: tuple[float | None, float | None] | None = None,
        hop: float | None = None,
        min_overlap: float | None = 0.5,
        mfft: int | None = None,
        criterion: Any = "description-length",
        pooling: Any = None,
        log_floor: float | None = 1e-6,
        control_points: Any = None,
        detrend: str | None = "linear",
        starts: int | None = None,
        workers: int | None = None,
    ) -> None:
        self.fs = fs
        self.window = window
        self.window_mode = window_mode
        self.win_length = win_length
        self.win_bounds = win_bounds
        self.f_bounds = f_bounds
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
            Their classes, for ``criterion="separability"``; ignored otherwise.

        Returns
        -------
        AdaptiveSpectrogram
            The estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters out of range and for silent signals.
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
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name in _OPTIONS}
        parameters |= {"criterion": criterion, "detrend": None, "progress": False}
        # with the axis as a number, many rows of few samples are not taken for one signal with time first
        result = optimize(signals, self.fs, axis=1, **parameters)
        self.win_length_ = result.win_length
        self.hop_ = result.hop
        # the features are the frames of the search, also where the transform has a hop
        frames = {"hop": None, "positions": result.positions, "samples": signals.shape[1]}
        self.transform_ = result.sft.remade(**frames)
        self.criterion_value_ = float(result.fun)
        return self

    def transform(self, X: Any) -> AnyArray:
        """Compute the features.

        Parameters
        ----------
        X : array_like, shape (n_samples, n)
            Real signals, as long as the training signals.

        Returns
        -------
        ndarray, shape (n_samples, n_features)
            The (log) power of all frames of the first frequency, then of the next one; with `pooling`, one block of
            ``f_pts`` features for each statistic. float32 for float32 signals, otherwise float64.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        out = np.empty((len(X), len(self.get_feature_names_out())), dtype=X.dtype)
        for rows in self._batches(len(X)):
            signals = remove_trend(X[rows], self.detrend)
            out[rows] = self._features(self.transform_.spectrogram(signals, axis=1))
        return out

    def get_feature_names_out(self, input_features: Any = None) -> AnyArray:
        """Return the names of the features, such as ``"12.5Hz_0.25s"`` or, with pooling, ``"mean_12.5Hz"``.

        Parameters
        ----------
        input_features : array_like of str, optional
            Names of the columns of ``X``. They are only checked.

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

    # ------------------------------------------------------------------ private

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
            raise ValueError(f"pooling={show(self.pooling)} gives the same features twice: name each statistic once")

    def _poolings(self) -> tuple[Any, ...]:
        if self.pooling is None:
            return ()
        return (self.pooling,) if isinstance(self.pooling, str) else tuple(self.pooling)

    def _check_not_silent(self, signals: Float64Array, peak: float) -> float:
        """Return the mean power of the signals without trend; it must be more than rounding errors."""
        power = float(np.mean(signals**2))
        if power < np.finfo(float).tiny and signals.any():
            raise ValueError(
                f"X has the largest magnitude {peak:.3g}, whose square is no normal number: multiply X by a power of 2"
            )
        if power <= (np.finfo(float).eps * peak) ** 2 * signals.shape[1]:
            raise ValueError(
                f"X is silent: its {signals.size} samples are zero after removal of their trend "
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
        """Return the criterion to minimise; with the classes `member` it is the separability of the features."""
        if member is None:
            return resolve(self.criterion)
        loss: Callable[[Any], Any] = lambda power: _discriminant_loss(self._features(power), member)  # noqa: E731
        return resolve(loss)

    def _features(self, power: Any) -> Any:
        """Return the features of spectrograms, (n_samples, f_pts, p_num); autograd can differentiate them."""
        values = power if self.log_floor is None else anp.log(power + self.floor_)
        if self.pooling is None:
            return anp.reshape(values, (len(values), -1))
        return anp.concatenate([_pool(values, how) for how in self._poolings()], axis=1)

    def _batches(self, count: int) -> Iterator[slice]:
        sft = self.transform_
        step = max(1, _CHUNK // (sft.f_pts * sft.p_num(self.n_features_in_)))
        return (slice(low, low + step) for low in range(0, count, step))


def _unit_energy(signals: Float64Array) -> Float64Array:
    """Scale each signal to unit energy; a silent signal becomes zero."""
    energy = np.sum(signals**2, axis=1, keepdims=True)
    audible = energy > np.finfo(float).eps * energy.max()
    return np.where(audible, signals / np.sqrt(np.where(audible, energy, 1.0)), 0.0)
