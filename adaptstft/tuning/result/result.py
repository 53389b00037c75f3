"""What `optimize` returns."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft import windows
from adaptstft.common.text import (
    count_things,
    describe_hops,
    describe_lengths,
    describe_span,
    describe_window,
)
from adaptstft.common.typing import AnyArray
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.tuning.result.diagnosis import Sensitivity
from adaptstft.tuning.result.recommendation import Recommendation
from adaptstft.tuning.tables.survey import Survey

__all__ = ["TuningResult", "load"]

#: What archives raise that are damaged, or hold something else.
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_FORMAT = 4


class TuningResult(OptimizeResult):  # type: ignore[misc]
    """A tuned transform and how it was found.

    A `scipy.optimize.OptimizeResult` with further fields.

    Attributes
    ----------
    sft : AdaptiveShortTimeFFT
        The tuned transform, ready to use on signals of this length: its frames
        are at `positions`. With one window length, or one for each frequency,
        ``sft.remade(positions=None, hop=hop)`` is the one for signals of any
        length. That of a corpus or a Dask array is such a one already.
    win_length : float or ndarray
        Window length(s) in samples: one, or of shape (p_num,), (f_pts, 1) or
        (f_pts, p_num) for each frame, frequency or bin.
    win_duration : float or ndarray
        The same in seconds.
    hop : float
        Time between frames in samples, on average if positions were tuned.
    positions : ndarray, shape (p_num,), or None
        Centres of the frames in samples; None for a corpus or a Dask array, where
        they are multiples of `hop` in every signal.
    fun : float
        The objective: the criterion, with weights if positions were tuned, and `prices`.
    prices : float
        What of `fun` is not the criterion: the terms of smoothness, evenness and coverage.
    area_fun : float
        The criterion as an integral over time and frequency, comparable
        between hops and FFT lengths; for entropies of global scope
        ``exp(area_fun)`` is the time-frequency area that the signal occupies, in
        cells of s Hz.
    x, jac : ndarray
        The tuned parameters in their own units (lengths, then positions or hop,
        then shape) and the slope of the criterion in each of them alone; of
        lengths of bins, those at the control points, frequency by frequency.
    success, status, message, nit, nfev
        As in SciPy, for the best start; `nfev` counts all.
    criterion : Criterion
        What was minimised, with its scope.
    history : ndarray
        The objective after each iteration of the best start.
    starts : list of dict
        Every start: its label, window, window length, objective before and after,
        iterations, evaluations, message.
    sensitivity : Sensitivity
        How flat the optimum is.
    notes : list of str
        What the user should know, such as an optimum on a bound.
    survey : Survey or None
        The criterion at the window lengths that were searched, in `lengths` (samples) and
        `values` (as `area_fun`, for one length in all frames), see `plot_criterion`; None
        where there was no search.
    recommended : Recommendation or None
        Even integer window length(s) and integer hop(s) near the optimum, in `win_length`
        and `hop`, and by how much ``area_fun`` is larger with them, `loss`. None if no even
        number is within the bounds.
    signal : ndarray or None
        The signal, as it was given, time last; always in NumPy. None for a corpus or
        a Dask array, which are not kept.
    signals, samples : int
        Number of signals that share the parameters, and their samples in all (of one channel).
    detrend : str or None
        The trend that was removed from it before tuning, and is in `plot`.
    approximation : dict or None
        How lengths of bins were tuned on approximate transforms: the `rank` (number
        of window lengths combined), the largest relative error of the windows found,
        `accuracy`, the `stride` (every how manieth frame was used: 1, but for long
        signals), and the `difference` of the exact `area_fun` from the
        approximate one. None where all was exact.
    backend : str
        Implementation of the inner loops that was used.
    initial : AdaptiveShortTimeFFT
        What to compare with: the window given, or 256 samples, the default of
        SciPy's `scipy.signal.spectrogram`.
    initial_area_fun : float
        `area_fun` of that.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> res = adaptstft.optimize(np.cos(0.3 * np.arange(600)), 100.0, win_bounds=(16, 200))
    >>> res.success, res.win_length
    (True, 200.0)
    >>> res.notes
    ['the window length is at its upper bound of 200 samples']
    """

    def __repr__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return what was chosen and how flat the optimum is, in a few lines."""
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def _rows(self) -> list[tuple[str, str]]:
        rows = [("window", describe_window(self.sft.window))]
        rows.append(("win_length", describe_lengths(self.win_length, self.sft.fs)))
        hops = describe_hops(self.positions, self.hop, self.sft.fs)
        if self.positions is None:
            many = "" if self.signals == 1 else "s"
            rows.insert(
                0, ("tuned to", f"{self.signals} signal{many}, {describe_span(self.samples / self.sft.fs)} in all")
            )
        rows.append(("hop", hops))
        rows.append(("mfft", f"{self.sft.mfft}, bins {self.sft.delta_f:.4g} Hz apart"))
        scope = f", scope {self.criterion.scope}" if self.criterion.scope else ""
        rows.append((self.criterion.name, f"{self.fun:.6g}{scope}; {self._gain()}"))
        low_f, high_f = self.sensitivity.factors
        within = f"{self.sensitivity.tolerance:.3g}" + (" nat" if self.criterion.in_nats else "")
        if self.approximation is not None:
            a = self.approximation
            rows.append(
                ("tuned on", f"windows of {a['rank']} lengths, {abs(a['difference']):.2g} from the exact value")
            )
        if self.sensitivity.win_length is not None:
            low, high = self.sensitivity.win_length
            rows.append(("flatness", f"within {within} from {low:.0f} to {high:.0f} samples"))
        else:
            rows.append(("flatness", f"within {within} for all lengths times {low_f:.2f} to {high_f:.2f}"))
        if self.recommended is not None:
            rows.append(("recommended", self._recommendation()))
        if compared := self._compared():
            rows.append(("compared", compared))
        rows.append(
            (
                "optimiser",
                f"{self.message} ({count_things(self.starts, 'start')}, {self.nfev} evaluations, {self.backend})",
            )
        )
        rows.extend(("note", note) for note in self.notes)
        return rows

    def _gain(self) -> str:
        initial = np.atleast_1d(self.initial.win_length)
        before = f"a window of {initial[0]:g} samples" if initial.size == 1 else "the lengths given"
        gain = self.initial_area_fun - self.area_fun
        if self.criterion.in_nats:
            return f"{abs(gain):.3g} nat {'better' if gain >= 0 else 'worse'} than {before}"
        return f"{self.area_fun:.6g} as an integral, against {self.initial_area_fun:.6g} for {before}"

    def _recommendation(self) -> str:
        found = self.recommended
        texts = [
            str(values) if np.ndim(values) == 0 else f"{np.min(values)} to {np.max(values)}"
            for values in (found.win_length, found.hop)
        ]
        if self.criterion.in_nats:
            loss = f"{abs(found.loss):.2g} nat {'worse' if found.loss >= 0 else 'better'}"
        else:
            loss = f"criterion {found.loss:+.2g}"
        return f"{texts[0]} samples, hop {texts[1]}: {loss}"

    def _compared(self) -> str:
        """Best value of every window family, if there were several."""
        best: dict[str, float] = {}
        for start in self.starts:
            family = start["window"].partition(" ")[0]
            best[family] = min(best.get(family, np.inf), start["area_fun"])
        return ", ".join(f"{family} {value:.5g}" for family, value in best.items()) if len(best) > 1 else ""

    def _repr_html_(self) -> str:
        from adaptstft.display.html import result_html

        return result_html(self, self._rows())

    def plot(self, ax: Any = None) -> Any:
        """Draw the spectrogram before and after tuning.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of two Axes, optional
            Where to draw: one for the tuned spectrogram alone, two for before and
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
        """Draw the criterion against the window length, with every start and the optimum.

        The curve is the one that was searched before any descent, of one length in all frames. Starts are
        drawn on it, with what they led to where that is one length as well; otherwise the optimum is the
        geometric mean of the lengths. The range of lengths that are equally good is shaded.

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
            If no lengths were searched, so that there is no curve.
        ImportError
            Without matplotlib, with the command that installs it.
        """
        from adaptstft.display.plots import plot_criterion

        return plot_criterion(self, ax)

    def save(self, path: Any) -> None:
        """Write the result, with the signal, to a ``.npz`` file.

        Parameters
        ----------
        path : str or path-like
            File to write; ``.npz`` is appended if it is missing.

        Raises
        ------
        ValueError
            For a window or criterion that is a function without a name; register
            the window to save it.
        """
        if self.sft.window.name == "callable" or self.criterion.name == "callable":
            raise ValueError(
                "a result with a function as window or criterion cannot be saved: give the window a name with "
                "adaptstft.windows.register, and take a named criterion"
            )
        arrays = {
            "win_length": self.win_length,
            "positions": self.positions,
            "signal": self.signal,
            "history": self.history,
            "x": self.x,
            "jac": self.jac,
        }
        arrays = {name: array for name, array in arrays.items() if array is not None}
        if self.survey is not None:
            arrays |= {"survey_lengths": self.survey.lengths, "survey_values": self.survey.values}
        settings = {
            "format": _FORMAT,
            "sft": _settings(self.sft),
            "initial": {
                **_settings(self.initial),
                "win_length": np.asarray(self.initial.win_length).tolist(),
                "positions": None if self.initial.positions is None else self.initial.positions.tolist(),
            },
            "signals": self.signals,
            "samples": self.samples,
            "criterion": self.criterion.settings(),
            "sensitivity": asdict(self.sensitivity),
            "recommended": self.recommended and _to_lists(asdict(self.recommended)),
            **{name: self[name] for name in _SCALARS},
        }
        with Path(_npz(path)).open("wb") as file:
            np.savez_compressed(file, settings=np.array(json.dumps(settings)), **arrays)


_SCALARS = (
    "fun", "prices", "area_fun", "initial_area_fun", "hop", "nit", "nfev", "success", "status", "message", "starts",
    "notes", "approximation", "backend", "detrend",
)  # fmt: skip


def _npz(path: Any) -> str:
    text = str(path)
    return text if text.endswith(".npz") else text + ".npz"


def _settings(sft: AdaptiveShortTimeFFT) -> dict[str, Any]:
    return {
        "window": sft.window.spec,
        "fs": sft.fs,
        "hop": sft.hop,
        "fft_mode": sft.fft_mode,
        "mfft": sft.mfft,
        "max_length": sft.m_num,
        "scale_to": sft.scaling,
        "phase_shift": sft.phase_shift,
    }


def _transform(settings: dict[str, Any], win_length: AnyArray, positions: AnyArray | None) -> AdaptiveShortTimeFFT:
    keywords = dict(settings)
    window, fs, hop = keywords.pop("window"), keywords.pop("fs"), keywords.pop("hop", None)
    return AdaptiveShortTimeFFT(windows.resolve(window), win_length, hop, fs, positions=positions, **keywords)


def load(path: Any) -> TuningResult:
    """Read a result that `TuningResult.save` has written.

    Parameters
    ----------
    path : str or path-like
        The ``.npz`` file.

    Returns
    -------
    TuningResult
        The result, with a transform ready to use.

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
    from adaptstft import criteria

    if not Path(path).exists() and Path(_npz(path)).exists():
        path = _npz(path)  # as `save` has named it
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = json.loads(str(arrays.pop("settings")))
        if settings["format"] != _FORMAT:
            raise ValueError(f"its format is {settings['format']}, this version reads {_FORMAT}")
    except FileNotFoundError:
        raise
    except _DAMAGED as exc:
        raise ValueError(f"{path!s} is not a file that TuningResult.save has written ({exc})") from exc
    initial = settings["initial"]
    positions = initial.pop("positions")
    before = (np.array(initial.pop("win_length")), None if positions is None else np.array(positions))
    sensitivity = settings["sensitivity"]
    win_length: Any = arrays["win_length"] if arrays["win_length"].ndim else float(arrays["win_length"])
    spans = {k: None if v is None else (v[0], v[1]) for k, v in sensitivity.items() if k in ("factors", "win_length")}
    return TuningResult(
        sft=_transform(settings["sft"], arrays["win_length"], arrays.get("positions")),
        win_length=win_length,
        win_duration=win_length / settings["sft"]["fs"],
        initial=_transform(initial, *before),
        criterion=criteria.from_settings(settings["criterion"]),
        sensitivity=Sensitivity(**(sensitivity | spans)),
        survey=Survey(arrays["survey_lengths"], arrays["survey_values"], None) if "survey_lengths" in arrays else None,
        recommended=settings["recommended"] and Recommendation(**_to_arrays(settings["recommended"])),
        **{key: arrays.get(key) for key in ("positions", "signal")},
        **{key: arrays[key] for key in ("history", "x", "jac")},
        signals=settings.get("signals", 1),
        samples=settings.get("samples", arrays["signal"].shape[-1] if "signal" in arrays else None),
        **{key: settings[key] for key in _SCALARS},
    )


def _to_lists(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def _to_arrays(values: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array(value) if isinstance(value, list) else value for name, value in values.items()}
