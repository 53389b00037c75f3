"""Error and coverage of `adaptstft.track`, beside ridges on the best fixed window length, which is chosen with the truth."""
from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import adaptstft

FS = 1000.0
LEVELS = (-5, 0, 10, 20, 40)
LENGTHS = np.round(np.geomspace(32, 512, 9))
#: Seconds at both ends of the signals that are not compared.
ENDS = 0.1


@dataclass(frozen=True)
class Law:
    """Laws of frequency in Hz, shape (components, n), amplitudes, and the options of the trackers."""

    frequency: np.ndarray
    amplitude: np.ndarray
    options: dict[str, Any]

    def signals(self, snr: float, seeds: int) -> np.ndarray:
        """Return the signal in white noise, once for each seed."""
        phase = 2 * np.pi * (np.cumsum(self.frequency, axis=1) - self.frequency / 2) / FS  # trapezoids
        orders = self.options.get("orders", (1,))
        shares = self.options.get("_shares", (1.0,))
        clean = np.zeros(phase.shape[1])
        for order, share in zip(orders, SHARES, strict=False):
            clean += share * np.sum(self.amplitude * np.cos(order * phase), axis=0)
        std = np.sqrt(np.mean(clean**2) / 10 ** (snr / 10))
        return np.stack([clean + std * np.random.default_rng([s, 7]).standard_normal(clean.size) for s in range(seeds)])


SHARES = (1.0, 0.6, 0.4)


def _law(duration: float, law: Callable[[np.ndarray], Any], amplitude: Callable[[np.ndarray], Any] = np.ones_like, **options: Any) -> Law:
    t = np.arange(round(duration * FS)) / FS
    return Law(np.atleast_2d(law(t)).astype(float), amplitude(t), options)


def _sine(period: float) -> Law:
    return _law(3.0, lambda t: 150 + 40 * np.sin(2 * np.pi * t / period))


def laws() -> dict[str, Law]:
    return {
        "linear": _law(3.0, lambda t: 60 + 60 * t),
        "sine, 3 s": _sine(3.0),
        "sine, 1 s": _sine(1.0),
        "sine, 0.4 s": _sine(0.4),
        "steps": _law(3.0, lambda t: np.select([t < 0.8, t < 1.4, t < 2.2], [100.0, 160.0, 120.0], 200.0)),
        "line, then sine": _law(3.0, lambda t: 150 + np.where(t < 1.5, 20 * (t - 1.5), 30 * np.sin(2 * np.pi * (t - 1.5) / 0.4))),
        "crossing": _law(3.0, lambda t: np.stack([80 + 50 * t, 220 - 50 * t]), n_ridges=2),
        "harmonics": _law(3.0, lambda t: 45 + 10 * np.sin(2 * np.pi * t / 1.5), orders=(1, 2, 3), f_bounds=(25.0, 80.0)),
        "decaying voice": _law(1.5, lambda t: 110 * 2 ** (-0.3 * t) * (1 + 0.03 * np.sin(2 * np.pi * 5 * t)), lambda t: np.exp(-t / 0.6), orders=(1, 2, 3), f_bounds=(60.0, 160.0)),
    }


def errors(law: Law, t: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Return errors (seeds, components, frames); components are taken in the order that is nearer at each time."""
    inside = (t > ENDS) & (t < law.frequency.shape[1] / FS - ENDS)
    truth = law.frequency[:, np.rint(t[inside] * FS).astype(int)]
    found = np.sort(frequency[..., inside], axis=-2) if len(truth) > 1 else frequency[..., inside]
    return found - np.sort(truth, axis=0)
