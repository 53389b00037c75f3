"""Thresholds, window lengths and hop that minimise Stein's estimate of the risk, and averages weighted by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import fft, optimize, sparse

from adaptstft import kernels
from adaptstft.common.grids import GRID_RATIO, length_grid
from adaptstft.common.threads import count_workers
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.denoising.block_sure import BlockShrinker
from adaptstft.denoising.shrinkage import GAINS, Mode
from adaptstft.denoising.sure import Shrinker, Shrunk
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.windows import Window

#: Hop as a fraction of the window length, and of the shortest one where lengths vary in time.
HOP_RATIO, SHORTEST_HOP_RATIO = 0.25, 0.5
#: Range of tuned hops as fractions of the window length; at 1/8 transforms are 8-fold redundant.
HOP_RATIOS = (0.125, 0.5)
#: Range of thresholds, and of those that descents begin from: far above the noise the risk is flat.
_THRESHOLDS, _FIRST = (0.05, 40.0), (1.5, 5.0)
#: Support in samples of the raised cosine under which risks are summed, and what divides them in a weight's
#: exponent. Sharp oracle inequalities for averages of linear estimators hold from 8 variances of the noise on [1]_.
WIDTH, TEMPERATURE = 1024, 8.0
#: Lengths that vary in time: how far from the constant one, and samples and window lengths from knot to knot.
_SPAN, _KNOT_SAMPLES, _KNOT_WINDOWS, _MOST_KNOTS = 4.0, 2048, 4.0, 64
#: Descents are in logarithms times this: the first step of L-BFGS-B is of length 1.
_STEP_SCALE = 4.0
#: Options of L-BFGS-B, in variances of the noise a sample: 1e-5 in the risk is some 0.01 in a threshold.
_COARSE = {"ftol": 1e-5, "gtol": 1e-5, "maxiter": 20}
_FINE = {"ftol": 1e-7, "gtol": 1e-6, "maxiter": 40}


@dataclass
class Problem:
    """A signal with noise of variance 1, and how it is to be shrunk.

    Attributes
    ----------
    y : ndarray, shape (channels, n)
        The signal.
    window : Window
        The window function.
    mode : str
        One of the keys of `adaptstft.denoising.shrinkage.GAINS`.
    threshold : float or None
        The threshold, if it is not to be tuned.
    workers : int or None
        Number of threads.
    evaluations : int
        How often the risk was evaluated.
    """

    y: AnyArray
    window: Window
    mode: Mode
    threshold: float | None
    workers: int | None
    evaluations: int = field(default=0)

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.y.shape[-1])

    def channels(self) -> Iterator[Problem]:
        """Make a problem of each channel."""
        return (replace(self, y=self.y[c : c + 1], evaluations=0) for c in range(len(self.y)))

    def shrinker(self, win_length: Float64Array, positions: Float64Array, mfft: int) -> Shrinker:
        """Make what shrinks the transform of given frames."""
        _, module = kernels.resolve("auto")
        fft_mode = "twosided" if np.iscomplexobj(self.y) else "onesided"
        plan = FramePlan(mfft, fft_mode, None, module, count_workers(self.workers), self.window, 1.0)
        kind = BlockShrinker if self.mode == "block" else Shrinker
        return kind(plan, self.y, make_frames(win_length, positions, mfft=mfft), GAINS[self.mode])

    def evaluate(self, shrinker: Shrinker, threshold: Float64Array, *, gradient: bool = False) -> Shrunk:
        """Shrink, and count that."""
        self.evaluations += 1
        return shrinker.shrink(threshold, gradient=gradient)


@dataclass(frozen=True)
class Fit:
    """An estimate with the parameters that gave it.

    Attributes
    ----------
    win_length, positions : ndarray, shape (frames,)
        Lengths and positions of the frames in samples.
    hop : float
        Distance of the frames.
    mfft : int
        Length of the FFT.
    threshold : ndarray, shape (channels,)
        Thresholds.
    shrunk : Shrunk
        The estimate.
    """

    win_length: Float64Array
    positions: Float64Array
    hop: float
    mfft: int
    threshold: Float64Array
    shrunk: Shrunk

    @property
    def risk(self) -> float:
        """Estimated risk of all channels."""
        return float(self.shrunk.total.sum())


def join_fits(fits: list[Fit]) -> Fit:
    """Put fits of single channels in the same frames together."""
    x, risk, divergence = (
        np.concatenate([getattr(fit.shrunk, name) for fit in fits]) for name in ("x", "risk", "divergence")
    )
    threshold = np.concatenate([fit.threshold for fit in fits])
    return replace(fits[0], threshold=threshold, shrunk=Shrunk(x, risk, divergence))


def even_fft(length: float) -> int:
    """Even length of an FFT, with small factors, that holds a window."""
    return 2 * int(fft.next_fast_len(max(int(np.ceil(length / 2)), 1), real=True))


def frame_positions(n: int, hop: float, longest: float) -> Float64Array:
    """Return the times of all frames, a hop apart, whose windows may reach into the signal."""
    before = int(np.floor(longest / 2 / hop))
    after = int(np.ceil((n - 1 + longest / 2) / hop))
    return np.arange(-before, after + 1) * hop


def tied_hop(length: float) -> float:
    """Hop that goes with a length: whole, so that all frames share the samples of their window."""
    return float(max(1, round(HOP_RATIO * length)))


# ---------------------------------------------------------------------------------------
# One length


def fit_length(problem: Problem, length: float, hop: float | None, first: Float64Array | None = None) -> Fit:
    """Shrink with one length; tune the threshold from `first` on unless it is given."""
    hop = tied_hop(length) if hop is None else hop
    positions, mfft = frame_positions(problem.n, hop, length), even_fft(length)
    win_length = np.full(positions.size, length)
    shrinker = problem.shrinker(win_length, positions, mfft)
    threshold, shrunk = _tune_threshold(problem, shrinker, first)
    return Fit(win_length, positions, hop, mfft, threshold, shrunk)


def _tune_threshold(problem: Problem, shrinker: Shrinker, first: Float64Array | None) -> tuple[Float64Array, Shrunk]:
    channels = len(problem.y)
    if problem.threshold is not None:
        threshold = np.full(channels, problem.threshold)
        return threshold, problem.evaluate(shrinker, threshold)

    def risk(z: Float64Array) -> tuple[Shrunk, Float64Array]:
        shrunk = problem.evaluate(shrinker, np.exp(z), gradient=True)
        assert shrunk.log_threshold is not None
        return shrunk, shrunk.log_threshold

    start = np.log(np.full(channels, np.prod(_FIRST) ** 0.5) if first is None else np.clip(first, *_FIRST))
    z, shrunk = _descend(risk, start, [_log(_THRESHOLDS)] * channels, problem.y.size, _COARSE)
    return np.exp(z), shrunk


def _log(bounds: tuple[float, float]) -> tuple[float, float]:
    return float(np.log(bounds[0])), float(np.log(bounds[1]))


def _descend(
    risk: Callable[[Float64Array], tuple[Shrunk, Float64Array]],
    start: Float64Array,
    bounds: list[tuple[float, float]],
    size: int,
    options: dict[str, float],
) -> tuple[Float64Array, Shrunk]:
    """Minimise the risk by L-BFGS-B; return the best parameters met and what they give."""
    best: list[tuple[float, Float64Array, Shrunk]] = []

    def fun(scaled: Float64Array) -> tuple[float, Float64Array]:
        z = scaled / _STEP_SCALE
        shrunk, gradient = risk(z)
        value = float(shrunk.total.sum()) / size
        if not best or value < best[0][0]:
            best[:] = [(value, z, shrunk)]
        return value, gradient / (size * _STEP_SCALE)

    limits = [(low * _STEP_SCALE, high * _STEP_SCALE) for low, high in bounds]
    inside = np.clip(start, *np.transpose(bounds))
    optimize.minimize(fun, inside * _STEP_SCALE, jac=True, method="L-BFGS-B", bounds=limits, options=options)
    return best[0][1], best[0][2]


def fit_constant(problem: Problem, lengths: Float64Array, hop: float | None, *, tune_hop: bool) -> Fit:
    """Tune one length, and the hop if asked: from the best length of a grid, by the slope of the risk."""
    best = best_of_grid(problem, lengths, hop)
    if problem.mode == "block" or (lengths.size == 1 and not tune_hop):
        return best
    for _ in range(8):  # while it leaves the range that the FFT's length was chosen for
        found = descend_length(problem, best, (float(lengths[0]), float(lengths[-1])), hop, tune_hop=tune_hop)
        ended, limit = float(found.win_length[0]), float(best.win_length[0]) * GRID_RATIO
        if found.risk < best.risk:
            best = found
        if not limit / GRID_RATIO**2 * 1.001 < ended < limit / 1.001:
            continue
        break
    return best


def best_of_grid(problem: Problem, lengths: Float64Array, hop: float | None) -> Fit:
    """Fit all lengths of a grid and return the one with the least risk."""
    best: Fit | None = None
    last: Fit | None = None
    for length in lengths:
        last = fit_length(problem, float(length), hop, None if last is None else last.threshold)
        if best is None or last.risk < best.risk:
            best = last
    assert best is not None
    return best


def descend_length(
    problem: Problem, start: Fit, bounds: tuple[float, float], hop: float | None, *, tune_hop: bool
) -> Fit:
    """Descend in the length, the thresholds and the hop's fraction of the length together."""
    length = float(start.win_length[0])
    low, high = max(length / GRID_RATIO, bounds[0]), min(length * GRID_RATIO, bounds[1])
    if hop is not None and not tune_hop:
        low = max(low, min(hop / SHORTEST_HOP_RATIO, length))
    mfft = even_fft(high)
    fixed = start.hop
    counted = frame_positions(problem.n, HOP_RATIOS[0] * low if tune_hop else fixed, high)
    index = np.round(counted / (HOP_RATIOS[0] * low if tune_hop else fixed))
    given = problem.threshold is not None
    channels = len(problem.y)

    def parts(z: Float64Array) -> tuple[float, float, Float64Array]:
        win_length = float(np.exp(z[0]))
        distance = win_length * float(np.exp(z[1])) if tune_hop else fixed
        own = np.full(channels, problem.threshold) if given else np.exp(z[1 + tune_hop :])
        return win_length, distance, own

    def risk(z: Float64Array) -> tuple[Shrunk, Float64Array]:
        win_length, distance, threshold = parts(z)
        shrinker = problem.shrinker(np.full(index.size, win_length), index * distance, mfft)
        shrunk = problem.evaluate(shrinker, threshold)
        d = shrinker.gradients(threshold, shrunk)
        in_hop = float(index @ d.positions) * distance
        gradient = [d.win_length.sum() * win_length + (in_hop if tune_hop else 0.0)] + [in_hop] * tune_hop
        return shrunk, np.concatenate([gradient, [] if given else d.log_threshold])

    z = [np.log(length)] + [np.log(start.hop / length)] * tune_hop
    limits = [_log((low, high))] + [_log(HOP_RATIOS)] * tune_hop
    if not given:
        z, limits = [*z, *np.log(start.threshold)], limits + [_log(_THRESHOLDS)] * channels
    found, shrunk = _descend(risk, np.array(z), limits, problem.y.size, _FINE)
    win_length, distance, threshold = parts(found)
    return Fit(np.full(index.size, win_length), index * distance, distance, mfft, threshold, shrunk)


