"""What each window mode costs: processor time of one thread for a second of audio.

``python -m benchmarks.modes`` measures and writes the table of the documentation's first page.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import adaptstft
from benchmarks.cases_tuning import FS, voice

_PAGE = Path(__file__).with_suffix(".rst")
_SECONDS, _RUNS = 10.0, 3
#: What one wants to know, the call, and the arguments that are measured.
_ROWS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Which window suits this recording?", "``optimize(x, fs)``", {}),
    ("It changes: speech, music, run-ups", '``window_mode="time"``', {"window_mode": "time"}),
    ("Low and high frequencies differ", '``window_mode="frequency"``', {"window_mode": "frequency"}),
    ("Clicks and tones at the same time", '``window_mode="time-frequency"``', {"window_mode": "time-frequency"}),
    (
        "Only a part of the spectrum matters: impacts of a bearing, a voice beside a hum",
        "``f_bounds=(low, high)``",
        {"f_bounds": (1000.0, 4000.0)},
    ),
    ("The strongest components matter, the quiet ones do not", '``criterion="renyi"``', {"criterion": "renyi"}),
    ("Which window function?", '``window="auto"``', {"window": "auto"}),
)


def _cost(x: Any, arguments: dict[str, Any]) -> float:
    """Return the median of the processor time in seconds for a second of the signal."""
    times = []
    for _ in range(_RUNS + 1):  # the first one loads the kernels
        begin = time.process_time()
        adaptstft.optimize(x, FS, workers=1, progress=False, **arguments)
        times.append(time.process_time() - begin)
    return statistics.median(times[1:]) / _SECONDS


def main() -> None:
    """Measure and write the table."""
    x = voice(_SECONDS)
    lines = [".. This file is written by benchmarks/modes.py.", "", ".. list-table::"]
    lines += ["   :header-rows: 1", "   :widths: 42 38 20", ""]
    lines += ["   * - You want to know", "     - Call", "     - Seconds of a processor for a second of audio"]
    for question, call, arguments in _ROWS:
        seconds = _cost(x, arguments)
        print(call, f"{seconds:.3f}")
        lines += [f"   * - {question}", f"     - {call}", f"     - {seconds:.2g}"]
    _PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
