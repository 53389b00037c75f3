"""Result of `adaptstft.optimize`: the tuned transform, the course of the tuning, pictures and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft.common.optional import require
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Criterion
from adaptstft.display.report import Report, make_report
from adaptstft.tuning.result.archive import load_fields, save_result
from adaptstft.tuning.result.diagnosis import Sensitivity
from adaptstft.tuning.result.headline import Unit, unit_of
from adaptstft.tuning.result.recommendation import Recommendation
from adaptstft.tuning.result.summary import summary_rows
from adaptstft.tuning.result.values import plain_values, window_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from adaptstft.display.spectrogram import FrequencyScale
    from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
    from adaptstft.tuning.tables.survey import Survey

__all__ = ["TuningResult", "load"]


if TYPE_CHECKING:
    # SciPy has no types: with its class as the base, type checkers would accept every misspelt attribute
    _Base: TypeAlias = dict[str, Any]
else:
    _Base = OptimizeResult


class TuningResult(_Base):
    """A tuned transform, and the course of its tuning.

    It is a `scipy.optimize.OptimizeResult` with more fields.

    Attributes
    ----------
    sft : AdaptiveShortTimeFFT
        The tuned transform. With one window length, or one for each frequency, and even
        frames it has a hop, and transforms signals of any length. It then has more frames
        than `positions`: also those before and after the signal whose windows reach into it.
        ``sft.remade(hop=None, positions=positions)`` has the frames of the search alone.
        Otherwise its frames are at `positions`, and it refuses signals of another length.
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
    score, score_unit : float, str
        `area_fun` in the unit of the summary and the pictures: bits per sample for a
        description length, nat for a logarithm, an empty text for a number without a unit.
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
        The transform before tuning: with the given window length, or with 256 samples, the
        default of `scipy.signal.spectrogram`, or the nearest length that was searched. Its
        window is of the tuned family.
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

    sft: AdaptiveShortTimeFFT
    win_length: float | Float64Array
    win_duration: float | Float64Array
    hop: float
    positions: Float64Array | None
    fun: float
    prices: float
    area_fun: float
    x: Float64Array
    jac: Float64Array
    success: bool
    status: int
    message: str
    nit: int
    nfev: int
    criterion: Criterion
    history: Float64Array
    starts: list[dict[str, Any]]
    sensitivity: Sensitivity
    notes: list[str]
    survey: Survey | None
    recommended: Recommendation | None
    signal: AnyArray | None
    signals: int
    samples: int
    f_bounds: tuple[float | None, float | None] | None
    detrend: str | None
    approximation: dict[str, Any] | None
    backend: str
    call: str
    initial: AdaptiveShortTimeFFT
    initial_area_fun: float

    def __repr__(self) -> str:
        return self.summary()

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self})

    @property
    def _unit(self) -> Unit:
        return unit_of(self.criterion, onesided=self.sft.onesided_fft)

    @property
    def score(self) -> float:
        """The value that is comparable between hops and FFT lengths, in `score_unit`; less is better."""
        return float(self.scored(self.area_fun))

    @property
    def score_unit(self) -> str:
        """Unit of `score`."""
        return self._unit.name

    def scored(self, values: Any) -> Any:
        """Return comparable values, such as `area_fun` or those of the survey, in the unit of `score`.

        Parameters
        ----------
        values : array_like
            Values of the criterion.

        Returns
        -------
        float or ndarray
            The values in `score_unit`.
        """
        return np.multiply(values, self._unit.factor)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as numbers, texts and lists, without the signal and the course of the search.

        Returns
        -------
        dict
            ``fs`` (Hz), ``samples``, ``window``, ``criterion``, ``scope``, ``f_bounds`` (Hz), ``score``,
            ``score_unit``, ``fun``, ``area_fun``, ``win_length`` (samples), ``win_duration`` (s), ``hop`` and
            ``positions`` (samples), ``mfft``, ``recommended``, ``success``, ``message``, ``nit``, ``nfev`` and
            ``notes``. All of it can be written as JSON.

        Examples
        --------
        >>> import json
        >>> import numpy as np
        >>> import adaptstft
        >>> res = adaptstft.optimize(np.cos(0.001 * np.arange(600.0) ** 2), 100.0)
        >>> json.loads(json.dumps(res.to_dict()))["score_unit"]
        'bits per sample'
        """
        return plain_values(self)

    def to_frame(self) -> DataFrame:
        """Return the tuned windows as a `pandas.DataFrame`.

        Returns
        -------
        pandas.DataFrame
            One row for each window: ``win_length`` in samples and ``win_duration`` in s, with the ``time`` of the
            frame in s and the ``frequency`` of the bin in Hz where lengths or positions vary.

        Raises
        ------
        ImportError
            If pandas is not installed, with the command that installs it.
        """
        frame: DataFrame = require("pandas", extra="many").DataFrame(window_columns(self))
        return frame

    def summary(self) -> str:
        """Return the tuned parameters, the gain and the flatness of the optimum, in a few lines."""
        rows = summary_rows(self)
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def _repr_html_(self) -> str:
        from adaptstft.display.html import result_html

        return result_html(self, summary_rows(self))

    def plot(
        self,
        ax: Axes | Sequence[Axes] | AnyArray | None = None,
        *,
        f_range: tuple[float, float] | None = None,
        t_range: tuple[float, float] | None = None,
        yscale: FrequencyScale = "linear",
        db: float = 60.0,
        hop: float | None = None,
    ) -> AnyArray:
        """Draw the spectrogram before and after tuning.

        Both pictures have the same hop. If it is longer than half of the shortest window
        before tuning, the first picture has a hop of a quarter of this window. The same
        level has the same colour. They have the resolution of the screen or file: where
        one zooms in, that part is computed again.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of two Axes, optional
            Where to draw: one Axes for the tuned spectrogram alone, two for before and
            after. None makes a figure with two.
        f_range, t_range : (float, float), optional
            Frequencies in Hz and times in s to show. By default all times, and the frequencies that the criterion
            saw.
        yscale : {"linear", "log", "mel"}, optional
            Scale of the frequencies.
        db : float, optional
            Range of the colours in dB, below the maximum of what is shown.
        hop : float, optional
            Hop of both pictures in samples; by default that of the result, see above.

        Returns
        -------
        ndarray of matplotlib Axes
            The axes drawn on.

        Raises
        ------
        ValueError
            For the result of a corpus or a Dask array, which holds no signal, and for ranges outside of it.
        ImportError
            Without matplotlib, with the command that installs it.
        """
        from adaptstft.display.plots import plot_result

        axes: AnyArray = plot_result(self, ax, hop=hop, f_range=f_range, t_range=t_range, yscale=yscale, db=db)
        return axes

    def plot_criterion(self, ax: Axes | None = None) -> Axes:
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

        axes: Axes = plot_criterion(self, ax)
        return axes

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
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import adaptstft
        >>> res = adaptstft.optimize(np.cos(0.001 * np.arange(600.0) ** 2), 100.0)
        >>> path = Path(tempfile.mkdtemp(), "report.html")
        >>> res.to_html(path, title="A chirp")
        >>> "<title>A chirp</title>" in path.read_text(encoding="utf-8")
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