# ---------------------------------------------------------------------------------------
# Lengths that vary in time


def fit_varying(problem: Problem, lengths: Float64Array, hop: float | None) -> Fit:
    """Tune lengths that vary in time, linearly in their logarithm between knots, from two starts."""
    constant = fit_constant(problem, lengths, hop, tune_hop=False)
    typical = float(constant.win_length[0])
    low, high = max(typical / _SPAN, float(lengths[0])), min(typical * _SPAN, float(lengths[-1]))
    hop = max(1.0, np.floor(SHORTEST_HOP_RATIO * low)) if hop is None else hop
    low = max(low, hop / SHORTEST_HOP_RATIO)
    positions = frame_positions(problem.n, hop, high)
    knots = _knots(problem.n, typical)
    path = np.exp(_local_lengths(problem, length_grid(low, high), hop, knots))
    starts = [np.full(knots.size, np.clip(typical, low, high)), path]
    fits = [
        _descend_lengths(problem, start, constant.threshold, knots, positions, (low, high), hop) for start in starts
    ]
    return min(fits, key=lambda fit: fit.risk)


def _knots(n: int, typical: float) -> Float64Array:
    spacing = max(_KNOT_SAMPLES, _KNOT_WINDOWS * typical)
    return np.linspace(0, n - 1, int(np.clip(np.ceil(n / spacing), 1, _MOST_KNOTS)) + 1)


