"""Errors and intervals of `adaptstft.track`, beside ridges on the best fixed window length, chosen with the truth.

``python -m benchmarks.tracking`` measures, and writes the files ``tracking.json`` and ``tracking.rst`` beside it.
The errors are root mean squares over times and seeds. Intervals that are infinite, where nothing stands out from the
noise, do not count for the coverage.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import adaptstft

HERE = Path(__file__).parent
FS = 1000.0
LEVELS = (-5, 0, 10, 20, 40)
LENGTHS = np.round(np.geomspace(32, 512, 9))
#: Amplitudes of the orders.
SHARES = (1.0, 0.6, 0.4)
#: Hop of the fixed windows in samples.
HOP = 12
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
        clean = np.zeros(phase.shape[1])
        for order, share in zip(orders, SHARES, strict=False):
            clean += share * np.sum(self.amplitude * np.cos(order * phase), axis=0)
        std = np.sqrt(np.mean(clean**2) / 10 ** (snr / 10))
        noise = [np.random.default_rng([seed, 7]).standard_normal(clean.size) for seed in range(seeds)]
        return clean + std * np.stack(noise)


def _law(
    duration: float,
    law: Callable[[np.ndarray], Any],
    amplitude: Callable[[np.ndarray], Any] = np.ones_like,
    **options: Any,
) -> Law:
    t = np.arange(round(duration * FS)) / FS
    return Law(np.atleast_2d(law(t)).astype(float), amplitude(t), options)


def _sine(period: float) -> Law:
    return _law(3.0, lambda t: 150 + 40 * np.sin(2 * np.pi * t / period))


def _steps(t: np.ndarray) -> np.ndarray:
    return np.select([t < 0.8, t < 1.4, t < 2.2], [100.0, 160.0, 120.0], 200.0)


def _line_then_sine(t: np.ndarray) -> np.ndarray:
    return 150 + np.where(t < 1.5, 20 * (t - 1.5), 30 * np.sin(2 * np.pi * (t - 1.5) / 0.4))


def _voice(t: np.ndarray) -> np.ndarray:
    return 110 * 2 ** (-0.3 * t) * (1 + 0.03 * np.sin(2 * np.pi * 5 * t))


def laws() -> dict[str, Law]:
    """Return the laws by name."""
    return {
        "linear": _law(3.0, lambda t: 60 + 60 * t),
        "sine, 3 s": _sine(3.0),
        "sine, 1 s": _sine(1.0),
        "sine, 0.4 s": _sine(0.4),
        "steps": _law(3.0, _steps),
        "line, then sine": _law(3.0, _line_then_sine),
        "crossing": _law(3.0, lambda t: np.stack([80 + 50 * t, 220 - 50 * t]), n_ridges=2),
        "harmonics": _law(
            3.0, lambda t: 45 + 10 * np.sin(2 * np.pi * t / 1.5), orders=(1, 2, 3), f_bounds=(25.0, 80.0)
        ),
        "decaying voice": _law(1.5, _voice, lambda t: np.exp(-t / 0.6), orders=(1, 2, 3), f_bounds=(60.0, 160.0)),
    }


def inside(law: Law, t: np.ndarray) -> np.ndarray:
    """Mask of the times that are compared."""
    return np.asarray((t > ENDS) & (t < law.frequency.shape[1] / FS - ENDS))


def errors(law: Law, t: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Return errors (seeds, components, frames); two components are compared in the order of their frequencies."""
    part = inside(law, t)
    truth = law.frequency[:, np.rint(t[part] * FS).astype(int)]
    return np.sort(frequency[..., part], axis=-2) - np.sort(truth, axis=0)


def fixed(law: Law, x: np.ndarray) -> list[float]:
    """Return the error in Hz with each fixed length."""
    found = []
    for length in LENGTHS.tolist():
        sft = adaptstft.AdaptiveShortTimeFFT("hann", length, HOP, FS, mfft=1024, workers=1)
        ridge = adaptstft.ridges(sft, x, **law.options)
        found.append(float(np.sqrt(np.mean(errors(law, ridge.t, ridge.frequency) ** 2))))
    return found


def tracked(law: Law, x: np.ndarray) -> dict[str, float]:
    """Return the error of `track` in Hz, the coverage of its intervals, and the share of times without one."""
    squares, held, known = [], [], []
    for one in x:
        ridge = adaptstft.track(one, FS, workers=1, **law.options)
        error = errors(law, ridge.t, ridge.frequency)
        half = np.take_along_axis(np.diff(ridge.interval)[..., 0] / 2, np.argsort(ridge.frequency, axis=0), axis=0)
        half = half[:, inside(law, ridge.t)]
        squares.append(np.mean(error**2))
        held.append((np.abs(error) <= half).ravel())
        known.append(np.isfinite(half).ravel())
    held, known = np.concatenate(held), np.concatenate(known)
    return {
        "rms": float(np.sqrt(np.mean(squares))),
        "coverage": float(np.mean(held[known])),
        "without": float(np.mean(~known)),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    head = [
        "law",
        "SNR in dB",
        "track, Hz",
        "best fixed, Hz",
        "its length",
        "ratio",
        "coverage in %",
        "no interval in %",
    ]
    cells = [
        [
            row["law"],
            f"{row['snr']}",
            f"{row['rms']:.3g}",
            f"{row['best']:.3g}",
            f"{row['length']:.0f}",
            f"{row['rms'] / row['best']:.2f}",
            f"{100 * row['coverage']:.0f}",
            f"{100 * row['without']:.0f}",
        ]
        for row in rows
    ]
    for row in [head, *cells]:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all laws and levels."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="signals for each law and level (default: 10)")
    parser.add_argument("--law", action="append", choices=list(laws()), help="only this law, without writing")
    parser.add_argument("--again", action="store_true", help="take the errors of fixed lengths from the last run")
    args = parser.parse_args()
    path = HERE / "tracking.json"
    before = {(row["law"], row["snr"]): row for row in json.loads(path.read_text())["rows"]} if args.again else {}
    rows = []
    for name in args.law or laws():
        law = laws()[name]
        for snr in LEVELS:
            x = law.signals(snr, args.seeds)
            by_length = before[name, snr]["fixed"] if args.again else fixed(law, x)
            row = {"law": name, "snr": snr, **tracked(law, x), "fixed": by_length, "best": min(by_length)}
            rows.append(row | {"length": float(LENGTHS[int(np.argmin(by_length))])})
            print(
                f"{name:16s} {snr:3d} dB: {rows[-1]['rms'] / rows[-1]['best']:.2f}, {rows[-1]['coverage']:.3f}",
                flush=True,
            )
    ratios = np.array([row["rms"] / row["best"] for row in rows])
    print(
        f"ratio {ratios.mean():.2f} in the mean, {np.exp(np.log(ratios).mean()):.2f} in the geometric mean; "
        f"coverage {np.mean([row['coverage'] for row in rows]):.3f}"
    )
    for law in dict.fromkeys(row["law"] for row in rows):
        of_law = [row["rms"] / row["best"] for row in rows if row["law"] == law and row["snr"] >= 0]
        print(f"{law}: ratio {np.mean(of_law):.2f} in the mean of 0 dB and more")
    if not args.law:
        path.write_text(json.dumps({"seeds": args.seeds, "rows": rows}, indent=1) + "\n")
        (HERE / "tracking.rst").write_text(table(rows))


if __name__ == "__main__":
    main()
