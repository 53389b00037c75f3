"""Least overlap of neighbouring windows, and the hops and window lengths that it allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.tuning.tables.framing import SURVEY_HOP

_Length = TypeVar("_Length", float, Float64Array)


@dataclass(frozen=True)
class Overlap:
    """Least overlap of neighbouring windows of the same length.

    Attributes
    ----------
    least : float or None
        The overlap as a fraction of the window length; None for no limit.
    """

    least: float | None

    @property
    def largest_ratio(self) -> float:
        """Largest hop as a fraction of the window length; one without a limit, where windows just touch."""
        return 1.0 if self.least is None else 1 - self.least

    @property
    def spacing_ratio(self) -> float:
        """Hop as a fraction of the shortest useful window where lengths vary, so that half of it is allowed too."""
        return SURVEY_HOP if self.least is None else min(SURVEY_HOP, (1 - self.least) / 2)

    def shortest(self, hop: float) -> float:
        """Return the shortest window allowed at a hop, in samples; zero without a limit."""
        return 0.0 if self.least is None else hop / (1 - self.least)

    def longest_hop(self, win_length: _Length) -> _Length:
        """Return the longest hop that windows allow, in samples; infinite without a limit."""
        return (np.inf if self.least is None else 1 - self.least) * win_length
