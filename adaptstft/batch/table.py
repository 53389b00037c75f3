"""What `optimize_many` returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from adaptstft.batch.rows import COLUMNS, Row, labelled
from adaptstft.common.optional import require
from adaptstft.common.validation import as_index
from adaptstft.tuning.result.result import TuningResult

__all__ = ["TuningTable"]

_NOTES = 3


class TuningTable(Sequence[Row]):
    """Rows of `optimize_many`, one for each recording, in the order of the recordings.

    A sequence of dicts whose keys are the columns; a value that a row does not have is None.

    Attributes
    ----------
    rows : list of dict
        The rows. Columns are ``name``; ``status``, ``"ok"`` or ``"error"``, and ``error_type`` and ``error``,
        what went wrong; ``fs`` (Hz), ``channels`` and ``n`` (samples), the recording; ``file_size`` (bytes) and
        ``file_mtime_ns``, the time of its last change, of one that is a path; ``window``, its name, and
        its shape after a colon; ``win_length`` (samples) and ``win_duration`` (s), of several lengths the median, with
        ``win_length_min`` and ``win_length_max``; ``factor_low`` and ``factor_high``, between which all lengths
        may be multiplied and remain as good, see `adaptstft.TuningResult`'s ``sensitivity``;
        ``recommended_win_length`` and ``recommended_hop``, even and integer, or their medians; ``hop``
        (samples), ``frames``, ``mfft``; ``fun`` and ``area_fun``; ``success``, ``message``, ``notes``, ``nit`` and
        ``nfev`` of the optimiser; ``seconds``, what it took to read and tune; ``saved``, the file of the whole
        result; ``settings``, the arguments that are not the default ones, in JSON; ``version`` of adaptstft.
    results : list of TuningResult or None, or None
        With ``full_output=True`` the results, None where a row holds an error or comes from an earlier run.
    out : pathlib.Path or None
        The file that the rows were written to.
    resumed : int
        How many of the rows come from earlier runs.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> rng = np.random.default_rng(0)
    >>> table = adaptstft.optimize_many({"a": rng.standard_normal(500), "b": np.zeros(500)}, 100.0)
    >>> len(table), table[0]["name"], table[0]["n"]
    (2, 'a', 500)
    >>> [row["error"] for row in table.failed]
    ['x is silent: all 500 samples are zero, so no window is better than another']
    """

    def __init__(
        self,
        rows: list[Row],
        results: list[TuningResult | None] | None = None,
        out: Path | None = None,
        resumed: int = 0,
    ) -> None:
        self.rows = rows
        self.results = results
        self.out = out
        self.resumed = resumed

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return self.summary()

    @property
    def failed(self) -> list[Row]:
        """Rows of recordings that could not be read or tuned."""
        return [row for row in self.rows if row["status"] == "error"]

    def to_frame(self) -> Any:
        """Return the rows as a `pandas.DataFrame`.

        Returns
        -------
        pandas.DataFrame
            One row for each recording, in their order; missing values are those of pandas.

        Raises
        ------
        ImportError
            Without pandas, with the command that installs it.
        """
        pandas = require("pandas", extra="many")
        return pandas.DataFrame(self.rows, columns=list(COLUMNS))

    def summary(self, errors: int = 5) -> str:
        """Return how many recordings were tuned, what was found, common notes, and the first errors.

        Parameters
        ----------
        errors : int, optional
            Most errors that are listed.

        Returns
        -------
        str
            A few lines.

        Raises
        ------
        ValueError, TypeError
            If `errors` is not an integer of at least 0.
        """
        errors = as_index("errors", errors, 0)
        failed, tuned = self.failed, [row for row in self.rows if row["status"] == "ok"]
        counts = f"{len(self)}: {len(tuned)} tuned, {len(failed)} failed"
        lines = [("recordings", counts + (f"; {self.resumed} of them in earlier runs" if self.resumed else ""))]
        for name, unit in (("win_length", "samples"), ("win_duration", "s"), ("seconds", "s each")):
            if tuned:
                low, mid, high = np.quantile([row[name] for row in tuned], [0.05, 0.5, 0.95])
                lines.append((name, f"{mid:.4g} {unit} (median), {low:.4g} to {high:.4g} in nine of ten"))
        notes = Counter(note for row in tuned if row["notes"] for note in row["notes"].split("; "))
        lines.extend(("note", f"{count} of {len(tuned)}: {note}") for note, count in notes.most_common(_NOTES))
        lines.extend(("failed", labelled(row["name"], row["error"])) for row in failed[:errors])
        if len(failed) > errors > 0:
            lines.append(("", f"and {len(failed) - errors} more"))
        if self.out is not None:
            lines.append(("rows in", str(self.out)))
        return "\n".join(f"{name:<12}  {text}" for name, text in lines)
