"""The inverse transform, its derivatives, dual windows and frame bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast, overload

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, Parameter
from adaptstft.common.validation import (
    as_flag,
    as_index,
    as_inexact,
    check_finite,
    check_positive,
    check_sample_range,
    check_tangents,
)
from adaptstft.engine import inverse
from adaptstft.engine.bin_inverse import InverseInfo
from adaptstft.engine.frames import Frames
from adaptstft.engine.operator import (
    AnyFrames,
    Span,
    frame_bounds,
    is_invertible,
    synthesis_jvp,
    synthesis_vjp,
    synthesise,
)
from adaptstft.transforms.axes import SpectraLayout, check_axes
from adaptstft.transforms.derivatives import WINDOW_PARAMETERS, ParameterDerivatives
from adaptstft.transforms.gradient import Gradient

#: Largest tolerance of an iterative inverse. The error of samples with little window energy is a multiple of it.
_MAX_TOLERANCE = 1e-4


class Synthesis(ParameterDerivatives):
    """Base of `adaptstft.AdaptiveShortTimeFFT`: from a transform to the signal."""

    @property
    def invertible(self) -> bool:
        """Whether all samples between the positions of the first and the last slice can be reconstructed.

        With one window length and a hop, the answer holds for signals of any length.
        """
        p0, p1, positions = self._typical_slices()
        low, high = int(np.ceil(positions[0])), int(np.floor(positions[-1])) + 1
        if self.per_bin:
            if self._positions is None:  # the slices are all that touch the longest signal with p1 slices
                low, high = 0, self._need_hop("invertible").longest_signal(p1)
            high = max(high, low + 1)
        return high <= low or is_invertible(self._plan, self._frames(p0, p1), low, high)

    def _typical_slices(self) -> tuple[int, int, Float64Array]:
        """Return a range of slices that is representative, and the positions that its windows must cover."""
        if self._positions is not None:
            return 0, self._positions.size, self._positions
        p0 = self.p_min
        count = self._num_slice_lengths
        if count is not None:
            return p0, p0 + count, self._slice_positions(p0, p0 + count)
        # slices missing before the first and after the last reduce the overlap near both ends
        margin = int(np.ceil(self._m_num / cast(float, self._hop))) + 1
        p1 = p0 + 2 * margin + 64
        return p0, p1, self._slice_positions(p0, p1)[margin:-margin]

    def _signal_frames(self, n: int) -> AnyFrames:
        """Return the frames of all slices for signals of `n` samples."""
        self._check_lengths(as_index("n", n, 1))
        return self._frames(*self.p_range(n))

    def frame_bounds(self, n: int) -> tuple[float, float]:
        """Frame bounds of the two-sided transform for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples of the signal.

        Returns
        -------
        lower, upper : float
            Smallest and largest value of ``mfft * sum_p |w_p|**2`` over the
            samples. With one window per frequency or bin: the extreme eigenvalues
            of the frame operator, to 0.1 %, by Lanczos iterations; the lower bound
            is 0 if it is too small to be told from 0. The transform is invertible
            if the lower bound is positive. The ratio of the bounds limits the
            amplification of noise by the inverse.
        """
        return frame_bounds(self._plan, self._signal_frames(n), n)

    def windows(self, n: int) -> Float64Array:
        """Sample the windows of all slices, for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples of the signal.

        Returns
        -------
        ndarray of float64, shape (p_num, m_num)
            Row ``p - p_min`` is the scaled window of slice ``p``, at the `m_num`
            samples from ``ceil(t_p + window_offset - m_num/2)`` on.
        """
        return self._window_rows(n, dual=False)

    def dual_windows(self, n: int) -> Float64Array:
        """Canonical dual windows ``w_p / sum_p |w_p|**2``, for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples of the signal.

        Returns
        -------
        ndarray of float64, shape (p_num, m_num)
            Dual windows, at the same samples as in `windows`.
        """
        return self._window_rows(n, dual=True)

    def _window_rows(self, n: int, *, dual: bool) -> Float64Array:
        frames = self._signal_frames(n)
        if self.per_bin:
            raise ValueError(
                f"win_length has shape {self._win_length.shape}: a slice has a window for each frequency, not one "
                "window, and dual windows do not exist; istft inverts the transform without them"
            )
        starts = self._first_samples(*self.p_range(n))
        return inverse.dual_rows(self._plan, cast(Frames, frames), starts, self._m_num, dual=dual)

    @overload
    def istft(
        self,
        S: Any,
        k0: int = ...,
        k1: int | None = ...,
        *,
        f_axis: int = ...,
        t_axis: int = ...,
        n: int | None = ...,
        tol: float | None = ...,
        maxiter: int | None = ...,
        full_output: Literal[False] = ...,
    ) -> AnyArray: ...
    @overload
    def istft(
        self,
        S: Any,
        k0: int = ...,
        k1: int | None = ...,
        *,
        f_axis: int = ...,
        t_axis: int = ...,
        n: int | None = ...,
        tol: float | None = ...,
        maxiter: int | None = ...,
        full_output: Literal[True],
    ) -> tuple[AnyArray, InverseInfo]: ...
    def istft(
        self,
        S: Any,
        k0: int = 0,
        k1: int | None = None,
        *,
        f_axis: int = -2,
        t_axis: int = -1,
        n: int | None = None,
        tol: float | None = None,
        maxiter: int | None = None,
        full_output: bool = False,
    ) -> AnyArray | tuple[AnyArray, InverseInfo]:
        """Inverse transform: the exact signal, or the least-squares signal if `S` was modified.

        Parameters
        ----------
        S : array_like, shape (..., f_pts, p_num)
            Transform whose first slice is `p_min`.
        k0, k1 : int, optional
            Range of samples ``k0 <= n < k1`` to return. By default `k1` is the end
            of the last slice, or with positions and windows per bin its centre.
            Pass the length of the signal to get the signal.
        f_axis, t_axis : int, optional
            Axes of frequency and time in `S`.
        n : int, optional
            Number of samples of the signal, which is zero outside ``0 ... n - 1``.
            With one window per slice, samples inside do not depend on it. With one
            per frequency or bin, all samples are the unknowns of one system of
            equations. Their number is by default that of the longest signal with
            as many slices; with positions it is `k1`, unless several slices have
            their positions beyond `k1`.
        tol : float, optional
            Relative error at which conjugate gradients stop, with one window per
            frequency or bin. It is measured on a random signal, which is solved
            for at the same time. 1e-10 by default, 1e-6 for complex64; at most
            1e-4. With one window per slice the inverse is exact to rounding.
        maxiter : int, optional
            Largest number of iterations of the conjugate gradients; 400 by default.
        full_output : bool, optional
            Whether to return an `InverseInfo` as well.

        Returns
        -------
        x : ndarray, shape (..., k1 - k0)
            Real for one-sided modes, else complex; float32 or complex64 for
            complex64 input.
        info : InverseInfo
            Number of iterations and error, if `full_output` is true.

        Raises
        ------
        ValueError
            If no window covers some samples in the range, or windows per bin do not
            determine the signal; the message names the samples.
        """
        full_output = as_flag("full_output", full_output)
        maxiter = None if maxiter is None else as_index("maxiter", maxiter, 1)
        layout = self._spectra_layout(S, k0, k1, f_axis, t_axis, n)
        x, info = synthesise(
            layout.plan, layout.channels, layout.frames, layout.span, _tolerance(tol, layout.channels), maxiter
        )
        return (layout.to_public(x), info) if full_output else layout.to_public(x)

    def _spectra_layout(
        self, S: Any, k0: int, k1: int | None, f_axis: int, t_axis: int, n: int | None
    ) -> SpectraLayout:
        """Check a transform and return its channels, its frames and the samples to return."""
        plan = self._plan_for("S", S)
        S = as_inexact("S", S, device=True)
        f_axis, t_axis = check_axes(S, f_axis, t_axis, self.f_pts)
        check_finite("S", S)
        p_num = S.shape[t_axis]
        expected = self._num_slice_lengths if self._positions is None else self._positions.size
        if expected is not None and p_num != expected:
            raise ValueError(f"S has {p_num} slices along t_axis={t_axis}, but the transform has {expected}")
        frames = self._frames(self.p_min, self.p_min + p_num)
        low, high = frames.covered()
        k0 = as_index("k0", k0)
        if k1 is None:
            last_centre = self._slice_positions(self.p_min + p_num - 1, self.p_min + p_num)[0]
            k1 = int(np.floor(last_centre)) + 1 if self.per_bin and self._positions is not None else high
        k1 = as_index("k1", k1)
        check_sample_range(k0, k1, low, high, p_num)
        span = Span(k0, k1, *self._signal_range(p_num, k0, k1, None if n is None else as_index("n", n, 1)))
        return SpectraLayout.of(plan, S, f_axis, t_axis, frames, span)

    def _signal_range(self, p_num: int, k0: int, k1: int, n: int | None) -> tuple[int, int]:
        """Return the range of samples outside which the signal is zero."""
        if n is not None and self.p_num(n) != p_num:
            raise ValueError(f"{n=}: a signal of that many samples has {self.p_num(n)} slices, S has {p_num}")
        if not self.per_bin:  # each sample is solved for on its own
            return (k0, k1) if n is None else (max(k0, 0), max(min(k1, n), max(k0, 0) + 1))
        if n is not None:
            return 0, n
        if self._slices is not None:
            return 0, self._slices.longest_signal(self.p_min + p_num)
        positions = cast(Float64Array, self._positions)
        first, last = self._frames(0, positions.size).covered()
        # k1 is the length of the signal if at most one slice has its position beyond it
        is_length = positions.size < 2 or k1 > positions[-2]
        return max(0, first), k1 if is_length else last

    def istft_vjp(
        self,
        S: Any,
        cotangent: Any,
        k0: int = 0,
        k1: int | None = None,
        *,
        wrt: tuple[Parameter | Literal["S"], ...] | None = None,
        f_axis: int = -2,
        t_axis: int = -1,
        n: int | None = None,
        tol: float | None = None,
    ) -> Gradient:
        """Vector-Jacobian product: derivatives of a loss, from those with respect to `istft`.

        Parameters
        ----------
        S : array_like, shape (..., f_pts, p_num)
            Transform, as in `istft`.
        cotangent : array_like, shape of ``istft(S, k0, k1)``
            Derivatives of a real loss with respect to the signal;
            ``dC/dRe x + 1j dC/dIm x`` in two-sided modes.
        wrt : tuple of str, optional
            Names of the derivatives to compute: ``"win_length"``, ``"positions"``,
            ``"hop"``, ``"shape"`` and ``"S"``. Default: all. ``"S"`` alone takes half
            the time.
        k0, k1, f_axis, t_axis, n, tol
            As in `istft`.

        Returns
        -------
        Gradient
            Derivatives of the loss. The field ``S`` has the shape of `S`, with the
            convention of the cotangent in `vjp`.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 20.5, 5, fs=1.0)
        >>> x = np.random.default_rng(0).standard_normal(100)
        >>> S = sft.stft(x)
        >>> gradient = sft.istft_vjp(S, np.ones(100), k1=100)
        >>> gradient.S.shape == S.shape
        True
        """
        chosen = self._check_wrt(wrt, "S")
        layout = self._spectra_layout(S, k0, k1, f_axis, t_axis, n)
        gradients = synthesis_vjp(
            layout.plan,
            layout.channels,
            layout.frames,
            layout.span,
            layout.cotangent(cotangent),
            _tolerance(tol, layout.channels),
            parameters=bool(chosen & WINDOW_PARAMETERS),
            shape="shape" in chosen and bool(self._window.shape),
        )
        gradient = self._gradient(chosen, self.p_min, gradients)
        return replace(gradient, S=layout.spectra_like(cast(AnyArray, gradients.data)) if "S" in chosen else None)

    def istft_jvp(
        self,
        S: Any,
        tangents: Mapping[str, Any],
        k0: int = 0,
        k1: int | None = None,
        *,
        f_axis: int = -2,
        t_axis: int = -1,
        n: int | None = None,
        tol: float | None = None,
    ) -> AnyArray:
        """Jacobian-vector product: the directional derivative of `istft`.

        Parameters
        ----------
        S : array_like, shape (..., f_pts, p_num)
            Transform, as in `istft`.
        tangents : mapping of str to array_like
            The direction, with the keys ``"S"``, ``"win_length"``, ``"positions"``,
            ``"hop"`` and ``"shape"``, as in `jvp`.
        k0, k1, f_axis, t_axis, n, tol
            As in `istft`.

        Returns
        -------
        ndarray, shape of ``istft(S, k0, k1)``
            ``d istft / d eps`` if parameters and transform change by ``eps * tangents``.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 20.5, 5, fs=1.0)
        >>> x = np.random.default_rng(0).standard_normal(100)
        >>> S = sft.stft(x)
        >>> dS = sft.jvp(x, {"win_length": 1.0})
        >>> dx = sft.istft_jvp(S, {"win_length": 1.0, "S": dS}, k1=100)
        >>> bool(np.allclose(dx, 0))  # istft(stft(x)) is x for every length
        True
        """
        check_tangents(tangents, "S")
        layout = self._spectra_layout(S, k0, k1, f_axis, t_axis, n)
        d_spectra = None
        if "S" in tangents:
            if np.shape(tangents["S"]) != np.shape(S):
                raise ValueError(f"tangents['S'] has shape {np.shape(tangents['S'])}, but S has shape {np.shape(S)}")
            d_spectra = self._spectra_layout(tangents["S"], k0, k1, f_axis, t_axis, n).channels
            d_spectra = d_spectra.astype(layout.channels.dtype)
        direction = self._direction(tangents, self.p_min, layout.channels.shape[1])
        tol = _tolerance(tol, layout.channels)
        return layout.to_public(
            synthesis_jvp(layout.plan, layout.channels, layout.frames, layout.span, d_spectra, direction, tol)
        )


def _tolerance(tol: float | None, spectra: AnyArray) -> float:
    """Return the tolerance of an iterative inverse, by default that for the precision of the transform."""
    if tol is None:
        return 1e-6 if spectra.dtype == np.complex64 else 1e-10
    if not check_positive("tol", tol) <= _MAX_TOLERANCE:
        raise ValueError(f"{tol=} must be a relative error, positive and at most {_MAX_TOLERANCE:g}")
    return float(tol)
