"""A result as plain values, and its windows as the columns of a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft.common.typing import AnyArray


def plain_values(result: OptimizeResult) -> dict[str, Any]:
    """Return the values of ``TuningResult.to_dict``."""
    values = {
        "fs": result.sft.fs,
        "samples": result.samples,
        "window": result.sft.window.spec,
        "criterion": result.criterion.name,
        "scope": result.criterion.scope,
        "f_bounds": result.f_bounds,
        "score": result.score,
        "score_unit": result.score_unit,
        "fun": result.fun,
        "area_fun": result.area_fun,
        "win_length": result.win_length,
        "win_duration": result.win_duration,
        "hop": result.hop,
        "positions": result.positions,
        "mfft": result.sft.mfft,
        "recommended": None if result.recommended is None else asdict(result.recommended),
        "success": bool(result.success),
        "message": str(result.message),
        "nit": int(result.nit),
        "nfev": int(result.nfev),
        "notes": list(result.notes),
    }
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def window_columns(result: OptimizeResult) -> dict[str, AnyArray]:
    """Return the columns of ``TuningResult.to_frame``."""
    sft, lengths = result.sft, np.asarray(result.win_length, dtype=float)
    frames = lengths.ndim == 1 or lengths.shape[1:] > (1,)
    columns: dict[str, AnyArray] = {}
    if lengths.ndim == 0 and sft.hop is None:  # positions vary
        frames, lengths = True, np.full(result.positions.size, float(lengths))
    if frames:
        times = np.asarray(result.positions) / sft.fs
        columns["time"] = np.broadcast_to(times, lengths.shape).ravel()
    if lengths.ndim == 2:
        columns["frequency"] = np.broadcast_to(np.asarray(sft.f)[:, np.newaxis], lengths.shape).ravel()
    lengths = np.atleast_1d(lengths).ravel()
    return {**columns, "win_length": lengths, "win_duration": lengths / sft.fs}
