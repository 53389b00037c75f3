"""Names of SciPy's class that belong to a window given by its samples."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import as_flag, as_index
from adaptstft.transforms.synthesis import Synthesis


class SampledWindow(Synthesis):
    """Base of `adaptstft.AdaptiveShortTimeFFT`: samples of the window and their scaling, for one window length."""

    @property
    def win(self) -> Float64Array:
        """Samples of the scaled window of the slice at position 0, shape (m_num,); needs a hop and one length."""
        if self._hop is None or self._win_length.ndim:
            raise ValueError("win needs a hop and one window length for all slices; windows(n) samples each window")
        return np.asarray(self.windows(1)[-self.p_min])

    @property
    def dual_win(self) -> Float64Array:
        """Samples of the canonical dual window, shape (m_num,); needs an integer hop and one window length."""
        if self._hop is None or self._hop != round(self._hop) or self._win_length.ndim:
            raise ValueError(
                "dual_win needs an integer hop and one window length for all slices: otherwise each slice has a dual "
                "window of its own, see dual_windows(n)"
            )
        # of a slice in the middle of a signal, whose neighbours are all there
        rows = self.dual_windows(4 * self._m_num + int(self._hop))
        return np.asarray(rows[2 * self._m_num // int(self._hop) - self.p_min])

    @property
    def fac_magnitude(self) -> float:
        """Factor that scales the transform to a magnitude spectrum, as in SciPy; needs a hop and one length."""
        return 1.0 if self._scaling == "magnitude" else float(1 / abs(np.sum(self.win)))

    @property
    def fac_psd(self) -> float:
        """Factor that scales the transform to a power spectral density, as in SciPy; needs a hop and one length."""
        return 1.0 if self._scaling == "psd" else float(1 / np.sqrt(np.sum(self.win**2) / self.T))

    def nearest_k_p(self, k: int, left: bool = True) -> float:
        """Return the position of the slice before or after a sample, or at it.

        Parameters
        ----------
        k : int
            Index of the sample.
        left : bool, optional
            If True (default) the slice before the sample, otherwise the one after it.

        Returns
        -------
        float
            A multiple of the hop in samples; an integer if the hop is one, as in SciPy.

        Examples
        --------
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 64, 8, fs=1.0)
        >>> sft.nearest_k_p(20), sft.nearest_k_p(20, left=False), sft.nearest_k_p(24)
        (16, 24, 24)
        """
        k, hop = as_index("k", k), self._need_hop("nearest_k_p").hop
        p = np.floor(k / hop) if as_flag("left", left) else np.ceil(k / hop)
        return int(p * hop) if hop == round(hop) else float(p * hop)
