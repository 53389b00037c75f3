"""The interface between block processing and a class of transforms.

There are two implementations: `streaming.adaptive` for `AdaptiveShortTimeFFT`, and `scipy_compatible` for
`ShortTimeFFT`.
"""

from __future__ import annotations

from typing import Protocol

from adaptstft.common.typing import AnyArray, Float64Array


class BlockTransform(Protocol):
    """Analysis and synthesis of a range of slices, which are numbered as in the transform of a whole signal.

    Attributes
    ----------
    p_min : int
        First slice.
    p_stop : int or None
        One past the last slice; None if it depends on the length of the signal.
    f_pts : int
        Number of frequency bins.
    m_num : int
        Number of samples reserved for a window.
    onesided : bool
        Whether signals must be real.
    fs : float
        Sampling rate in Hz.
    """

    p_min: int
    p_stop: int | None
    f_pts: int
    m_num: int
    onesided: bool
    fs: float

    def p_max(self, n: int) -> int:
        """Return one past the last slice of a signal of `n` samples."""

    def check_length(self, n: int, *, final: bool) -> None:
        """Raise if the signal cannot be transformed; it has `n` samples if `final`, else at least `n`."""

    def complete(self, n: int) -> int:
        """Return one past the last slice that can be computed from the first `n` samples of any longer signal."""

    def start(self, p: int) -> int | None:
        """Return the first sample of slice `p` and all later slices; None if there is no such slice."""

    def covered(self, p0: int, p1: int) -> tuple[int, int]:
        """Return the range of samples of the slices ``p0 <= p < p1``."""

    def analyze(self, x: AnyArray, first: int, p0: int, p1: int) -> AnyArray:
        """Transform channels `x`, which begin at sample `first`, to shape (channels, p1 - p0, f_pts)."""

    def check_synthesis(self, k0: int, k1: int | None, p_num: int | None) -> None:
        """Raise if samples ``k0 <= k < k1`` have no inverse, or cannot have `p_num` slices (None: unknown)."""

    def contributing(self, k0: int, k1: int | None) -> tuple[int, int | None]:
        """Return the range of slices that the samples ``k0 <= k < k1`` are computed from."""

    def add_slices(self, spectra: AnyArray, p0: int, out: AnyArray, overlap: Float64Array, low: int) -> None:
        """Add the slices from `p0` on to sums that begin at sample `low`, and their squared windows to `overlap`."""

    def normalize(self, out: AnyArray, overlap: Float64Array, low: int, peak: float) -> None:
        """Divide complete sums by the overlap, in place; `peak` is the largest overlap so far."""
