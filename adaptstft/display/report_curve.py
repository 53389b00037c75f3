"""The curve of the criterion in a report, as an SVG drawing: it stays sharp, and a script can move its marker."""

from __future__ import annotations

import html

import numpy as np

from adaptstft.common.text import describe_lengths
from adaptstft.display.protocols import Result

#: Size of the drawing, and the margins for its labels.
_WIDTH, _HEIGHT = 460.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 24.0, 16.0, 254.0
_MOST_TICKS = 8
#: Longest window in seconds whose axis is in milliseconds.
_MOST_MS = 10.0


def _with_unit(name: str, unit: str) -> str:
    return f"{name} in {unit}" if unit else name


class Curve:
    """The criterion over the logarithm of the window length.

    Parameters
    ----------
    result : Result
        A result with a search over window lengths.
    """

    def __init__(self, result: Result) -> None:
        assert result.survey is not None
        self._lengths, self._values = result.survey.lengths, result.scored(result.survey.values)
        self._name, self._fs = _with_unit(result.criterion.name, result.score_unit), result.sft.fs
        self._one = np.ndim(result.win_length) == 0
        self._typical = float(np.exp(np.mean(np.log(result.win_length))))
        factors = result.sensitivity.factors
        self._flat = result.sensitivity.win_length or (self._typical * factors[0], self._typical * factors[1])

    def across(self, length: float) -> float:
        """Return the horizontal place of a length in samples, that of the nearest end if it is outside."""
        return float(np.interp(np.log(length), np.log(self._lengths[[0, -1]]), [_LEFT, _WIDTH - _RIGHT]))

    def figure(self) -> str:
        """Return the curve, the equally good lengths, the choice, and the marker of the slider."""
        left, right, chosen = (self.across(length) for length in (*self._flat, self._typical))
        points = " ".join(
            f"{self.across(length):.1f},{self._down(value):.1f}"
            for length, value in zip(self._lengths, self._values, strict=True)
        )
        mean = "" if self._one else " (geometric mean)"
        parts = [
            f'<figure><svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{html.escape(self._text())}">',
            f'<rect x="{left:.1f}" y="{_TOP}" width="{max(1.0, right - left):.1f}" height="{_BOTTOM - _TOP}"',
            ' fill="var(--band)"/>',
            *self._ticks(),
            f'<polyline points="{points}" fill="none" stroke="var(--blue)" stroke-width="2"/>',
            f'<g id="marker"><path d="M0 {_TOP}V{_BOTTOM}" stroke="var(--ink)"/>',
            f'<path d="M-7 {_TOP - 12}h14l-7 12z"/></g>',
            f'<path d="M{chosen:.1f} {_TOP}V{_BOTTOM}" stroke="#b3261e" stroke-width="2" stroke-dasharray="6 4"/>',
            f"</svg><figcaption>{html.escape(self._name)} against window length. Red and dashed: the choice{mean}. "
            "Green: equally good. Black: the slider.</figcaption></figure>",
        ]
        return "".join(parts)

    def _down(self, value: float) -> float:
        ends = float(self._values.min()), float(self._values.max())
        return float(np.interp(value, ends, [_BOTTOM, _TOP])) if ends[0] < ends[1] else (_TOP + _BOTTOM) / 2

    def _text(self) -> str:
        """Return the drawing in words."""
        best, (low, high) = float(self._lengths[np.argmin(self._values)]), self._flat
        chosen = "length is" if self._one else "lengths have the geometric mean"
        return (
            f"{self._name} against window length. It is smallest at {describe_lengths(best, self._fs)}. The chosen "
            f"{chosen} {describe_lengths(self._typical, self._fs)}. Lengths from {low:.0f} to {high:.0f} "
            "samples are equally good."
        )

    def _ticks(self) -> list[str]:
        """Return the axes with round numbers."""
        scale, unit = (1000 / self._fs, "ms") if self._lengths[-1] <= _MOST_MS * self._fs else (1 / self._fs, "s")
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts = [
            f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_WIDTH - _RIGHT}" fill="none" stroke="var(--soft)"/>',
            f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">window length in {unit}</text>',
        ]
        for value in sorted({*np.linspace(self._values.min(), self._values.max(), 3).tolist()}):
            parts.append(f'<text x="{_LEFT - 6}" y="{self._down(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
        for length in _round_numbers(float(self._lengths[0]) * scale, float(self._lengths[-1]) * scale):
            x = self.across(length / scale)
            parts.append(f'<path d="M{x:.1f} {_BOTTOM}v5" stroke="var(--soft)"/>')
            parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{length:g}</text>')
        return parts


def _round_numbers(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten between two numbers, or powers of ten if those would be too many."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    found = [float(f"{factor}e{decade}") for decade in decades for factor in (1, 2, 5)]
    found = [number for number in found if low <= number <= high]
    return found if len(found) <= _MOST_TICKS else [number for number in found if f"{number:e}".startswith("1.")]
