"""Thresholds, window lengths and hop with the least estimated risk: one length, or lengths that vary in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse

from adaptstft.common.grids import GRID_RATIO, length_grid
from adaptstft.common.typing import Float64Array
from adaptstft.denoising.local_risk import TEMPERATURE, local_sums
from adaptstft.denoising.problem import (
    SHORTEST_HOP_RATIO,
    ShrinkageFit,
    ShrinkageProblem,
    even_fft,
    frame_positions,
    tied_hop,
)
from adaptstft.denoising.sure import RiskGradients, ShrunkSignal

#: Range of tuned hops as fractions of the window length; at 1/8 transforms are 8-fold redundant.
HOP_RATIOS = (0.125, 0.5)
#: Range of thresholds, and range of the first one of a descent: far above the noise the risk does not change.
_THRESHOLDS, _FIRST = (0.05, 40.0), (1.5, 5.0)
#: Lengths that vary in time lie within this factor of the best constant length.
_SPAN = 4.0
#: Distance of their knots in samples, or in best constant lengths if that is more, and limit on their number.
_KNOT_SAMPLES, _KNOT_WINDOWS, _MOST_KNOTS = 2048, 4.0, 64
#: Variables of a descent are logarithms times this, as the first step of L-BFGS-B has the length 1.
_STEP_SCALE = 4.0
#: Options of L-BFGS-B for the risk per sample in variances of the noise: 1e-5 is about 0.01 in a threshold.
_COARSE = {"ftol": 1e-5, "gtol": 1e-5, "maxiter": 20}
_FINE = {"ftol": 1e-7, "gtol": 1e-6, "maxiter": 40}
#: Descents in one length, at most: each one stays within a factor of `GRID_RATIO`, for which its FFT length is chosen.
_MOST_DESCENTS = 8


# ---------------------------------------------------------------------------------------
# Descents


def _descend(
    risk: Callable[[Float64Array], tuple[ShrunkSignal, Float64Array]],
    start: Float64Array,
    bounds: list[tuple[float, float]],
    size: int,
    options: dict[str, float],
) -> tuple[Float64Array, ShrunkSignal]:
    """Minimise the risk by L-BFGS-B; return the best variables and their shrunk signal.

    `risk` returns the shrunk signal and the gradient of its total risk; `size` is the number of samples.
    """
    best: list[tuple[float, Float64Array, ShrunkSignal]] = []

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


@dataclass(frozen=True)
class _FrameVariables:
    """Variables that determine window lengths and positions of frames.

    Attributes
    ----------
    start : ndarray, shape (variables,)
        Their initial values.
    bounds : list of (float, float)
        Their ranges.
    forward : callable
        ``forward(z)`` returns window lengths and positions in samples, each of shape (frames,).
    vjp : callable
        ``vjp(z, gradients)`` returns the gradient in the variables from that in lengths and positions.
    mfft : int
        FFT length for all windows within the bounds.
    """

    start: Float64Array
    bounds: list[tuple[float, float]]
    forward: Callable[[Float64Array], tuple[Float64Array, Float64Array]]
    vjp: Callable[[Float64Array, RiskGradients], Float64Array]
    mfft: int


def _tune_frames(
    problem: ShrinkageProblem, variables: _FrameVariables, threshold: Float64Array
) -> tuple[Float64Array, Float64Array, ShrunkSignal]:
    """Tune the variables of the frames together with the thresholds, unless these are given.

    Returns the variables, the thresholds of all channels, and the shrunk signal.
    """
    count, given = variables.start.size, problem.threshold is not None

    def thresholds(z: Float64Array) -> Float64Array:
        return np.full(len(problem.y), problem.threshold) if given else np.exp(z[count:])

    def risk(z: Float64Array) -> tuple[ShrunkSignal, Float64Array]:
        shrinker = problem.bin_shrinker(*variables.forward(z[:count]), variables.mfft)
        shrunk = problem.evaluate(shrinker, thresholds(z))
        gradients = shrinker.gradients(thresholds(z), shrunk)
        in_frames = variables.vjp(z[:count], gradients)
        return shrunk, in_frames if given else np.concatenate([in_frames, gradients.log_threshold])

    start, bounds = variables.start, variables.bounds
    if not given:
        start, bounds = np.concatenate([start, np.log(threshold)]), bounds + [_log(_THRESHOLDS)] * len(threshold)
    z, shrunk = _descend(risk, start, bounds, problem.y.size, _FINE)
    return z[:count], thresholds(z), shrunk


def _log(bounds: tuple[float, float]) -> tuple[float, float]:
    """Logarithms of a range."""
    return float(np.log(bounds[0])), float(np.log(bounds[1]))


# ---------------------------------------------------------------------------------------
# One length


def fit_length(
    problem: ShrinkageProblem, length: float, hop: float | None, first: Float64Array | None = None
) -> ShrinkageFit:
    """Shrink with one window length; tune the thresholds, from `first` on, unless they are given."""
    hop = tied_hop(length) if hop is None else hop
    positions, mfft = frame_positions(problem.n, hop, length), even_fft(length)
    win_length = np.full(positions.size, length)
    shrinker = problem.shrinker(win_length, positions, mfft)
    channels = len(problem.y)
    if problem.threshold is not None:
        threshold = np.full(channels, problem.threshold)
        return ShrinkageFit(win_length, positions, hop, mfft, threshold, problem.evaluate(shrinker, threshold))

    def risk(z: Float64Array) -> tuple[ShrunkSignal, Float64Array]:
        shrunk = problem.evaluate(shrinker, np.exp(z), gradient=True)
        assert shrunk.log_threshold_gradient is not None
        return shrunk, shrunk.log_threshold_gradient

    start = np.log(np.full(channels, np.prod(_FIRST) ** 0.5) if first is None else np.clip(first, *_FIRST))
    z, shrunk = _descend(risk, start, [_log(_THRESHOLDS)] * channels, problem.y.size, _COARSE)
    return ShrinkageFit(win_length, positions, hop, mfft, np.exp(z), shrunk)


def best_of_grid(problem: ShrinkageProblem, lengths: Float64Array, hop: float | None) -> ShrinkageFit:
    """Fit all lengths of a grid and return the fit with the least risk."""
    best: ShrinkageFit | None = None
    threshold: Float64Array | None = None
    for length in lengths:
        fit = fit_length(problem, float(length), hop, threshold)
        threshold = fit.threshold
        if best is None or fit.risk < best.risk:
            best = fit
    assert best is not None
    return best


def fit_constant(
    problem: ShrinkageProblem, lengths: Float64Array, hop: float | None, *, tune_hop: bool
) -> ShrinkageFit:
    """Tune one length, and the hop with `tune_hop`, by descents from the best length of a grid."""
    best = best_of_grid(problem, lengths, hop)
    if problem.mode == "block" or (lengths.size == 1 and not tune_hop):
        return best
    for _ in range(_MOST_DESCENTS):
        fit = descend_length(problem, best, (float(lengths[0]), float(lengths[-1])), hop, tune_hop=tune_hop)
        length, highest = float(fit.win_length[0]), float(best.win_length[0]) * GRID_RATIO
        if fit.risk < best.risk:
            best = fit
        if highest / GRID_RATIO**2 * 1.001 < length < highest / 1.001:
            break
    return best


def descend_length(
    problem: ShrinkageProblem, start: ShrinkageFit, bounds: tuple[float, float], hop: float | None, *, tune_hop: bool
) -> ShrinkageFit:
    """Tune the length, the thresholds and, with `tune_hop`, the hop as a fraction of the length, from `start`."""
    length = float(start.win_length[0])
    low, high = max(length / GRID_RATIO, bounds[0]), min(length * GRID_RATIO, bounds[1])
    if hop is not None and not tune_hop:
        low = max(low, min(hop / SHORTEST_HOP_RATIO, length))
    least_hop = HOP_RATIOS[0] * low if tune_hop else start.hop
    index = np.round(frame_positions(problem.n, least_hop, high) / least_hop)

    def length_and_hop(z: Float64Array) -> tuple[float, float]:
        win_length = float(np.exp(z[0]))
        return win_length, win_length * float(np.exp(z[1])) if tune_hop else start.hop

    def forward(z: Float64Array) -> tuple[Float64Array, Float64Array]:
        win_length, distance = length_and_hop(z)
        return np.full(index.size, win_length), index * distance

    def vjp(z: Float64Array, gradients: RiskGradients) -> Float64Array:
        win_length, distance = length_and_hop(z)
        in_hop = float(index @ gradients.positions) * distance
        in_length = gradients.win_length.sum() * win_length
        return np.array([in_length + in_hop, in_hop] if tune_hop else [in_length])

    z, limits = [np.log(length)], [_log((low, high))]
    if tune_hop:
        z, limits = [*z, np.log(start.hop / length)], [*limits, _log(HOP_RATIOS)]
    variables = _FrameVariables(np.array(z), limits, forward, vjp, even_fft(high))
    tuned, threshold, shrunk = _tune_frames(problem, variables, start.threshold)
    return ShrinkageFit(*forward(tuned), length_and_hop(tuned)[1], variables.mfft, threshold, shrunk)


# ---------------------------------------------------------------------------------------
# Lengths that vary in time


def fit_varying(problem: ShrinkageProblem, lengths: Float64Array, hop: float | None) -> ShrinkageFit:
    """Tune lengths that vary in time, with logarithms that are linear between knots, from two starts."""
    constant = fit_constant(problem, lengths, hop, tune_hop=False)
    typical = float(constant.win_length[0])
    low, high = max(typical / _SPAN, float(lengths[0])), min(typical * _SPAN, float(lengths[-1]))
    hop = max(1.0, np.floor(SHORTEST_HOP_RATIO * low)) if hop is None else hop
    low = max(low, hop / SHORTEST_HOP_RATIO)
    positions = frame_positions(problem.n, hop, high)
    knots = _knots(problem.n, typical)
    local = np.exp(_local_log_lengths(problem, length_grid(low, high), hop, knots))
    starts = [np.full(knots.size, np.clip(typical, low, high)), local]
    fits = [
        _descend_lengths(problem, start, constant.threshold, knots, positions, (low, high), hop) for start in starts
    ]
    return min(fits, key=lambda fit: fit.risk)


def _knots(n: int, typical: float) -> Float64Array:
    """Evenly spaced knots over `n` samples for windows of a typical length."""
    spacing = max(_KNOT_SAMPLES, _KNOT_WINDOWS * typical)
    return np.linspace(0, n - 1, int(np.clip(np.ceil(n / spacing), 1, _MOST_KNOTS)) + 1)


def _local_log_lengths(
    problem: ShrinkageProblem, lengths: Float64Array, hop: float, knots: Float64Array
) -> Float64Array:
    """Mean logarithm of the length at each knot, weighted by the exponential of minus the risk around it."""
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
    problem: ShrinkageProblem,
    start: Float64Array,
    threshold: Float64Array,
    knots: Float64Array,
    positions: Float64Array,
    bounds: tuple[float, float],
    hop: float,
) -> ShrinkageFit:
    """Tune the lengths at the knots and the thresholds together."""
    interpolation = _interpolation(knots, positions)

    def forward(z: Float64Array) -> tuple[Float64Array, Float64Array]:
        return np.clip(np.exp(interpolation @ z), *bounds), positions

    def vjp(z: Float64Array, gradients: RiskGradients) -> Float64Array:
        return np.asarray(interpolation.T @ (gradients.win_length * forward(z)[0]))

    limits = [_log(bounds)] * knots.size
    variables = _FrameVariables(np.log(start), limits, forward, vjp, even_fft(bounds[1]))
    tuned, threshold, shrunk = _tune_frames(problem, variables, threshold)
    return ShrinkageFit(forward(tuned)[0], positions, hop, variables.mfft, threshold, shrunk)


def _interpolation(knots: Float64Array, positions: Float64Array) -> sparse.csr_array:
    """Matrix of linear interpolation between evenly spaced knots, constant beyond them."""
    place = np.clip((positions - knots[0]) / (knots[1] - knots[0]), 0, knots.size - 1)
    left = np.minimum(place.astype(int), knots.size - 2)
    rows = np.arange(positions.size)
    entries = (np.concatenate([left + 1 - place, place - left]), (np.tile(rows, 2), np.concatenate([left, left + 1])))
    return sparse.csr_array(entries, shape=(positions.size, knots.size))
