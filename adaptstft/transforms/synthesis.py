"""The inverse half of the adaptive transform: from a transform to the signal, and what says whether that can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast, get_args, overload

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, Parameter
from adaptstft.common.validation import (
    as_direction,
    as_flag,
    as_index,
    as_inexact,
    check_finite,
    check_positive,
    check_sample_range,
    check_tangents,
)
from adaptstft.engine import inverse
from adaptstft.engine.bin_inverse import FrameOperator, InverseInfo, is_solvable
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.frames import Frames
from adaptstft.engine.jvp import Motion, synthesis_jvp
from adaptstft.engine.operator import Span, frame_bounds, synthesis_vjp, synthesise
from adaptstft.transforms.axes import SpectraLayout, check_axes
from adaptstft.transforms.geometry import TransformGeometry
from adaptstft.transforms.gradient import Gradient, hop_gradient

#: Largest tolerance of an iterative inverse: directions that few windows see have a multiple of it.
_LOOSEST = 1e-4


class Synthesis(TransformGeometry):
    """Base of `adaptstft.AdaptiveShortTimeFFT`: the inverse, frame bounds, dual windows and their gradient."""

    @property
    def invertible(self) -> bool:
        """Whether every sample between the first and the last slice's centre can be reconstructed.

        For a transform with one window length and a hop this is so for every signal.
        """
        if self.per_bin:
            return self._bins_invertible()
        p0, p1, positions = self._typical_slices()
        low, high = int(np.ceil(positions[0])), int(np.floor(positions[-1])) + 1
        if high <= low:
            return True
        overlap = inverse.window_overlap(self._plan, cast(Frames, self._frames(p0, p1)), low, high)
        return bool(np.all(inverse.is_covered(overlap)))

    def _typical_slices(self) -> tuple[int, int, Float64Array]:
        """Range of slices that stands for all, and the times between which every sample must be covered."""
        if self._positions is not None:
            return 0, self._positions.size, self._positions
        p0 = self.p_min
        own = self._num_slice_lengths
        reach = int(np.ceil(self._m_num / cast(float, self._hop))) + 1
        p1 = p0 + (2 * reach + 64 if own is None else own)
        positions = self._slice_positions(p0, p1)
        return (
            p0,
            p1,
            positions[reach:-reach] if own is None else positions,
        )  # away from the ends, where slices are missing

    def _bins_invertible(self) -> bool:
        p0, p1, positions = self._typical_slices()
        if self._positions is not None:
            low, high = int(np.ceil(positions[0])), int(np.floor(positions[-1])) + 1
        else:  # all slices that touch the signal are there
            low, high = 0, self._need_hop("invertible").longest_signal(p1)
        operator = FrameOperator(self._plan, cast(BinFrames, self._frames(p0, p1)), low, max(high, low + 1))
        return is_solvable(operator)

    def _signal_frames(self, n: int) -> Frames | BinFrames:
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
            samples; with a window for each frequency or bin, the extreme
            eigenvalues of the frame operator to 0.1 %, by Lanczos iterations
            (the lower one is 0 if they cannot tell it from that).
            The transform is invertible if the lower one is positive; their
            ratio bounds how much noise the inverse can amplify.
        """
        return frame_bounds(self._plan, self._signal_frames(n), n)

    def windows(self, n: int) -> Float64Array:
        """Sample the windows of all slices for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples of the signal.

        Returns
        -------
        ndarray of float64, shape (p_num, m_num)
            Row ``p - p_min`` holds the window of slice ``p``, scaled, at the
            samples from ``ceil(t_p + window_offset - m_num/2)`` on.
        """
        return self._window_rows(n, dual=False)

    def dual_windows(self, n: int) -> Float64Array:
        """Canonical dual windows ``w_p / sum_p |w_p|**2`` for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples of the signal.

        Returns
        -------
        ndarray of float64, shape (p_num, m_num)
            In the layout of `windows`.
        """
        return self._window_rows(n, dual=True)

    def _window_rows(self, n: int, *, dual: bool) -> Float64Array:
        frames = self._signal_frames(n)
        if isinstance(frames, BinFrames):
            raise ValueError(
                f"win_length has shape {self._win_length.shape}: slices have a window for each frequency, so none of "
                "their own, and their duals are no windows; istft inverts the transform without them"
            )
        starts = self._slot_starts(0, *self.p_range(n))
        return inverse.dual_rows(self._plan, frames, starts, self._m_num, dual=dual)

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
        """Inverse transform: the exact signal, or the least-squares one if `S` was modified.

        Parameters
        ----------
        S : array_like, shape (..., f_pts, p_num)
            Transform whose first slice is `p_min`.
        k0, k1 : int, optional
            Range of samples to return; `k1` is the end of the last slice by
            default (with positions and windows per bin, of its centre). Give
            the signal's length to get the signal.
        f_axis, t_axis : int, optional
            Axes of frequency and time in `S`.
        n : int, optional
            Number of samples of the signal, which is zero outside ``0 ... n - 1``.
            With a window for each slice nothing depends on it elsewhere. With one
            for each frequency or bin all samples are solved for together, by
            default those of the longest signal with as many slices; with
            positions, `k1` is taken for the length unless several slices are
            centred beyond it.
        tol : float, optional
            With a window for each frequency or bin, conjugate gradients go on
            until a random signal that is solved for alongside has this relative
            error: 1e-10 by default, 1e-6 for complex64, at most 1e-4. One window
            for each slice inverts to rounding.
        maxiter : int, optional
            Most iterations of these; 400 by default.
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
            If samples in the range are covered by no window, or windows per bin
            leave a signal undetermined; the message names the samples.
        """
        full_output = as_flag("full_output", full_output)
        maxiter = None if maxiter is None else as_index("maxiter", maxiter, 1)
        a = self._spectra_layout(S, k0, k1, f_axis, t_axis, n)
        x, info = synthesise(a.plan, a.channels, a.frames, a.span, _tolerance(tol, a.channels), maxiter)
        return (a.to_public(x), info) if full_output else a.to_public(x)

    def _spectra_layout(
        self, S: Any, k0: int, k1: int | None, f_axis: int, t_axis: int, n: int | None
    ) -> SpectraLayout:
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
        """Return the samples of every signal that `p_num` slices can be the transform of."""
        if n is not None and self.p_num(n) != p_num:
            raise ValueError(f"{n=}: a signal of that many samples has {self.p_num(n)} slices, S has {p_num}")
        if not self.per_bin:  # every sample for itself
            return (k0, k1) if n is None else (max(k0, 0), max(min(k1, n), max(k0, 0) + 1))
        if n is not None:
            return 0, n
        if self._slices is not None:
            return 0, self._slices.longest_signal(self.p_min + p_num)
        positions = cast(Float64Array, self._positions)
        first, last = self._frames(0, positions.size).covered()
        whole = (
            positions.size < 2 or k1 > positions[-2]
        )  # with a slice or none centred beyond it, k1 is the signal's length
        return max(0, first), k1 if whole else last

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
        """Vector-Jacobian product: pull a cotangent of `istft` back to the transform and the parameters.

        Parameters
        ----------
        S : array_like, shape (..., f_pts, p_num)
            Transform, as in `istft`.
        cotangent : array_like, shape of ``istft(S, k0, k1)``
            Derivative of a real loss in the signal; ``dC/dRe x + 1j dC/dIm x``
            in two-sided modes.
        wrt : tuple of str, optional
            Which derivatives to compute, of ``"win_length"``, ``"positions"``,
            ``"hop"``, ``"shape"`` and ``"S"``; all by default. That in `S` takes half
            the time if it is the only one.
        k0, k1, f_axis, t_axis, n, tol
            As in `istft`.

        Returns
        -------
        Gradient
            Derivatives of the loss, with that in the transform, of the shape of
            `S` and in the convention of `vjp`, in the field ``S``.

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
        names = (*(set(get_args(Parameter)) - {"x"}), "S")
        chosen = set(names if wrt is None else wrt)
        if not chosen <= set(names):
            raise ValueError(f"{wrt=} must be a tuple of names among {tuple(sorted(names))}")
        parameters = bool(chosen - {"S"})
        if parameters:
            self._window.check_tunable()
        a = self._spectra_layout(S, k0, k1, f_axis, t_axis, n)
        g = as_inexact("cotangent", cotangent, device=a.plan.kernels.xp is not np)
        check_finite("cotangent", g)
        wanted = {"parameters": parameters, "shape": "shape" in chosen and bool(self._window.shape)}
        tol = _tolerance(tol, a.channels)
        back = synthesis_vjp(a.plan, a.channels, a.frames, a.span, a.from_public(g), tol, **wanted)
        gradient = self._gradient(chosen, self.p_min, back.win_length, back.positions, back.shape)
        return replace(gradient, S=a.spectra_like(cast(AnyArray, back.data)) if "S" in chosen else None)

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
        """Jacobian-vector product: the derivative of `istft` in a direction.

        Parameters
        ----------
        S : array_like, shape (..., f_pts, p_num)
            Transform, as in `istft`.
        tangents : mapping of str to array_like
            The direction: how ``"S"`` moves, and as in `jvp` the parameters.
        k0, k1, f_axis, t_axis, n, tol
            As in `istft`.

        Returns
        -------
        ndarray, shape of ``istft(S, k0, k1)``
            How the signal moves.

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
        a = self._spectra_layout(S, k0, k1, f_axis, t_axis, n)
        d_spectra = None
        if "S" in tangents:
            if np.shape(tangents["S"]) != np.shape(S):
                raise ValueError(f"tangents['S'] has shape {np.shape(tangents['S'])}, but S has shape {np.shape(S)}")
            d_spectra = self._spectra_layout(tangents["S"], k0, k1, f_axis, t_axis, n).channels.astype(a.channels.dtype)
        motion = self._motion(tangents, self.p_min, a.channels.shape[1])
        tol = _tolerance(tol, a.channels)
        return a.to_public(synthesis_jvp(a.plan, a.channels, a.frames, a.span, d_spectra, motion, tol))

    def _motion(self, tangents: Mapping[str, Any], first: int, p_num: int) -> Motion | None:
        """Motion of slices from `first` on in the direction of `tangents`; None if no parameter moves."""
        if not set(tangents) & {"win_length", "positions", "hop", "shape"}:
            return None
        self._window.check_tunable()
        lengths = self._win_length.shape
        win_length = as_direction("win_length", tangents.get("win_length", np.zeros(lengths)), lengths)
        positions = as_direction("positions", tangents.get("positions", np.zeros(p_num)), (p_num,))
        if "hop" in tangents:
            if self._hop is None:
                raise ValueError("tangents has 'hop', but a transform made from positions has no hop")
            positions = positions + as_direction("hop", tangents["hop"], ()) * (first + np.arange(p_num))
        n_shape = len(self._window.shape)
        shape = as_direction("shape", tangents["shape"], (n_shape,)) if "shape" in tangents else np.zeros(0)
        size = (p_num, self.f_pts) if self.per_bin else (p_num,)
        return Motion(np.broadcast_to(win_length.T, size), positions, shape)

    def _gradient(
        self, chosen: set[str], first: int, win_length: Float64Array, positions: Float64Array, shape: Float64Array
    ) -> Gradient:
        """Gradient in the parameters that were chosen, from the derivatives of slices from `first` on."""
        hop = None
        if "hop" in chosen and self._hop is not None:
            hop = hop_gradient(first, positions)
        return Gradient(
            win_length=self._length_gradients(win_length) if "win_length" in chosen else None,
            positions=positions if "positions" in chosen else None,
            hop=hop,
            shape=shape if "shape" in chosen and self._window.shape else None,
        )

    def _length_gradients(self, win_length: Float64Array) -> Float64Array:
        """Bring derivatives of each frame (and bin) to the shape of `win_length`."""
        if self._win_length.ndim < 2:
            return np.asarray(win_length.sum()) if self._win_length.ndim == 0 else win_length
        return win_length.T if self._num_slice_lengths is not None else win_length.sum(axis=0)[:, np.newaxis]


def _tolerance(tol: float | None, spectra: AnyArray) -> float:
    if tol is None:
        return 1e-6 if spectra.dtype == np.complex64 else 1e-10
    if not check_positive("tol", tol) <= _LOOSEST:
        raise ValueError(f"{tol=} must be a relative error, positive and at most {_LOOSEST:g}")
    return float(tol)
