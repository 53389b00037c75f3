"""Errors and intervals of `adaptstft.track` for simulated heart rates that oscillate with respiration.

``python -m benchmarks.tracking_respiration`` writes the file ``tracking_respiration.rst`` beside it. Windows that
separate three harmonics of a heart are about as long as one breath, so noise decides whether the oscillation is
followed. Errors are in beats a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

import adaptstft

FS, DURATION = 32.0, 120.0
#: Breaths a minute, and amplitudes of the oscillation in beats a minute.
RESPIRATION = ((12, 3.0), (15, 3.6), (19, 3.0), (15, 1.2))
LEVELS = (24, 16, 10, 6, 3, 0)
SEEDS = 4
#: Seconds at both ends that are not compared.
ENDS = 3.0


def simulated(breaths: float, amplitude: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a pulse with three harmonics, the middles of the intervals between beats, and their rates in Hz."""
    rng = np.random.default_rng(100 + seed)
    beats, drift = [0.0], 0.0
    while beats[-1] < DURATION + 1:
        drift = 0.8 * drift + 0.02 * rng.standard_normal()
        breath = amplitude / 60 * np.sin(2 * np.pi * breaths / 60 * beats[-1])
        beats.append(beats[-1] + 1 / (1.17 + breath + drift))
    times = np.array(beats)
    t = np.arange(round(DURATION * FS)) / FS
    phase = PchipInterpolator(times, np.arange(times.size))(t)
    x = sum(np.cos(2 * np.pi * order * phase) / order for order in (1, 2, 3))
    middle = (times[1:] + times[:-1]) / 2
    inside = (middle > ENDS) & (middle < DURATION - ENDS)
    return x, middle[inside], (1 / np.diff(times))[inside]


def measure(breaths: float, amplitude: float, snr: float) -> tuple[float, float, float]:
    """Return the root mean square error, the coverage, and the median window length in s."""
    squares, held, lengths = [], [], []
    for seed in range(SEEDS):
        x, middle, rate = simulated(breaths, amplitude, seed)
        noise = np.random.default_rng([seed, 7]).standard_normal(x.size)
        noisy = x + np.std(x) / 10 ** (snr / 20) * noise
        ridge = adaptstft.track(noisy, FS, orders=(1, 2, 3), f_bounds=(40 / 60, 2.0), max_rate=0.25, workers=1)
        found, low, high = (np.interp(middle, ridge.t, values) for values in (ridge.frequency[0], *ridge.interval[0].T))
        squares.append(np.mean((60 * (found - rate)) ** 2))
        held.append(np.mean((low <= rate) & (rate <= high)))
        lengths.append(np.median(ridge.win_length) / FS)
    return float(np.sqrt(np.mean(squares))), float(np.mean(held)), float(np.median(lengths))


def main() -> None:
    """Measure all oscillations and levels of noise."""
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    rows = [["breaths a minute, amplitude", *(f"{snr} dB" for snr in LEVELS)]]
    for breaths, amplitude in RESPIRATION:
        found = [measure(breaths, amplitude, snr) for snr in LEVELS]
        cells = [f"{rms:.1f}, {100 * coverage:.0f} %, {length:.0f} s" for rms, coverage, length in found]
        rows.append([f"{breaths}, {amplitude:g}", *cells])
        print(": ".join([rows[-1][0], "; ".join(cells)]), flush=True)
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(row)]
    path = Path(__file__).with_name("tracking_respiration.rst")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
