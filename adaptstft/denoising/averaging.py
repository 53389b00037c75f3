"""Averages of signals denoised with several window lengths, weighted by their local risk."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.denoising.length_tuning import fit_length
from adaptstft.denoising.local_risk import TEMPERATURE, local_sums
from adaptstft.denoising.problem import ShrinkageProblem

#: Support in samples of the raised cosine under which risks are summed.
WIDTH = 1024


@dataclass(frozen=True)
class WeightedAverage:
    """An average of denoised signals with weights that vary in time.

    Attributes
    ----------
    x : ndarray, shape (channels, n)
        The average.
    risk : ndarray, shape (channels,)
        Estimate of its squared error, in variances of the noise. The weights are treated as constants.
    lengths : ndarray, shape (lengths,)
        Window lengths in samples.
    threshold : ndarray, shape (lengths, channels)
        Thresholds for each length.
    weights : ndarray, shape (lengths, channels, times)
        Weights of the lengths, with the sum 1.
    positions : ndarray, shape (times,)
        Samples at which the weights are given.
    """

    x: AnyArray
    risk: Float64Array
    lengths: Float64Array
    threshold: Float64Array
    weights: Float64Array
    positions: Float64Array


def average_lengths(problem: ShrinkageProblem, lengths: Float64Array, hop: float | None) -> WeightedAverage:
    """Average the denoised signals of all lengths, each weighted by the exponential of minus its local risk.

    To save memory the weights of all lengths are not stored: sums are scaled by the largest weight so far.
    """
    n, shape = problem.n, problem.y.shape
    positions = np.arange(0, n, WIDTH // 4)
    thresholds: list[Float64Array] = []
    exponents: list[Float64Array] = []
    largest = np.full(shape, -np.inf)
    total, energy, risk = np.zeros((3, *shape))
    x = np.zeros(shape, problem.y.dtype)
    for length in lengths:
        fit = fit_length(problem, float(length), hop, thresholds[-1] if thresholds else None)
        exponent = -local_sums(fit.shrunk.risk, WIDTH) / TEMPERATURE
        new_largest = np.maximum(largest, exponent)
        old, new = np.exp(largest - new_largest), np.exp(exponent - new_largest)
        largest = new_largest
        x = x * old + new * fit.shrunk.x
        total = total * old + new
        energy = energy * old + new * np.abs(fit.shrunk.x) ** 2
        risk = risk * old + new * fit.shrunk.risk
        thresholds.append(fit.threshold)
        exponents.append(exponent[:, positions])
    x /= total
    # the squared error of an average is the average of the squared errors minus the variance of the estimates
    variance = energy / total - np.abs(x) ** 2
    weights = np.exp(np.array(exponents) - np.max(exponents, axis=0))
    return WeightedAverage(
        x,
        np.asarray((risk / total - variance).sum(axis=-1)),
        lengths,
        np.array(thresholds),
        weights / weights.sum(axis=0),
        positions.astype(float),
    )


def join_averages(averages: list[WeightedAverage]) -> WeightedAverage:
    """Join averages of single channels over the same lengths to one of all channels."""
    return replace(
        averages[0],
        x=np.concatenate([part.x for part in averages]),
        risk=np.concatenate([part.risk for part in averages]),
        threshold=np.concatenate([part.threshold for part in averages], axis=1),
        weights=np.concatenate([part.weights for part in averages], axis=1),
    )
