"""The picture of a run: ratios with their targets, and the growth of the cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Row
from benchmarks.peers import require

_BAR, _LINE, _TARGET = "#4c72b0", ("#4c72b0", "#dd8452"), "#c44e52"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the results of a run.

    Parameters
    ----------
    rows : sequence of Row
        All rows of a run.
    path : Path
        File to write.
    """
    require("matplotlib").use("Agg")
    from matplotlib import pyplot, rc_context

    # a fixed salt and no date: equal numbers give equal files
    with rc_context({"svg.hashsalt": "benchmarks", "font.size": 8, "svg.fonttype": "path"}):
        height = max(4.0, 1 + 0.26 * len(_judged(rows)))  # two lines of text for each bar
        figure, (left, middle, right) = pyplot.subplots(
            1, 3, figsize=(12, height), width_ratios=(1.4, 1, 1), layout="constrained"
        )
        _ratios(left, rows)
        _curves(middle, rows)
        _fft_lengths(right, rows)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)


def draw_growth(rows: Sequence[Row], path: Path) -> bool:
    """Draw time and memory of tuning against the duration, if a row of the run has them, and return whether it has.

    Parameters
    ----------
    rows : sequence of Row
        All rows of a run.
    path : Path
        File to write.
    """
    detail = next((row.detail for row in rows if "durations" in row.detail), None)
    if detail is None:
        return False
    require("matplotlib").use("Agg")
    from matplotlib import pyplot, rc_context

    durations = detail["durations"]
    pairs = [("seconds", "processor time in seconds"), ("megabytes", "memory beyond the signal in MB")]
    with rc_context({"svg.hashsalt": "benchmarks", "font.size": 8, "svg.fonttype": "path"}):
        figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
        for ax, (name, label), color in zip(axes, pairs, _LINE, strict=True):
            ax.set_xlabel("duration in seconds, 16 kHz")
            ax.set_ylabel(label)
            if not (values := detail[name]):  # the system does not tell the memory
                continue
            ax.loglog(durations, values, "o-", color=color, label="window_mode='time'")
            ends = [durations[0], durations[-1]]
            ax.loglog(ends, [values[-1] * end / ends[-1] for end in ends], ":", color="0.5", label="proportional")
            ax.legend()
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)
    return True


def _label(row: Row) -> str:
    return row.name if row.name != "scipy-stft" else row.work.replace("samples, ", "")


def _judged(rows: Sequence[Row]) -> list[tuple[Row, float, float]]:
    """Return the rows with a ratio that should be large, their ratios and their targets."""
    return [
        (row, row.result.value, row.target.bound)
        for row in rows
        if row.result and row.target and row.target.at_least and row.theirs
    ]


def _ratios(ax: Any, rows: Sequence[Row]) -> None:
    shown = _judged(rows)
    for i, (_, value, bound) in enumerate(shown):
        ax.barh(i, value, color=_BAR, height=0.6)
        ax.plot([bound, bound], [i - 0.4, i + 0.4], color=_TARGET, lw=2)
        beside = max(value, bound), i  # the number is not under the mark of the target
        number = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
        ax.annotate(number, beside, xytext=(3, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(shown)), [f"{_label(row)}\nagainst {row.against}" for row, _, _ in shown], fontsize=6)
    ax.set_title("ratio of times (red: target)")
    ax.invert_yaxis()
    if shown:
        ax.set_xscale("log")
        ax.set_xlim(0.7 * min(0.7, *(value for _, value, _ in shown)), 3 * max(value for _, value, _ in shown))


def _curves(ax: Any, rows: Sequence[Row]) -> None:
    detail = next((row.detail for row in rows if "samples" in row.detail), None)
    ax.set_title("value and gradient, 1024/256")
    ax.set_xlabel("samples")
    ax.set_ylabel("seconds")
    if detail is None:
        return
    for (workers, seconds), color in zip(detail["seconds"].items(), _LINE, strict=False):
        ax.loglog(detail["samples"], seconds, "o-", color=color, label=f"{workers} worker{'s' * (workers != '1')}")
    first, last = detail["samples"][0], detail["samples"][-1]
    end = next(iter(detail["seconds"].values()))[-1]
    ax.loglog([first, last], [end * first / last, end], ":", color="0.5", label="proportional")
    ax.legend()


def _fft_lengths(ax: Any, rows: Sequence[Row]) -> None:
    detail = next((row.detail for row in rows if {"mfft", "seconds"} <= row.detail.keys()), None)
    ax.set_title("hop mfft/4, same signal")
    ax.set_xlabel("mfft")
    ax.set_ylabel("seconds")
    if detail is None:
        return
    ax.loglog(detail["mfft"], detail["seconds"], "o-", color=_BAR)
    ax.set_xticks(detail["mfft"], [str(m) for m in detail["mfft"]])
    ax.minorticks_off()
    ax.set_ylim(0.3 * min(detail["seconds"]), 3 * max(detail["seconds"]))
