"""Summary of a result as lines of text."""

from __future__ import annotations

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft.common.text import count_things, describe_hops, describe_lengths, describe_span, describe_window
from adaptstft.criteria import DescriptionLength
from adaptstft.tuning.result.headline import Unit, unit_of


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
    unit = unit_of(criterion, onesided=sft.onesided_fft)
    scope = f" (scope {criterion.scope})" if criterion.scope else ""
    rows.append((criterion.name, f"{_amount(result.area_fun, unit, 4)}, {unit.meaning}{scope}; less is better"))
    rows.append(("gain", _gain(result, unit)))
    if result.approximation is not None:
        lengths = result.approximation.get("lengths") or result.approximation["rank"]
        difference = abs(result.approximation["difference"])
        rows.append(("tuned on", f"windows of {lengths} lengths, {difference:.2g} from the exact value"))
    rows.append(("flatness", _flatness(result)))
    if result.recommended is not None:
        rows.append(("recommended", _recommendation(result, unit)))
    if families := _family_values(result, unit):
        rows.append(("compared", families))
    starts = count_things(result.starts, "start")
    rows.append(("optimiser", f"{result.message} ({starts}, {result.nfev} evaluations, {result.backend})"))
    rows.extend(("note", note) for note in result.notes)
    return rows


def _amount(value: float, unit: Unit, digits: int) -> str:
    """Return a value of the criterion with its unit."""
    return f"{value * unit.factor:.{digits}g} {unit.name}".rstrip()


def _gain(result: OptimizeResult, unit: Unit) -> str:
    """Difference to the transform before tuning."""
    initial = result.initial
    before = "the lengths given"
    if np.ndim(initial.win_length) == 0:
        before = f"a {describe_window(initial.window)} window of {initial.win_length:g} samples"
    gain = result.initial_area_fun - result.area_fun
    if abs(gain) <= result.sensitivity.tolerance:
        return f"as good as {before}, {_tolerance(result)}"
    if result.criterion.is_logarithm:
        return f"{_amount(abs(gain), unit, 3)} {'better' if gain >= 0 else 'worse'} than {before}"
    if isinstance(result.criterion, DescriptionLength) and result.initial_area_fun > 0:
        return f"{abs(gain) / result.initial_area_fun:.2%} {'shorter' if gain >= 0 else 'longer'} than with {before}"
    return f"{_amount(result.initial_area_fun, unit, 4)} for {before}"


def _tolerance(result: OptimizeResult) -> str:
    """Return the tolerance of lengths that are equally good."""
    tolerance = result.sensitivity.tolerance
    return f"within {tolerance:.3g} nat" if result.criterion.is_logarithm else "within 1 %"


def _flatness(result: OptimizeResult) -> str:
    """Range of lengths that are equally good."""
    sensitivity = result.sensitivity
    if sensitivity.win_length is not None:
        low, high = sensitivity.win_length
        return f"{_tolerance(result)} from {low:.0f} to {high:.0f} samples"
    low, high = sensitivity.factors
    return f"{_tolerance(result)} for all lengths times {low:.2f} to {high:.2f}"


def _recommendation(result: OptimizeResult, unit: Unit) -> str:
    """Integer lengths and hops, and the loss with them."""
    recommended = result.recommended
    length, hop = (
        str(np.min(values)) if np.ptp(values) == 0 else f"{np.min(values)} to {np.max(values)}"
        for values in (recommended.win_length, recommended.hop)
    )
    loss = f"{_amount(abs(recommended.loss), unit, 2)} {'worse' if recommended.loss > 0 else 'better'}"
    return f"{length} samples, hop {hop}: {loss if recommended.loss else 'as good'}"


def _family_values(result: OptimizeResult, unit: Unit) -> str:
    """Best value of each window family; empty if there is only one."""
    best: dict[str, float] = {}
    for start in result.starts:
        family = start["window"].partition(" ")[0]
        best[family] = min(best.get(family, np.inf), start["area_fun"])
    values = ", ".join(f"{family} {value * unit.factor:.4g}" for family, value in best.items())
    return f"{values} {unit.name}".rstrip() if len(best) > 1 else ""
