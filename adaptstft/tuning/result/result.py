"""Result of `adaptstft.optimize`: the tuned transform, the course of the tuning, pictures and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy.optimize import OptimizeResult

from adaptstft.display.report import Report, make_report
from adaptstft.tuning.result.archive import load_fields, save_result
from adaptstft.tuning.result.summary import summary_rows

__all__ = ["TuningResult", "load"]


class TuningResult(OptimizeResult):  # type: ignore[misc]
    """A tuned transform, and the course of its tuning.

    It is a `scipy.optimize.OptimizeResult` with more fields.

    Attributes
    ----------
    sft : AdaptiveShortTimeFFT
        The tuned transform. It has frames at `positions`, for signals of this length.
        With one window length, or one for each frequency,
        ``sft.remade(positions=None, hop=hop)`` is the transform for signals of any
        length. The transform for a corpus or a Dask array already is of this kind,
        unless the lengths of frames vary.
    win_length : float or ndarray
        Window length or lengths in samples: a number, or shape (p_num,) for one in
        each frame, (f_pts, 1) for each frequency, (f_pts, p_num) for each bin.
    win_duration : float or ndarray
        `win_length` in seconds.
    hop : float
        Time between frames in samples; the mean if positions were tuned.
    positions : ndarray, shape (p_num,), or None
        Centres of the frames in samples. None for a corpus, and for a Dask array unless
        the lengths of frames vary: frames are then at the multiples of `hop` in every
        signal.
    fun : float
        The objective: the criterion (with weights if positions were tuned) plus `prices`, by the
        exact sums; in single precision for lengths per bin from a table with several bins in a
        cell.
    prices : float
        The penalties in `fun`, with their weights: smoothness, evenness and coverage, and
        for a description length with tuned positions the cost of changes of lengths and hops.
    area_fun : float
        The criterion as an integral over time and frequency, comparable between hops
        and FFT lengths. For entropies of global scope ``exp(area_fun)`` is the
        time-frequency area of the signal, in cells of s Hz. A criterion of local scope
        also depends on its neighbourhoods, and a description length on its margin, which
        follow from the signal and the window mode. To compare two results, give the
        `criterion` of one to the call for the other; see the guide, "How optimize
        searches".
    x, jac : ndarray
        The tuned parameters in their own units (lengths, then positions or hop, then
        shape), and the partial derivative of the objective in each of them. There are no
        positions if the frames stay evenly spaced. For lengths per bin the parameters are
        the lengths at the control points, frequency by frequency.
    success, status, message, nit, nfev
        As in SciPy, for the best start; `nfev` is the sum over all starts.
    criterion : Criterion
        The criterion, with its scope, and with the width, bands and margin that were used.
    history : ndarray
        The objective after each iteration of the best start. For a path over a table: with
        one length, then on the table after each path, and the exact value at the end.
    starts : list of dict
        One entry for each start: its label, window, window length, objective before
        and after, iterations, evaluations and message. A path over a table is one
        entry, ``"path"``.
    sensitivity : Sensitivity
        How flat the optimum is.
    notes : list of str
        Notes about the result, for example if the optimum is on a bound.
    survey : Survey or None
        The search before the descents: window lengths in samples, `lengths`, and the
        criterion with each of them in all frames, `values`, comparable with
        `area_fun`. Where lengths vary, ``survey.surface`` holds the criterion over
        time or frequency, and length. `plot_criterion` draws it. None if there was
        no search.
    recommended : Recommendation or None
        Even window lengths, `win_length`, and integer hops, `hop`, near the optimum,
        and the increase of `area_fun` with them, `loss`. None if no even number is
        within the bounds.
    signal : ndarray or None
        The given signal, with time as the last axis, as a NumPy array. None for a
        corpus or a Dask array.
    signals, samples : int
        Number of signals that share the parameters, and the sum of their lengths in
        samples (of one channel).
    f_bounds : (float, float) or None
        Range of frequencies in Hz that the criterion saw; None for all.
    detrend : str or None
        The trend that was removed from the signal before tuning. `plot` shows the
        signal with it.
    approximation : dict or None
        How the lengths were tuned, if not by exact sums: on a table of sums for a number of
        `lengths`. `difference` is that of the exact criterion from the one on the table at the
        end of the search. With a length per frequency or bin also the largest number of `frames`
        that a cell of the table has, and the `stride`: every stride-th bin was used. None if all
        sums were exact.
    backend : str
        The backend that was used.
    call : str
        The call of `optimize` as Python source, for a signal `x`, with the arguments that differ from their
        defaults. Functions and long arrays appear by their names. Empty in files of version 0.1.0 and before.
    initial : AdaptiveShortTimeFFT
        The transform before tuning: with the given window, or with 256 samples, the
        default of `scipy.signal.spectrogram`.
    initial_area_fun : float
        `area_fun` of `initial`.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> res = adaptstft.optimize(np.cos(0.3 * np.arange(600)), 100.0, win_bounds=(16, 200))
    >>> res.success, res.win_length
    (True, 200.0)
    >>> res.notes
    ['the window length is at its upper bound of 200 samples = 2 s; win_bounds=(16, 300) allows longer ones']
    """

    def __repr__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return the tuned parameters, the gain and the flatness of the optimum, in a few lines."""
        rows = summary_rows(self)
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def _repr_html_(self) -> str:
        from adaptstft.display.html import result_html

        return result_html(self, summary_rows(self))

    def plot(self, ax: Any = None) -> Any:
        """Draw the spectrogram before and after tuning.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of two Axes, optional
            Where to draw: one Axes for the tuned spectrogram alone, two for before and
            after. None makes a figure with two.

        Returns
        -------
        ndarray of matplotlib Axes
            The axes drawn on.

        Raises
        ------
        ValueError
            For the result of a corpus or a Dask array, which holds no signal.
        ImportError
            Without matplotlib, with the command that installs it.
        """
        from adaptstft.display.plots import plot_result

        return plot_result(self, ax)

    def plot_criterion(self, ax: Any = None) -> Any:
        """Draw the criterion against the window length, with the optimum.

        One length: The curve is the search before the descents. A line connects each
        start with the length that it led to. The range of equally good lengths is
        shaded.

        Lengths that vary: The colours are the criterion above its best value at each
        time or frequency, if all frames there had one length. The line is the chosen
        lengths, over frequency and time their geometric mean over time. There is no
        such picture, but the curve with the mean of the lengths, if no table over time
        or frequency was made (``survey.surface`` is None): for descents in the lengths
        of frames alone, baselines, functions as criterion, and lengths of bins without
        a local criterion.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; None makes a figure.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.

        Raises
        ------
        ValueError
            If there was no search, and so no curve.
        ImportError
            Without matplotlib, with the command that installs it.
        """
        from adaptstft.display.plots import plot_criterion

        return plot_criterion(self, ax)

    def explore(self) -> Report:
        """Return a report for the notebook, the page of `to_html`.

        Returns
        -------
        Report
            Jupyter shows it as a frame. Its field `page` is the HTML.

        Raises
        ------
        ImportError
            Without matplotlib, with the command that installs it.
        """
        return make_report(self, summary_rows(self), "Tuned spectrogram", "")

    def to_html(self, path: Any, *, title: str = "Tuned spectrogram", source: str = "") -> None:
        """Write a report to one file of HTML that needs no network.

        It has the spectrograms before and after, a slider through the window lengths of the search with the
        spectrogram that each one gives, the criterion with the choice, the settings, the notes, and the lines of
        Python that repeat the call.

        Parameters
        ----------
        path : str or path-like
            File to write.
        title : str, optional
            Title of the page, such as the name of the recording.
        source : str, optional
            Lines of Python that define the signal ``x``, for the lines that repeat the call.

        Raises
        ------
        ImportError
            Without matplotlib, with the command that installs it.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> import adaptstft
        >>> res = adaptstft.optimize(np.cos(0.001 * np.arange(600.0) ** 2), 100.0)
        >>> path = os.path.join(tempfile.mkdtemp(), "report.html")
        >>> res.to_html(path, title="A chirp")
        >>> "<title>A chirp</title>" in open(path, encoding="utf-8").read()
        True
        """
        report = make_report(self, summary_rows(self), title, source)
        Path(path).write_text(report.page, encoding="utf-8")

    def save(self, path: Any) -> None:
        """Write the result, with the signal, to a ``.npz`` file.

        Parameters
        ----------
        path : str or path-like
            File to write; ``.npz`` is appended if it is missing.

        Raises
        ------
        ValueError
            For a window or criterion that is a function without a name. Register a
            window to save it.
        """
        save_result(self, path)


def load(path: Any) -> TuningResult:
    """Read a result from a file of `TuningResult.save`.

    Parameters
    ----------
    path : str or path-like
        The ``.npz`` file.

    Returns
    -------
    TuningResult
        The result.

    Raises
    ------
    ValueError
        If the file is not a saved result.

    Examples
    --------
    >>> import tempfile, os
    >>> import numpy as np
    >>> import adaptstft
    >>> res = adaptstft.optimize(np.cos(0.001 * np.arange(600.0) ** 2), 100.0)
    >>> path = os.path.join(tempfile.mkdtemp(), "chirp.npz")
    >>> res.save(path)
    >>> adaptstft.load(path).win_length == res.win_length
    True
    """
    return TuningResult(load_fields(path))