def _local_lengths(problem: Problem, lengths: Float64Array, hop: float, knots: Float64Array) -> Float64Array:
    """Mean logarithm of the length at every knot, weighted by the risk around it."""
    spacing = float(knots[1] - knots[0])
    risks, first = [], None
    for length in lengths:
        fit = fit_length(problem, float(length), hop, first)
        first = fit.threshold
        local = local_sums(fit.shrunk.risk.sum(axis=0)[None], 2 * spacing)[0]
        risks.append(np.interp(knots, np.arange(problem.n), local))
    weights = np.exp(-(np.array(risks) - np.min(risks, axis=0)) / TEMPERATURE)
    return np.asarray(np.log(lengths) @ (weights / weights.sum(axis=0)))


def _descend_lengths(
    problem: Problem,
    start: Float64Array,
    threshold: Float64Array,
    knots: Float64Array,
    positions: Float64Array,
    bounds: tuple[float, float],
    hop: float,
) -> Fit:
    """Descend in the lengths at the knots and the thresholds together."""
    mfft = even_fft(bounds[1])
    between = _interpolation(knots, positions)
    count, given = knots.size, problem.threshold is not None

    def parts(z: Float64Array) -> tuple[Float64Array, Float64Array]:
        own = np.full(len(problem.y), problem.threshold) if given else np.exp(z[count:])
        return np.clip(np.exp(between @ z[:count]), *bounds), own

    def risk(z: Float64Array) -> tuple[Shrunk, Float64Array]:
        win_length, own = parts(z)
        shrinker = problem.shrinker(win_length, positions, mfft)
        shrunk = problem.evaluate(shrinker, own)
        d = shrinker.gradients(own, shrunk)
        return shrunk, np.concatenate([between.T @ (d.win_length * win_length), [] if given else d.log_threshold])

    z, limits = np.log(start), [_log(bounds)] * count
    if not given:
        z, limits = np.concatenate([z, np.log(threshold)]), limits + [_log(_THRESHOLDS)] * len(threshold)
    found, shrunk = _descend(risk, z, limits, problem.y.size, _FINE)
    win_length, own = parts(found)
    return Fit(win_length, positions, hop, mfft, own, shrunk)


