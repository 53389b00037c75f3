"""The public methods that transform long and live signals block by block, in memory independent of their length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray
from adaptstft.common.validation import as_index
from adaptstft.transforms.streaming.analysis import analyze_pieces
from adaptstft.transforms.streaming.interface import BlockTransform
from adaptstft.transforms.streaming.sources import as_iterable, read_pieces
from adaptstft.transforms.streaming.synthesis import RunningSynthesis, synthesize_blocks


class BlockProcessing(ABC):
    """Base of transforms that process a signal block by block."""

    @abstractmethod
    def _block_transform(self) -> BlockTransform:
        """Return the analysis and synthesis of ranges of slices."""

    def stft_blocks(self, source: Any, *, block: int | None = None, axis: int = -1) -> Iterator[ComplexArray]:
        """Short-time Fourier transform of a long or live signal, block by block.

        Parameters
        ----------
        source : ndarray, wave.Wave_read or iterable of array_like
            - An array or a `numpy.memmap`, with time on `axis`. It is read piece by
              piece.
            - A WAV file opened with the standard library's `wave.open`. It is read
              from its current position, as float64 numbers from -1 to 1, in shape
              (channels, n). Its sampling rate must be that of the transform.
            - Chunks of a signal: arrays that differ only in their number of samples
              along `axis`, which may be 0.
        block : int, optional
            Number of samples read at once. By default ``2**18`` over all channels,
            and at least one window.
        axis : int, optional
            Time axis of the array or of every chunk.

        Returns
        -------
        iterator of ndarray, each of shape (..., f_pts, k) with k >= 1
            Consecutive slices. Concatenated along the last axis they are equal to
            ``stft(x, axis=axis)`` of the whole signal ``x``, including the slices at
            its ends. The iterator yields a slice as soon as all samples of its
            window, and of the windows of all earlier slices, are available.

        Raises
        ------
        TypeError
            If `source` has another type, or is not numeric.
        ValueError
            If the signal is empty, or complex with a one-sided mode. The iterator
            raises it if samples are NaN or infinite, if chunks change their shape or
            need more precision than the first one, or if the number of slices is not
            the number of window lengths.

        See Also
        --------
        istft_blocks : The inverse.

        Notes
        -----
        The memory depends on the window, `block` and the number of channels, but not
        on the length of the signal. The signal is padded with zeros.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 100.5, 25, fs=1000.0, mfft=128)
        >>> x = np.random.default_rng(0).standard_normal(1000)
        >>> [S.shape for S in sft.stft_blocks(x[k : k + 400] for k in range(0, 1000, 400))]
        [(65, 16), (65, 16), (65, 8), (65, 4)]
        >>> bool(np.allclose(np.concatenate(list(sft.stft_blocks(x)), axis=-1), sft.stft(x)))
        True
        """
        transform = self._block_transform()
        size = None if block is None else as_index("block", block, 1)
        pieces, axis = read_pieces(transform, source, size, as_index("axis", axis))
        return analyze_pieces(transform, pieces, axis)

    def istft_blocks(
        self, blocks: Iterable[Any], k0: int = 0, k1: int | None = None, *, f_axis: int = -2, t_axis: int = -1
    ) -> Iterator[AnyArray]:
        """Inverse transform, block by block, of the blocks of `stft_blocks`.

        Parameters
        ----------
        blocks : iterable of array_like, each of shape (..., f_pts, k) with k >= 1
            Consecutive slices from `p_min` on, in blocks of any sizes.
        k0, k1 : int, optional
            Range of samples ``k0 <= n < k1`` to return. By default `k1` is the end
            of the last slice. Pass the length of the signal to get the signal.
        f_axis, t_axis : int, optional
            Axes of frequency and time in the blocks.

        Returns
        -------
        iterator of ndarray, each of shape (..., m) with m >= 1
            Consecutive samples. Concatenated along time they are equal to
            ``istft(S, k0, k1)`` of the concatenated blocks ``S``. The iterator yields
            a sample as soon as no later slice can contribute to it. It reads all
            `blocks`, also those after sample `k1`.

        Raises
        ------
        TypeError
            If `blocks` is not an iterable of numeric arrays.
        ValueError
            If `k0` or `k1` is out of range, or if the transform has one window per
            frequency or bin, whose inverse needs all slices at once. The iterator
            raises it if a block has a wrong shape or is not finite, if no window
            covers some samples, or if the slices end before `k1`.

        Examples
        --------
        Filter an array, or a file on disk, into another one:

        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 100.5, 25, fs=1000.0, mfft=128)
        >>> x = np.random.default_rng(0).standard_normal(1000)
        >>> y, k = np.empty(1000), 0
        >>> for piece in sft.istft_blocks((0.5 * S for S in sft.stft_blocks(x)), k1=x.size):
        ...     y[k : k + piece.size] = piece
        ...     k += piece.size
        >>> bool(np.allclose(y, 0.5 * x))
        True
        """
        transform = self._block_transform()
        if isinstance(blocks, np.ndarray):
            raise TypeError("blocks must be an iterable of arrays, got an array: use istft, or put it into a list")
        k0 = as_index("k0", k0)
        k1 = None if k1 is None else as_index("k1", k1)
        axes = as_index("f_axis", f_axis), as_index("t_axis", t_axis)
        synthesis = RunningSynthesis(transform, k0, k1)
        return synthesize_blocks(synthesis, as_iterable("blocks", blocks, "an iterable"), axes, transform.f_pts)
