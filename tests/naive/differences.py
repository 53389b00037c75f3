"""Derivatives by difference quotients that estimate their own error."""

import math

import numpy as np


def derivative(fun, step, levels=6):
    """(d/ds fun(s) at 0, error estimate): central differences at halved steps, Richardson-extrapolated.

    The extrapolation removes odd and even powers of the step. It is therefore also accurate if fun is only C1 at 0
    and smooth on both sides, as for a Hann window with a sample on the edge of its support.
    """
    table, best, error = [], 0.0, math.inf
    for level in range(levels):
        h = step / 2**level
        row = [(fun(h) - fun(-h)) / (2 * h)]
        for j, previous in enumerate(table):
            row.append(row[j] + (row[j] - previous) / (2 ** (j + 1) - 1))
            change = max(abs(row[-1] - row[-2]), abs(row[-1] - previous))
            if change < error:
                best, error = row[-1], change
        table = row
    return best, error


def gradient(fun, point, step):
    """(gradient of fun at `point`, largest error estimate), one component at a time; real parameters."""
    point = np.asarray(point, dtype=float)
    parts = []
    for index in np.ndindex(point.shape):
        direction = np.zeros(point.shape)
        direction[index] = 1.0
        parts.append(derivative(lambda s, d=direction: fun(point + s * d), step))
    values, errors = np.array(parts).reshape(-1, 2).T
    return values.reshape(point.shape), errors.max(initial=0.0)


def inner(gradient, v):
    """Real inner product: the derivative along v according to `gradient`."""
    return float(np.sum(np.real(np.conj(gradient) * v)))
