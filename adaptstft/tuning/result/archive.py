"""File format of saved results: an ``.npz`` archive with arrays, and all other fields as JSON."""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft import criteria
from adaptstft.common.files import replacing
from adaptstft.common.typing import AnyArray
from adaptstft.recordings.arrays import check_header
from adaptstft.recordings.source import largest_expansion
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.tuning.result.diagnosis import Sensitivity
from adaptstft.tuning.result.recommendation import Recommendation
from adaptstft.tuning.tables.survey import Surface, SurfaceAxis, Survey
from adaptstft.windows.window import restore

#: Version of the format. A file of another version is refused.
_FORMAT = 4
#: Exceptions that are raised when a damaged archive, or another kind of file, is read.
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
#: Fields that are stored as arrays, unless they are None.
_ARRAYS = ("win_length", "positions", "signal", "history", "x", "jac")
#: All members that a file can have.
_MEMBERS = {
    "settings", *_ARRAYS, "survey_lengths", "survey_values", "surface_lengths", "surface_values",
    *(f"surface_{axis}" for axis in get_args(SurfaceAxis)),
}  # fmt: skip
#: Fields that are stored as JSON without a conversion.
_PLAIN = (
    "fun", "prices", "area_fun", "initial_area_fun", "hop", "nit", "nfev", "success", "status", "message", "starts",
    "notes", "approximation", "backend", "detrend",
)  # fmt: skip


def save_result(result: OptimizeResult, path: Any) -> None:
    """Write a result to a file; see ``TuningResult.save``."""
    if result.sft.window.name == "callable" or result.criterion.name == "callable":
        raise ValueError(
            "a result with a function as window or criterion cannot be saved: give the window a name with "
            "adaptstft.windows.register, and take a named criterion"
        )
    arrays = {name: result[name] for name in _ARRAYS if result[name] is not None}
    if result.survey is not None:
        arrays |= _survey_arrays(result.survey)
    initial = result.initial
    settings = {
        "format": _FORMAT,
        "sft": _transform_settings(result.sft),
        "initial": {
            **_transform_settings(initial),
            "win_length": np.asarray(initial.win_length).tolist(),
            "positions": None if initial.positions is None else initial.positions.tolist(),
        },
        "signals": result.signals,
        "samples": result.samples,
        "criterion": result.criterion.settings(),
        "sensitivity": asdict(result.sensitivity),
        "recommended": result.recommended and _to_lists(asdict(result.recommended)),
        **{name: result[name] for name in _PLAIN},
        **({} if result.f_bounds is None else {"f_bounds": result.f_bounds}),
        **({"call": result.call} if result.call else {}),
    }
    target = Path(_with_suffix(path))
    with replacing(target, f".{os.getpid()}.new") as file:
        np.savez_compressed(file, settings=np.array(json.dumps(settings)), **arrays)


def load_fields(path: Any) -> dict[str, Any]:
    """Read the fields of a result from a file; see `adaptstft.load`."""
    if not Path(path).exists() and Path(_with_suffix(path)).exists():
        path = _with_suffix(path)
    arrays, settings = _read(path)
    try:
        return _fields(arrays, settings)
    except _DAMAGED as exc:
        raise _refusal(path, exc) from exc


def _fields(arrays: dict[str, AnyArray], settings: dict[str, Any]) -> dict[str, Any]:
    win_length: Any = arrays["win_length"] if arrays["win_length"].ndim else float(arrays["win_length"])
    initial = settings["initial"]
    initial_lengths, initial_positions = np.array(initial.pop("win_length")), initial.pop("positions")
    if initial_positions is not None:
        initial_positions = np.array(initial_positions)
    return {
        "sft": _transform(settings["sft"], arrays["win_length"], _positions_of(settings["sft"], arrays)),
        "win_length": win_length,
        "win_duration": win_length / settings["sft"]["fs"],
        "initial": _transform(initial, initial_lengths, initial_positions),
        "criterion": criteria.from_settings(settings["criterion"]),
        "sensitivity": _sensitivity(settings["sensitivity"]),
        "survey": _survey(arrays),
        "recommended": settings["recommended"] and Recommendation(**_to_arrays(settings["recommended"])),
        **{name: arrays.get(name) for name in ("positions", "signal")},
        **{name: arrays[name] for name in ("history", "x", "jac")},
        "signals": settings.get("signals", 1),
        "samples": settings.get("samples", arrays["signal"].shape[-1] if "signal" in arrays else None),
        **{name: settings[name] for name in _PLAIN},
        "f_bounds": tuple(settings["f_bounds"]) if "f_bounds" in settings else None,
        "call": settings.get("call", ""),
    }


