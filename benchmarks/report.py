"""The table of a run as text, JSON, Markdown and reStructuredText."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, Settings, usable_cores
from benchmarks.peers import versions

_HEADER = ("row", "work", "adaptstft", "against", "its figure", "result", "target", "met")
#: Load of the machine above which threads that wait for each other, such as those of OpenMP, become much slower.
_BUSY = 0.5
_MET = {True: "yes", False: "no", None: ""}


def environment(settings: Settings) -> dict[str, Any]:
    """Return a description of the machine and the packages."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "workers": settings.workers,
        "repetitions": settings.repeat,
        "quick": settings.quick,
        "load_at_start": load,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def stored_results(folder: Path) -> dict[str, Any]:
    """Return the results in a folder.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    return dict(json.loads((folder / "results.json").read_text(encoding="utf-8")))


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Describe how the environment of an update differs; updates of older files hold a part of it only."""
    names = {"cpu": "", "cores": " cores", "workers": " workers", "repetitions": " repetitions", "system": ""}
    changes = [f"{after[key]}{unit}" for key, unit in names.items() if after.get(key, before[key]) != before[key]]
    if (python := after.get("python", before["python"])) != before["python"]:
        changes.append(f"Python {python}")
    packages = after.get("versions", {}).items()
    return changes + [
        f"{package} {number}" for package, number in packages if before["versions"].get(package) != number
    ]


@dataclass(frozen=True)
class Report:
    """Rows of a run, with a description of the machine.

    Attributes
    ----------
    rows : sequence of Row
        All rows.
    environment : dict
        The result of `environment`.
    """

    rows: Sequence[Row]
    environment: dict[str, Any]

    def update(self, folder: Path) -> Report:
        """Return the results in a folder with the rows of this run in place of those of the same names."""
        stored = stored_results(folder)
        before = [Row.from_json(values) for values in stored["rows"]]
        names = list(dict.fromkeys(row.name for row in self.rows))
        places = {row.name: place for place, row in reversed(list(enumerate(before)))}
        kept = [(place, row) for place, row in enumerate(before) if row.name not in names]
        new = [(places.get(row.name, len(before)), row) for row in self.rows]
        made = {key: value for key, value in self.environment.items() if key != "updates"}
        updates = {**stored["environment"].get("updates", {}), **dict.fromkeys(names, made)}
        return Report(
            [row for _, row in sorted(kept + new, key=lambda pair: pair[0])],
            stored["environment"] | {"updates": updates},
        )

    def cells(self) -> list[tuple[str, ...]]:
        """Return the cells of all rows; the last cell holds the problem of a row without a result."""
        return [_cells(row, judged=not self.environment["quick"]) for row in self.rows]

    def notes(self) -> list[str]:
        """Return the notes below a table."""
        machine = self.environment
        packages = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        lines = [
            f"{machine['date']}; {machine['cpu']}, {machine['cores']} cores, {machine['workers']} workers; "
            f"{machine['system']}, Python {machine['python']}.",
            f"{packages}.",
            f"Medians of at least {machine['repetitions']} calls each, each the last one after a tenth of a second of "
            "calls, as in an optimisation, the two sides of a row in turn; each benchmark in a new process. Ratios are "
            "the time of the other side by that of adaptstft, or the inverse if the target is an upper bound.",
        ]
        if any(row.spread for row in self.rows):
            lines.append("Results with a range are the median, the least and the largest of several complete runs.")
        if machine["quick"]:
            lines.append("Tiny sizes; the targets do not apply.")
        load = machine["load_at_start"] or 0.0
        if load > _BUSY:
            lines.append(f"The machine was busy when this began (load {load:.1f}): do not rely on these figures.")
        for name, made in machine.get("updates", {}).items():
            load = made["load_at_start"] or 0.0
            busy = f", on a busy machine (load {load:.1f})" if load > _BUSY else ""
            changes = "".join(f"; {change}" for change in _changes(machine, made))
            lines.append(f"The rows of {name} were measured again at {made['date']}{busy}{changes}.")
        return lines

    def text(self) -> str:
        """Return a table for the terminal."""
        lines = [_HEADER, *self.cells()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADER) - 1)] + [len(_HEADER[-1])]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        table.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*(line.rstrip() for line in table), "", *self.notes()])

    def markdown(self) -> str:
        """Return a Markdown table."""
        lines = [_HEADER, tuple("---" for _ in _HEADER), *self.cells()]
        table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
        return "\n".join([*table, "", "\n\n".join(self.notes()), ""])

    def rst(self) -> str:
        """Return a reStructuredText table; it needs no extension of Sphinx."""
        lines = [".. list-table::", "   :header-rows: 1", "   :class: measured", ""]
        for cells in (_HEADER, *self.cells()):
            for i, cell in enumerate(cells):
                text = cell.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*")
                lines.append(f"   {'* -' if i == 0 else '  -'} {text}".rstrip())
        return "\n".join([*lines, "", "\n\n".join(self.notes()), ""])

    def write(self, table_folder: Path, figure: Path) -> list[str]:
        """Write all files; return their names, and the reason if the figure could not be drawn."""
        from benchmarks.peers import NotInstalledError
        from benchmarks.plot import draw, draw_growth

        table_folder.mkdir(parents=True, exist_ok=True)
        values = {"environment": self.environment, "rows": [row.to_json() for row in self.rows]}
        texts = {
            "results.json": json.dumps(values, indent=1, default=float) + "\n",
            "results.md": self.markdown(),
            "results.rst": self.rst(),
        }
        for name, text in texts.items():
            (table_folder / name).write_text(text, encoding="utf-8")
        written = [str(table_folder / name) for name in texts]
        try:
            figure.parent.mkdir(parents=True, exist_ok=True)
            draw(self.rows, figure)
            growth = figure.with_name(f"tuning{figure.suffix}")
            drawn = [figure, growth] if draw_growth(self.rows, growth) else [figure]
        except NotInstalledError as error:
            return [*written, f"no figure: {error}"]
        return [*written, *map(str, drawn)]


def _cells(row: Row, *, judged: bool) -> tuple[str, ...]:
    def show(value: Any) -> str:
        return "" if value is None else str(value)

    unit = row.result.unit if row.result else "x"
    result = show(row.result)
    if row.spread is not None:
        result += f" ({row.spread[0]} to {row.spread[1]})"
    return (
        row.name,
        row.work,
        show(row.ours),
        row.against,
        show(row.theirs),
        result,
        row.target.text(unit) if row.target and judged else "",
        row.problem or (_MET[row.met] if judged else ""),
    )
