"""Checks of gradients and adjoints, for transforms and for criteria of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft import criteria
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_signal
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

__all__ = ["Comparison", "check_adjoint", "check_vjp"]

_STEPS = (1e-4, 1e-5)
#: By how much windows of the full `max_length` are shortened, in samples.
_ROOM = 0.01


@dataclass(frozen=True)
class Comparison:
    """Two numbers that should agree.

    Attributes
    ----------
    name : str
        What was compared.
    expected, actual : float
        The reference and the value under test.
    error : float
        Their difference relative to the scale of the terms they are sums of.

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
    """Dot test: ``<stft(x), G>`` must equal ``<x, adjoint(G)>`` as real inner products.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform.
    x : array_like
        A signal, time last.
    rtol : float, optional
        Largest error, relative to the product of the norms.
    seed : int, optional
        Seed of the random cotangent.

    Returns
    -------
    Comparison
        The two inner products.

    Raises
    ------
    AssertionError
        If they differ by more.

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
    found = Comparison("adjoint", left, right, abs(left - right) / scale)
    if not found.error <= rtol:
        raise AssertionError(f"{found} exceeds {rtol=}")
    return found


def check_vjp(
    sft: AdaptiveShortTimeFFT,
    x: Any,
    criterion: Any = None,
    *,
    rtol: float = 1e-5,
    seed: int = 0,
    directions: int = 3,
) -> list[Comparison]:
    """Compare gradients with central differences in random directions.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform.
    x : array_like
        A signal, time last.
    criterion : str, Criterion or callable, optional
        Checks `AdaptiveShortTimeFFT.value_and_grad` with it; None checks
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
        One for each parameter and direction, the better of two step sizes.

    Raises
    ------
    AssertionError
        If one differs by more.

    Notes
    -----
    Differences say nothing where a window that jumps gains or loses a sample
    between the two points. Windows as long as ``max_length`` are checked 0.01
    samples shorter. A criterion of local scope holds the signal's shares of energy
    fixed, which differences do not, so that its derivative in the signal is
    not checked.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import AdaptiveShortTimeFFT, testing
    >>> sft = AdaptiveShortTimeFFT("hann", 30.2, 7.5, 1.0)
    >>> x = np.random.default_rng(0).standard_normal(100)
    >>> all(c.error < 1e-5 for c in testing.check_vjp(sft, x, "renyi"))
    True
    """
    signal, _ = as_signal(x, onesided=sft.onesided_fft)
    rng = np.random.default_rng(seed)
    room = np.minimum(sft.win_length, sft.m_num - _ROOM)
    if np.any(room != sft.win_length):  # differences must not make a window longer than max_length
        sft, signal = _moved(sft, signal, "win_length", room)
    G = None if criterion is not None else _random_like(sft.stft(signal), rng)

    def loss(at: AdaptiveShortTimeFFT, s: AnyArray) -> float:
        if G is None:
            return at.value_and_grad(s, criterion, wrt=())[0]
        return float(np.real(np.vdot(G, at.stft(s))))

    gradient = sft.vjp(signal, G) if G is not None else sft.value_and_grad(signal, criterion)[1]
    found = []
    local = criterion is not None and criteria.resolve(criterion).scope == "local"
    for name, value in _parameters(sft, signal).items():
        if local and name == "x":
            continue
        slope = getattr(gradient, name)
        for _ in range(directions):
            d = _random_like(np.asarray(value), rng)
            exact = float(np.real(np.vdot(slope, d)))
            errors = []
            for step in _STEPS:
                moved = [loss(*_moved(sft, signal, name, value + sign * step * d)) for sign in (1, -1)]
                rough = (moved[0] - moved[1]) / (2 * step)
                scale = max(abs(rough), abs(exact), 1e-9 * abs(moved[0]) / step)
                errors.append(Comparison(name, rough, exact, abs(rough - exact) / scale if scale else 0.0))
            found.append(min(errors, key=lambda c: c.error))
    worst = max(found, key=lambda c: c.error)
    if not worst.error <= rtol:
        raise AssertionError(f"{worst} exceeds {rtol=}")
    return found


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
    """Transform and signal with one parameter replaced."""
    if name == "x":
        return sft, value
    if name == "shape":
        return sft.remade(window=sft.window.with_shape([float(v) for v in value])), x
    return sft.remade(**{name: float(value) if np.ndim(value) == 0 else value}), x
