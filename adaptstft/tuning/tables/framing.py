"""Hop and FFT length that follow from a window length, and regular frames at that hop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft as fft_lib

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Criterion
from adaptstft.criteria.evaluate import comparable_view
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.frames import Frames, durations, frame_count, make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.hop_ratio import DEFAULT_HOP_RATIO

#: Hop of a transform as a fraction of its window in a search over a grid of lengths.
SURVEY_HOP = 1 / 4
#: Share of the energy whose best windows may be shorter than the windows that a hop is chosen for.
NEGLIGIBLE_SHARE = 0.02
#: Difference of log hop or log FFT length from the rule up to which a framing is kept.
_TIED_SLACK = 0.22
#: The same for the hop where it is tuned as a fraction of the window length.
_RATIO_SLACK = 0.01


@dataclass(frozen=True)
class Framing:
    """Hop and FFT length of a transform.

    Attributes
    ----------
    hop : float
        Time between frames in samples.
    mfft : int
        Length of the FFT.
    """

    hop: float
    mfft: int


@dataclass(frozen=True)
class FramingRule:
    """Rule for the hop and the FFT length that follow from a window length.

    Attributes
    ----------
    hop, mfft : float or None, int or None
        Given values, which do not follow from the window length.
    hop_ratio : float or None
        Hop as a fraction of the window length where it is tuned; None for an eighth, rounded to samples.
    hop_bounds : (float, float)
        Range of a hop that is not given, in samples.
    """

    hop: float | None
    mfft: int | None
    hop_ratio: float | None = None
    hop_bounds: tuple[float, float] = (0.0, np.inf)

    def tied(self, length: float, fraction: float = DEFAULT_HOP_RATIO) -> Framing:
        """Framing for a window length; the FFT is twice as long as the window if no FFT length is given."""
        if self.hop is not None:
            hop = self.hop
        elif self.hop_ratio is not None:
            hop = float(np.clip(self.hop_ratio * length, *self.hop_bounds))
        else:
            hop = float(np.clip(max(1.0, round(length * fraction)), *self.hop_bounds))
        return Framing(hop, self.mfft or int(fft_lib.next_fast_len(int(np.ceil(2 * length)), real=True)))

    def follows(self, framing: Framing, length: float) -> bool:
        """Return True if hop and FFT length are within tolerance of the rule for a window length."""
        tied = self.tied(length)
        hop = float(abs(np.log(framing.hop / tied.hop)))
        mfft = float(abs(np.log(framing.mfft / tied.mfft)))
        return hop <= (_RATIO_SLACK if self.hop_ratio is not None else _TIED_SLACK) and mfft <= _TIED_SLACK


def counted_view(
    plan: FramePlan,
    criterion: Criterion,
    positions: Float64Array,
    n: int,
    neighbourhoods: Neighbourhoods | Tiles | None,
) -> FrameView:
    """Return the view in which each frame counts for its duration in `n` samples, as far as the criterion counts it."""
    counted = durations(positions, n) * criterion.frame_weights(positions, n, plan.T)
    return comparable_view(criterion, positions, counted, plan.mfft, neighbourhoods)


def regular_positions(n: int, hop: float) -> Float64Array:
    """Positions ``p * hop`` that span `n` samples."""
    return np.arange(frame_count(n, hop)) * hop


def regular_frames(plan: FramePlan, n: int, length: float, hop: float) -> tuple[Frames, Float64Array]:
    """Frames of one window length at ``p * hop`` that span `n` samples, and their positions."""
    positions = regular_positions(n, hop)
    return make_frames(np.full(positions.size, length), positions, mfft=plan.mfft), positions