def _read(path: Any) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Read the arrays and the JSON fields of a file, and check its format."""
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if unknown := sorted(set(file.files) - _MEMBERS):
                raise ValueError(f"it has the unknown members {', '.join(map(repr, unknown[:5]))}")
            arrays = {name: _member(file, name) for name in file.files}
        settings = json.loads(str(arrays.pop("settings")))
        if settings["format"] != _FORMAT:
            raise ValueError(f"its format is {settings['format']}, this version reads {_FORMAT}")
    except FileNotFoundError:
        raise
    except _DAMAGED as exc:
        raise _refusal(path, exc) from exc
    return arrays, settings


def _member(file: Any, name: str) -> AnyArray:
    """Return an array whose header agrees with the size of its member."""
    member = file.zip.getinfo(f"{name}.npy")
    if member.file_size > largest_expansion(member.compress_size):
        raise ValueError(f"the member {name!r} claims {member.file_size} bytes, it has {member.compress_size}")
    with file.zip.open(member) as stream:
        check_header(stream, member.file_size)
    return np.asarray(file[name])


def _refusal(path: Any, exc: Exception) -> ValueError:
    return ValueError(f"{path!s} is not a file that TuningResult.save has written ({str(exc) or type(exc).__name__})")


def _with_suffix(path: Any) -> str:
    text = str(path)
    return text if text.endswith(".npz") else text + ".npz"


def _transform_settings(sft: AdaptiveShortTimeFFT) -> dict[str, Any]:
    return {
        "window": sft.window.spec,
        "fs": sft.fs,
        "hop": sft.hop,
        "fft_mode": sft.fft_mode,
        "mfft": sft.mfft,
        "max_length": sft.m_num,
        "scale_to": sft.scaling,
        "phase_shift": sft.phase_shift,
        **({} if sft.samples is None else {"samples": sft.samples}),
    }


def _transform(settings: dict[str, Any], win_length: AnyArray, positions: AnyArray | None) -> AdaptiveShortTimeFFT:
    keywords = dict(settings)
    window, fs, hop = keywords.pop("window"), keywords.pop("fs"), keywords.pop("hop", None)
    return AdaptiveShortTimeFFT(restore(window), win_length, hop, fs, positions=positions, **keywords)


def _positions_of(settings: dict[str, Any], arrays: dict[str, AnyArray]) -> AnyArray | None:
    """Return the positions of the tuned transform; those of the search if it has no hop."""
    return arrays.get("positions") if settings.get("hop") is None else None


def _survey_arrays(survey: Survey) -> dict[str, AnyArray]:
    arrays = {"survey_lengths": survey.lengths, "survey_values": survey.values}
    surface = survey.surface
    if surface is not None:
        arrays |= {f"surface_{surface.axis}": surface.places, "surface_lengths": surface.lengths}
        arrays |= {"surface_values": surface.values}
    return arrays


def _survey(arrays: dict[str, AnyArray]) -> Survey | None:
    if "survey_lengths" not in arrays:
        return None
    surfaces = [
        Surface(axis, arrays[f"surface_{axis}"], arrays["surface_lengths"], arrays["surface_values"])
        for axis in get_args(SurfaceAxis)
        if f"surface_{axis}" in arrays  # files of 0.1.0 have none
    ]
    return Survey(arrays["survey_lengths"], arrays["survey_values"], None, *surfaces)


def _sensitivity(settings: dict[str, Any]) -> Sensitivity:
    pairs = {name: settings[name] and tuple(settings[name]) for name in ("factors", "win_length")}
    return Sensitivity(**(settings | pairs))


def _to_lists(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def _to_arrays(values: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array(value) if isinstance(value, list) else value for name, value in values.items()}
