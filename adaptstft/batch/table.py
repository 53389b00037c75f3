"""The table that `optimize_many` returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from adaptstft.batch.rows import COLUMNS, NOTE_SEPARATOR, Row, labelled
from adaptstft.common.optional import require
from adaptstft.common.validation import as_index
from adaptstft.tuning.result.result import TuningResult

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["TuningTable"]

#: Number of notes in a summary.
_NOTES = 3


class TuningTable(Sequence[Row]):
    """Rows of `optimize_many`, one for each recording, in the order of the recordings.

    A sequence of dicts whose keys are the columns. Missing values are None.

    Attributes
    ----------
    rows : list of dict
        The rows, with these columns. Of the recording: ``name``; ``status``, ``"ok"`` or ``"error"``; ``error_type``
        and ``error``; ``fs`` (Hz), ``channels`` and ``n`` (samples); if it is a file, ``file_size`` (bytes) and
        ``file_mtime_ns``, the time of its last change. Of the window: ``window``, the name, with the shape parameters
        after a colon; ``win_length`` (samples) and ``win_duration`` (s), the median if there are several lengths;
        ``win_length_min`` and ``win_length_max``; ``factor_low`` and ``factor_high``, the range of factors for all
        lengths with an equally good result, see ``sensitivity`` of `adaptstft.TuningResult`;
        ``recommended_win_length`` (even) and ``recommended_hop`` (integer), or their medians. Of the frames: ``hop``
        (samples), ``frames``, ``mfft``. Of the optimiser: ``fun``, ``area_fun``, ``success``, ``message``, ``notes``
        with ``" | "`` between them, ``nit`` and ``nfev``. Of the run: ``seconds``, the time to read and tune the
        recording; ``saved``, the file of the whole result; ``settings``, the arguments that differ from the defaults,
        in JSON; ``version`` of adaptstft.
    results : list of TuningResult or None, or None
        The whole results, with ``full_output=True``; None if a row holds an error or comes from an earlier run.
    out : pathlib.Path or None
        The file of the rows.
    resumed : int
        Number of rows that come from earlier runs.

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
        """Rows of the recordings that could not be read or tuned."""
        return [row for row in self.rows if row["status"] == "error"]

    def to_frame(self) -> DataFrame:
        """Return the rows as a `pandas.DataFrame`.

        Returns
        -------
        pandas.DataFrame
            One row for each recording, in their order. Missing values are NaN or None, as in pandas.

        Raises
        ------
        ImportError
            If pandas is not installed, with the command that installs it.
        """
        pandas = require("pandas", extra="many")
        frame: DataFrame = pandas.DataFrame(self.rows, columns=list(COLUMNS))
        return frame

    def summary(self, errors: int = 5) -> str:
        """Return a text: number of tuned recordings, window lengths, frequent notes and the first errors.

        Parameters
        ----------
        errors : int, optional
            Largest number of errors to list.

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
        notes = Counter(note for row in tuned if row["notes"] for note in row["notes"].split(NOTE_SEPARATOR))
        lines.extend(("note", f"{count} of {len(tuned)}: {note}") for note, count in notes.most_common(_NOTES))
        lines.extend(("failed", labelled(row["name"], row["error"])) for row in failed[:errors])
        if len(failed) > errors > 0:
            lines.append(("", f"and {len(failed) - errors} more"))
        if self.out is not None:
            lines.append(("rows in", str(self.out)))
        return "\n".join(f"{name:<12}  {text}" for name, text in lines)
