"""Summary of a result as lines of text."""

from __future__ import annotations

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft.common.text import count_things, describe_hops, describe_lengths, describe_span, describe_window
from adaptstft.criteria import DescriptionLength


def summary_rows(result: OptimizeResult) -> list[tuple[str, str]]:
    """Return the names and texts of the rows of ``TuningResult.summary``."""
    sft, criterion, fs = result.sft, result.criterion, result.sft.fs
    rows = []
    if result.positions is None:
        signals = "1 signal" if result.signals == 1 else f"{result.signals} signals"
        rows.append(("tuned to", f"{signals}, {describe_span(result.samples / fs)} in all"))
    rows.append(("window", describe_window(sft.window)))
    rows.append(("win_length", describe_lengths(result.win_length, fs)))
    rows.append(("hop", describe_hops(result.positions, result.hop, fs)))
    rows.append(("mfft", f"{sft.mfft}, bins {sft.delta_f:.4g} Hz apart"))
    if result.f_bounds is not None:
        rows.append(("f_bounds", f"the criterion sees {result.f_bounds[0]:g} to {result.f_bounds[1]:g} Hz"))
    scope = f", scope {criterion.scope}" if criterion.scope else ""
    rows.append((criterion.name, f"{result.fun:.6g}{_bits(result)}{scope}; {_gain(result)}"))
    if result.approximation is not None:
        lengths = result.approximation.get("lengths") or result.approximation["rank"]
        difference = abs(result.approximation["difference"])
        rows.append(("tuned on", f"windows of {lengths} lengths, {difference:.2g} from the exact value"))
    rows.append(("flatness", _flatness(result)))
    if result.recommended is not None:
        rows.append(("recommended", _recommendation(result)))
    if families := _family_values(result):
        rows.append(("compared", families))
    starts = count_things(result.starts, "start")
    rows.append(("optimiser", f"{result.message} ({starts}, {result.nfev} evaluations, {result.backend})"))
    rows.extend(("note", note) for note in result.notes)
    return rows


def _bits(result: OptimizeResult) -> str:
    """Return the unit of a description length; a real sample has half as many independent values as bins."""
    if not isinstance(result.criterion, DescriptionLength):
        return ""
    per_sample = result.fun / np.log(2) / (2 if result.sft.onesided_fft else 1)
    return f" nat per bin = {per_sample:.3g} bits per sample"


def _gain(result: OptimizeResult) -> str:
    """Difference to the transform before tuning."""
    lengths = np.atleast_1d(result.initial.win_length)
    before = f"a window of {lengths[0]:g} samples" if lengths.size == 1 else "the lengths given"
    gain = result.initial_area_fun - result.area_fun
    if result.criterion.is_logarithm:
        return f"{abs(gain):.3g} nat {'better' if gain >= 0 else 'worse'} than {before}"
    if isinstance(result.criterion, DescriptionLength) and result.initial_area_fun > 0:
        return f"{abs(gain) / result.initial_area_fun:.2%} {'shorter' if gain >= 0 else 'longer'} than with {before}"
    return f"{result.area_fun:.6g} as an integral, against {result.initial_area_fun:.6g} for {before}"


def _flatness(result: OptimizeResult) -> str:
    """Range of lengths that are equally good."""
    sensitivity = result.sensitivity
    within = f"within {sensitivity.tolerance:.3g} {result.criterion.unit}".rstrip()
    if sensitivity.win_length is not None:
        low, high = sensitivity.win_length
        return f"{within} from {low:.0f} to {high:.0f} samples"
    low, high = sensitivity.factors
    return f"{within} for all lengths times {low:.2f} to {high:.2f}"


def _recommendation(result: OptimizeResult) -> str:
    """Integer lengths and hops, and the loss with them."""
    recommended = result.recommended
    length, hop = (
        str(values) if np.ndim(values) == 0 else f"{np.min(values)} to {np.max(values)}"
        for values in (recommended.win_length, recommended.hop)
    )
    if result.criterion.is_logarithm:
        loss = f"{abs(recommended.loss):.2g} nat {'worse' if recommended.loss >= 0 else 'better'}"
    else:
        loss = f"criterion {recommended.loss:+.2g}"
    return f"{length} samples, hop {hop}: {loss}"


def _family_values(result: OptimizeResult) -> str:
    """Best value of each window family; empty if there is only one."""
    best: dict[str, float] = {}
    for start in result.starts:
        family = start["window"].partition(" ")[0]
        best[family] = min(best.get(family, np.inf), start["area_fun"])
    return ", ".join(f"{family} {value:.5g}" for family, value in best.items()) if len(best) > 1 else ""
