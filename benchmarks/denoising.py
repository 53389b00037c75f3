"""Gain of `adaptstft.denoise` on real recordings, compared with the best fixed window.

``python -m benchmarks.recordings && python -m benchmarks.denoising [--seeds N] [--only NAME ...] [--case CASE ...]``

The reference is one Hann window with a hop of a quarter and the textbook empirical Wiener gain at threshold 2. Its
length has the smallest error, which needs the clean signal; the first column also knows the noise level. The figures
are signal-to-noise ratios above the reference in decibels, as mean and range over seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import adaptstft
from adaptstft.common.grids import length_grid
from adaptstft.denoising.noise import noise_levels
from benchmarks import recordings

LEVELS = (0, 5, 10)
#: Arguments of `denoise` to compare, the default first.
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "known": {},
    "block": {"mode": "block"},
    "wiener": {"mode": "wiener"},
    "soft": {"mode": "soft"},
    "constant": {"window_mode": "constant"},
    "hop": {"window_mode": "constant", "hop_mode": "constant"},
    "time": {"window_mode": "time"},
}
#: Number of samples to which longer recordings are cut.
MOST_SAMPLES = 1 << 17


def snr(clean: Any, estimate: Any) -> float:
    """Return the signal-to-noise ratio in decibels."""
    return float(10 * np.log10(np.sum(clean**2) / np.sum((clean - estimate) ** 2)))


def hann_at_threshold_two(y: Any, length: int, noise_std: float) -> Any:
    """Shrink by the positive part of ``1 - 2 var / |S|**2`` with one Hann window; uses only SciPy."""
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    w = hann(length, sym=False)
    sft = ShortTimeFFT(w, max(1, round(length / 4)), 1.0)
    S = sft.stft(y)
    gain = np.maximum(1 - 2 * noise_std**2 * (w @ w) / np.maximum(np.abs(S) ** 2, 1e-300), 0)
    return sft.istft(gain * S, k1=y.size)


def oracle(y: Any, clean: Any, noise_std: float) -> float:
    """Return the best signal-to-noise ratio of all fixed lengths."""
    lengths = length_grid(32, min(clean.size // 2, 16384))
    return max(snr(clean, hann_at_threshold_two(y, round(m), noise_std)) for m in lengths)


def compare(name: str, db: float, seed: int, cases: Sequence[str]) -> dict[str, float]:
    """Return the gains of the cases over the best fixed window in decibels, for one realisation of the noise.

    Parameters
    ----------
    name : str
        Name of the recording.
    db : float
        Signal-to-noise ratio in decibels.
    seed : int
        Seed of the noise.
    cases : sequence of str
        Keys of `CASES`.

    Returns
    -------
    dict of float
        Gains by case. Also ``"oracle"``, the signal-to-noise ratio of the best fixed window with the known noise
        level; ``"oracle_estimated"``, its gain with the estimated level; ``"level"``, the error of the estimated
        level in decibels.
    """
    fs, clean = recordings.load(name)
    clean = clean[:MOST_SAMPLES]
    std = float(np.sqrt(np.mean(clean**2)) * 10 ** (-db / 20))
    y = clean + std * np.random.default_rng(seed).standard_normal(clean.size)
    estimated = float(noise_levels(y[None])[0])
    best = oracle(y, clean, std)
    gains = {"oracle": best, "oracle_estimated": oracle(y, clean, estimated) - best}
    gains["level"] = 20 * np.log10(estimated / std)
    for case in cases:
        given = {"noise_std": std} if case == "known" else {}
        gains[case] = snr(clean, adaptstft.denoise(y, fs, **CASES[case], **given)) - best
    return gains


def noise_alone(seeds: int) -> list[float]:
    """Return the level of denoised white noise of 16000 samples in decibels, for each seed."""
    levels = []
    for seed in range(seeds):
        x = np.random.default_rng(seed).standard_normal(16000)
        y = adaptstft.denoise(x, 16000.0)
        levels.append(float(10 * np.log10(np.mean(y**2) / np.mean(x**2) + 1e-30)))
    return levels


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.denoising", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="realisations of the noise (3)")
    parser.add_argument("--only", action="append", choices=[s.name for s in recordings.SOURCES], help="recordings")
    parser.add_argument(
        "--case", action="append", choices=CASES, help="arguments to compare (default, known and block)"
    )
    args = parser.parse_args(arguments)
    cases = args.case or ["default", "known", "block"]
    columns = ["oracle", "oracle_estimated", "level", *cases]
    print(f"{'recording':>10} {'dB':>3} " + " ".join(f"{c:>20}" for c in columns), flush=True)
    totals: dict[str, list[float]] = {case: [] for case in cases}
    for source in recordings.SOURCES:
        if args.only and source.name not in args.only:
            continue
        for db in LEVELS:
            start = time.perf_counter()
            runs = [compare(source.name, db, seed, cases) for seed in range(args.seeds)]
            cells = []
            for column in columns:
                values = [run[column] for run in runs]
                cells.append(f"{np.mean(values):+6.2f} [{min(values):+.2f},{max(values):+.2f}]")
            for case in cases:
                totals[case] += [run[case] for run in runs]
            seconds = time.perf_counter() - start
            print(
                f"{source.name:>10} {db:>3} " + " ".join(f"{c:>20}" for c in cells) + f"  {seconds:.0f} s", flush=True
            )
    for case, values in totals.items():
        print(f"{case}: mean {np.mean(values):+.2f} dB, least {min(values):+.2f} dB of {len(values)}")
    alone = noise_alone(args.seeds)
    print(f"noise alone: {np.mean(alone):.1f} dB, at most {max(alone):.1f} dB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
