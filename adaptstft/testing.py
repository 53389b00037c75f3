"""Numerical checks of gradients and adjoints, for transforms and for user-defined criteria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_signal
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

__all__ = ["Comparison", "check_adjoint", "check_vjp"]

_STEPS = (1e-4, 1e-5)
#: Distance of window lengths from `max_length` in samples, as central differences also make windows longer.
_MARGIN = 0.01


@dataclass(frozen=True)
class Comparison:
    """Two numbers that should be equal, and their difference.

    Attributes
    ----------
    name : str
        Name of the comparison.
    expected, actual : float
        The reference and the value under test.
    error : float
        Their difference, relative to the scale of the summed terms.

    Examples
    --------
    >>> from adaptstft.testing import Comparison
    >>> Comparison("x", 1.0, 1.0, 0.0).error
    0.0
    """

    name: str
    expected: float
    actual: float
    error: float


def _random_like(x: AnyArray, rng: np.random.Generator) -> AnyArray:
    noise = rng.standard_normal(x.shape)
    return noise + 1j * rng.standard_normal(x.shape) if np.iscomplexobj(x) else noise


def check_adjoint(sft: AdaptiveShortTimeFFT, x: Any, *, rtol: float = 1e-12, seed: int = 0) -> Comparison:
    """Dot test: the real inner products ``<stft(x), G>`` and ``<x, adjoint(G)>`` must be equal.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform.
    x : array_like
        Signal, with time on the last axis.
    rtol : float, optional
        Largest error, relative to the product of the norms of ``stft(x)`` and ``G``.
    seed : int, optional
        Seed of the random cotangent ``G``.

    Returns
    -------
    Comparison
        The two inner products.

    Raises
    ------
    AssertionError
        If the error is larger than `rtol`.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import AdaptiveShortTimeFFT, testing
    >>> sft = AdaptiveShortTimeFFT("hann", 30.2, 7.5, 1.0)
    >>> testing.check_adjoint(sft, np.ones(100)).error < 1e-12
    True
    """
    signal, _ = as_signal(x, onesided=sft.onesided_fft)
    S = sft.stft(signal)
    G = _random_like(S, np.random.default_rng(seed))
    back = sft.vjp(signal, G, wrt=("x",)).x
    assert back is not None
    left = float(np.real(np.vdot(S, G)))
    right = float(np.real(np.vdot(signal, back)))
    scale = float(np.linalg.norm(S) * np.linalg.norm(G)) or 1.0
    comparison = Comparison("adjoint", left, right, abs(left - right) / scale)
    if not comparison.error <= rtol:
        raise AssertionError(f"{comparison} exceeds {rtol=}")
    return comparison


def check_vjp(
    sft: AdaptiveShortTimeFFT,
    x: Any,
    criterion: Any = None,
    *,
    rtol: float = 1e-5,
    seed: int = 0,
    directions: int = 3,
) -> list[Comparison]:
    """Compare gradients with central differences, in random directions.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform.
    x : array_like
        Signal, with time on the last axis.
    criterion : str, Criterion or callable, optional
        Criterion for a check of `AdaptiveShortTimeFFT.value_and_grad`. None checks
        `AdaptiveShortTimeFFT.vjp` with a random cotangent.
    rtol : float, optional
        Largest relative error.
    seed : int, optional
        Seed of the directions and the cotangent.
    directions : int, optional
        Number of random directions for each parameter.

    Returns
    -------
    list of Comparison
        One for each parameter and direction, with the better of two step sizes.

    Raises
    ------
    AssertionError
        If the largest error is larger than `rtol`.

    Notes
    -----
    Central differences are wrong if the window jumps at its ends and covers different
    samples at the two points. Windows as long as ``max_length`` are checked 0.01
    samples shorter.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import AdaptiveShortTimeFFT, testing
    >>> sft = AdaptiveShortTimeFFT("hann", 30.2, 7.5, 1.0)
    >>> x = np.random.default_rng(0).standard_normal(100)
    >>> all(comparison.error < 1e-5 for comparison in testing.check_vjp(sft, x, "renyi"))
    True
    """
    signal, _ = as_signal(x, onesided=sft.onesided_fft)
    rng = np.random.default_rng(seed)
    shortened = np.minimum(sft.win_length, sft.m_num - _MARGIN)
    if np.any(shortened != sft.win_length):
        sft, signal = _moved(sft, signal, "win_length", shortened)
    G = None if criterion is not None else _random_like(sft.stft(signal), rng)

    def loss(moved_sft: AdaptiveShortTimeFFT, moved_signal: AnyArray) -> float:
        if G is None:
            return moved_sft.value_and_grad(moved_signal, criterion, wrt=())[0]
        return float(np.real(np.vdot(G, moved_sft.stft(moved_signal))))

    gradient = sft.vjp(signal, G) if G is not None else sft.value_and_grad(signal, criterion)[1]
    comparisons = []
    for name, value in _parameters(sft, signal).items():
        derivatives = getattr(gradient, name)
        for _ in range(directions):
            direction = _random_like(np.asarray(value), rng)
            exact = float(np.real(np.vdot(derivatives, direction)))
            by_step = []
            for step in _STEPS:
                losses = [loss(*_moved(sft, signal, name, value + sign * step * direction)) for sign in (1, -1)]
                quotient = (losses[0] - losses[1]) / (2 * step)
                scale = max(abs(quotient), abs(exact), 1e-9 * abs(losses[0]) / step)
                by_step.append(Comparison(name, quotient, exact, abs(quotient - exact) / scale if scale else 0.0))
            comparisons.append(min(by_step, key=lambda comparison: comparison.error))
    worst = max(comparisons, key=lambda comparison: comparison.error)
    if not worst.error <= rtol:
        raise AssertionError(f"{worst} exceeds {rtol=}")
    return comparisons


def _parameters(sft: AdaptiveShortTimeFFT, x: AnyArray) -> dict[str, Float64Array]:
    values = {"win_length": np.asarray(sft.win_length, dtype=float), "x": x}
    if sft.hop is not None:
        values["hop"] = np.asarray(sft.hop, dtype=float)
    else:
        values["positions"] = np.asarray(sft.positions, dtype=float)
    if sft.window.shape:
        values["shape"] = np.asarray(sft.window.shape, dtype=float)
    return values


def _moved(sft: AdaptiveShortTimeFFT, x: AnyArray, name: str, value: AnyArray) -> tuple[AdaptiveShortTimeFFT, AnyArray]:
    """Return the transform and the signal with one parameter, or the signal, replaced."""
    if name == "x":
        return sft, value
    if name == "shape":
        return sft.remade(window=sft.window.with_shape([float(v) for v in value])), x
    return sft.remade(**{name: float(value) if np.ndim(value) == 0 else value}), x