def _interpolation(knots: Float64Array, positions: Float64Array) -> sparse.csr_array:
    """Matrix of linear interpolation between evenly spaced knots, constant beyond them."""
    place = np.clip((positions - knots[0]) / (knots[1] - knots[0]), 0, knots.size - 1)
    left = np.minimum(place.astype(int), knots.size - 2)
    rows = np.arange(positions.size)
    entries = (np.concatenate([left + 1 - place, place - left]), (np.tile(rows, 2), np.concatenate([left, left + 1])))
    return sparse.csr_array(entries, shape=(positions.size, knots.size))


# ---------------------------------------------------------------------------------------
# Averages


def local_sums(risk: Float64Array, width: float) -> Float64Array:
    """Sum risks, shape (channels, n), under a raised cosine of a support in samples around each sample.

    Next to the ends, where a part of it is missing, sums are scaled up to its whole area.
    """
    from scipy.signal import oaconvolve  # a large import that little else needs

    half = max(1, round(width / 2))
    kernel = np.cos(np.pi * np.arange(1 - half, half) / (2 * half)) ** 2
    sums = oaconvolve(np.vstack([risk, np.ones(risk.shape[-1])]), kernel[None], mode="same", axes=-1)
    return np.asarray(sums[:-1] / sums[-1] * kernel.sum())


@dataclass(frozen=True)
class Average:
    """An average of estimates with weights that vary in time.

    Attributes
    ----------
    x : ndarray, shape (channels, n)
        The average.
    risk : ndarray, shape (channels,)
        Estimate of its squared error with the weights held fixed, in variances of the noise.
    lengths : ndarray, shape (lengths,)
        Window lengths of what was averaged, in samples.
    threshold : ndarray, shape (lengths, channels)
        Their thresholds.
    weights : ndarray, shape (lengths, channels, times)
        Weights of the lengths, which add up to one.
    positions : ndarray, shape (times,)
        Samples at which the weights are given.
    """

    x: AnyArray
    risk: Float64Array
    lengths: Float64Array
    threshold: Float64Array
    weights: Float64Array
    positions: Float64Array


def average(problem: Problem, lengths: Float64Array, hop: float | None) -> Average:
    """Average the estimates of all lengths, each with the exponential of its local risk as a weight.

    The weights of all lengths are never held: sums are scaled by the largest weight so far.
    """
    n, shape = problem.n, problem.y.shape
    positions = np.arange(0, n, WIDTH // 4)
    thresholds: list[Float64Array] = []
    logs: list[Float64Array] = []
    largest = np.full(shape, -np.inf)
    total, energy, risk = np.zeros((3, *shape))
    x = np.zeros(shape, problem.y.dtype)
    for length in lengths:
        fit = fit_length(problem, float(length), hop, thresholds[-1] if thresholds else None)
        exponent = -local_sums(fit.shrunk.risk, WIDTH) / TEMPERATURE
        above = np.maximum(largest, exponent)
        old, new = np.exp(largest - above), np.exp(exponent - above)
        largest = above
        x = x * old + new * fit.shrunk.x
        total = total * old + new
        energy = energy * old + new * np.abs(fit.shrunk.x) ** 2
        risk = risk * old + new * fit.shrunk.risk
        thresholds.append(fit.threshold)
        logs.append(exponent[:, positions])
    x /= total
    # squared errors of an average are the average of squared errors less the spread
    spread = energy / total - np.abs(x) ** 2
    weights = np.exp(np.array(logs) - np.max(logs, axis=0))
    return Average(
        x,
        np.asarray((risk / total - spread).sum(axis=-1)),
        lengths,
        np.array(thresholds),
        weights / weights.sum(axis=0),
        positions.astype(float),
    )


def join_averages(averages: list[Average]) -> Average:
    """Put averages of single channels over the same lengths together."""
    return replace(
        averages[0],
        x=np.concatenate([part.x for part in averages]),
        risk=np.concatenate([part.risk for part in averages]),
        threshold=np.concatenate([part.threshold for part in averages], axis=1),
        weights=np.concatenate([part.weights for part in averages], axis=1),
    )
