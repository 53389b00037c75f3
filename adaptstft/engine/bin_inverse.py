r"""The inverse with a window for each bin: conjugate gradients with the exact adjoint.

The frame operator ``A^H W A`` of the two-sided transform is not diagonal, but nearly so; the weights ``W`` count the
mirrored bins of a one-sided spectrum twice. The least-squares signal solves the normal equations, scaled by the
diagonal ``D`` of the operator,

.. math:: D^{-1/2} A^H W A D^{-1/2} z = D^{-1/2} A^H W S, \qquad x = D^{-1/2} z .

The equations of a random signal, the probe, are solved together with those of the channels. Its error is known, and
estimates theirs: with a small frame bound the residual is small even where the error is large. All samples of the probe
have the same variance, and its transform is rounded to the precision of ``S``, so that its error contains the
rounding errors of samples at which the windows are small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg, eigsh

from adaptstft.common.precision import over_peak
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.engine.bins import (
    BinFrames,
    bin_adjoint,
    bin_energy,
    bin_forward,
    bin_gains,
    bin_gradients,
    bin_scales,
)
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.inverse import check_covered, describe_samples, is_covered
from adaptstft.engine.plan import FramePlan

_MOST_ITERATIONS = 400
#: Tolerance of the residual as a fraction of the tolerance of the error, in the first solution and each repetition.
_MARGIN = 0.1
_TRIES = 5
#: Largest error that rounding may cause, in units of the precision of the transform.
_MOST_ROUNDING = 1e3
#: Tolerance that decides whether a transform is invertible at all: the largest that an inverse accepts.
_INVERTIBLE_TOL = 1e-4
_TINY = float(np.finfo(float).tiny)
#: Largest number of samples for which the frame bounds are eigenvalues of a matrix.
_LARGEST_MATRIX = 96
#: Tolerance of the solutions in the search for the lower frame bound: half the digits.
_BOUND_TOL = 1e-8
#: Lanczos vectors of that search; few are enough, since the eigenvalues of the inverse lie far apart.
_BOUND_VECTORS = 8


@dataclass(frozen=True)
class InverseInfo:
    """Iterations and accuracy of an inverse.

    Attributes
    ----------
    iterations : int
        Iterations of conjugate gradients; 0 where the inverse is a division.
    residual : float
        Norm of the residual of the normal equations relative to their right-hand side.
    error : float
        Relative error of white noise that was reconstructed from its transform,
        rounded to the precision of `S`. With one window for each slice, an estimate
        from the windows that cover each sample. That of a signal whose energy lies in
        samples with little window energy may be larger, at most by the square root of
        the ratio of the frame bounds as a factor.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import AdaptiveShortTimeFFT
    >>> lengths = np.linspace(30, 12, 17)[:, None]
    >>> sft = AdaptiveShortTimeFFT("hann", lengths, 4, fs=1.0, mfft=32)
    >>> x = np.random.default_rng(0).standard_normal(100)
    >>> back, info = sft.istft(sft.stft(x), k1=100, full_output=True)
    >>> bool(np.allclose(back, x)), info.error < 1e-9
    (True, True)
    """

    iterations: int
    residual: float
    error: float


class FrameOperator:
    """Frame operator ``A^H W A`` for channels on the samples ``low <= n < high``.

    `part` is the range of samples that must be determined, all by default. `analyse` and `synthesise` take and return
    arrays of the backend; all other methods work on the host.
    """

    def __init__(
        self, plan: FramePlan, frames: BinFrames, low: int, high: int, part: tuple[int, int] | None = None
    ) -> None:
        self.plan, self.low, self.high = plan, low, high
        first, last = part or (low, high)
        self.part = slice(max(first, low) - low, max(min(last, high), low) - low)
        self.frames = frames = replace(frames, uploaded=frames.lengths(plan))
        self.moved = frames.moved(-low)
        self.scales = bin_scales(plan, frames.lengths(plan), gradient=False, shape=False)
        multiplicity = np.ones(plan.f_pts)
        if plan.onesided:
            multiplicity[plan.interior] = 2.0
        weights = multiplicity / bin_gains(plan) ** 2
        self.weights = plan.kernels.asarray(weights)
        self.diagonal = bin_energy(plan, frames, weights, low, high)

    @property
    def size(self) -> int:
        """Number of samples."""
        return self.high - self.low

    def analyse(self, x: AnyArray) -> ComplexArray:
        """Return ``A x``, shape (channels, frames, f_pts)."""
        return bin_forward(self.plan, x, self.moved, scales=self.scales).S

    def synthesise(self, S: ComplexArray) -> AnyArray:
        """Return ``A^H W S``, shape (channels, size)."""
        g = S * self.weights
        return bin_adjoint(self.plan, g, self.frames, self.low, self.high, real=self.plan.onesided, scales=self.scales)

    def apply(self, x: AnyArray) -> AnyArray:
        """Return ``A^H W A x``."""
        kernels = self.plan.kernels
        return cast(AnyArray, kernels.to_host(self.synthesise(self.analyse(kernels.asarray(x)))))

    def linear(self, channels: int = 1, scale: Float64Array | None = None) -> LinearOperator:
        """Return the operator for flattened channels, multiplied by `scale` from both sides."""
        factor = np.ones(self.size) if scale is None else scale

        def apply(z: AnyArray) -> AnyArray:
            return np.asarray(self.apply(z.reshape(channels, self.size) * factor) * factor).ravel()

        dtype = float if self.plan.onesided else complex
        return LinearOperator((channels * self.size,) * 2, matvec=apply, dtype=dtype)

    def bounds(self) -> tuple[float, float]:
        """Return the smallest and the largest eigenvalue, the frame bounds of the two-sided transform.

        The smallest is found by Lanczos iterations with the inverse, whose largest eigenvalues lie far apart. It is 0
        if the inverse cannot be computed to half the digits.
        """
        if self.size <= _LARGEST_MATRIX:
            eye = np.eye(self.size, dtype=float if self.plan.onesided else complex)
            values = np.linalg.eigvalsh(self.apply(eye))
            return max(float(values[0]), 0.0), float(values[-1])
        start = _random_signal((1, self.size), real=self.plan.onesided)[0]
        settings = {"k": 1, "v0": start, "tol": 1e-3, "return_eigenvectors": False}
        operator = self.linear()
        upper = float(eigsh(operator, which="LA", **settings)[0])
        solvable, info = _try_to_solve(self, _BOUND_TOL)
        if info is None or not solvable:
            return 0.0, upper
        # the residual with which the probe has reached the tolerance: it need not be solved again
        rtol, scale = min(_BOUND_TOL * _MARGIN, info.residual), self.diagonal**-0.5
        scaled = self.linear(scale=scale)

        def invert(x: AnyArray) -> AnyArray:
            return cast(AnyArray, cg(scaled, x * scale, rtol=rtol, maxiter=_MOST_ITERATIONS)[0] * scale)

        inverse = LinearOperator(operator.shape, matvec=invert, dtype=operator.dtype)
        return float(eigsh(operator, sigma=0.0, OPinv=inverse, which="LM", ncv=_BOUND_VECTORS, **settings)[0]), upper

    def enclosing_bounds(self) -> tuple[float, float]:
        """Return a lower bound of the smallest and an upper bound of the largest eigenvalue, in less time than both.

        The operator divided by its diagonal differs from the identity by at most ``delta`` in norm, so that its
        eigenvalues are within ``1 - delta`` and ``1 + delta`` times the range of the diagonal.
        """
        if not np.all(is_covered(self.diagonal)):
            return 0.0, np.inf
        scaled = self.linear(scale=self.diagonal**-0.5)
        difference = LinearOperator(scaled.shape, matvec=lambda z: scaled.matvec(z) - z, dtype=scaled.dtype)
        start = _random_signal((1, self.size), real=self.plan.onesided)[0]
        (delta,) = np.abs(eigsh(difference, k=1, which="LM", v0=start, tol=1e-3, return_eigenvectors=False))
        delta = float(delta) * (1 + 1e-3)
        return max(1 - delta, 0.0) * float(self.diagonal.min()), (1 + delta) * float(self.diagonal.max())

    def bounds_near(self, x: AnyArray) -> tuple[float, float]:
        """Return rough frame bounds: the energy of the transform of `x`, and the largest entry of the diagonal."""
        x = x[np.newaxis] / np.linalg.norm(x)
        return float(np.real(np.vdot(x, self.apply(x)))), float(self.diagonal.max())


def _norms(x: AnyArray) -> Float64Array:
    """Norm of each channel, 1 for silent ones."""
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.where(norms > 0, norms, 1.0)


def _random_signal(shape: tuple[int, int], *, real: bool) -> AnyArray:
    """White noise from a fixed seed."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    return x if real else x + 1j * rng.standard_normal(shape)


def solve(
    operator: FrameOperator, right: AnyArray, tol: float, maxiter: int | None, dtype: Any = np.complex128
) -> tuple[AnyArray, InverseInfo]:
    """Solve ``A^H W A x = right`` for channels, shape (channels, size), on the host; `dtype` is that of the transform.

    Raises
    ------
    ValueError
        If a random signal cannot be reconstructed to the tolerance on `FrameOperator.part`; the message names the
        samples.
    """
    check_covered(operator.diagonal[operator.part], operator.low + operator.part.start, dtype=dtype)
    peak = float(np.abs(right).max(initial=0.0)) or 1.0  # after division by it, squares do not overflow or underflow
    x, info, probe_error = _solve_with_probe(operator, over_peak(right, peak), tol, maxiter, dtype)
    if not info.error <= _accepted(tol, dtype):
        raise ValueError(_failure_message(operator, probe_error, info, tol))
    return x * peak, info


def _accepted(tol: float, dtype: Any) -> float:
    """Return the largest error that is accepted: the tolerance, or the error of rounding if that is larger."""
    return max(tol, _MOST_ROUNDING * float(np.finfo(dtype).eps))


def _probe(operator: FrameOperator, covered: Any, dtype: Any) -> tuple[AnyArray, AnyArray]:
    """Return white noise on the covered samples, and the right-hand side from its rounded transform."""
    kernels = operator.plan.kernels
    probe = _random_signal((1, operator.size), real=operator.plan.onesided) * covered
    spectra = operator.analyse(kernels.asarray(probe)).astype(dtype).astype(np.complex128)
    return probe, cast(AnyArray, kernels.to_host(operator.synthesise(spectra)))


def _solve_with_probe(
    operator: FrameOperator, right: AnyArray, tol: float, maxiter: int | None, dtype: Any = np.complex128
) -> tuple[AnyArray, InverseInfo, AnyArray]:
    """Return the solution, its accuracy, and the error of the probe at each sample."""
    covered = is_covered(operator.diagonal)  # the transform does not depend on other samples; they become zero
    scale = np.where(covered, np.where(covered, operator.diagonal, 1.0) ** -0.5, 0.0)
    probe, of_probe = _probe(operator, covered, dtype)
    b = np.concatenate([right, of_probe]) * scale
    norms = _norms(b)
    channels = len(b)
    linear = operator.linear(channels, scale)
    limit = _MOST_ITERATIONS if maxiter is None else maxiter
    iterations = 0

    def count(_: Any) -> None:
        nonlocal iterations
        iterations += 1

    z = np.zeros(b.size, b.dtype)
    rtol, error, residual = tol * _MARGIN / channels**0.5, np.inf, np.inf
    target = (b / norms).ravel()
    part = operator.part
    size = float(np.linalg.norm(probe[0, part])) + _TINY
    x = b
    for _ in range(_TRIES):
        if iterations < limit:
            z, _ = cg(linear, target, x0=z, rtol=rtol, maxiter=limit - iterations, callback=count)
        x = z.reshape(b.shape) * norms * scale
        before, probe_error = error, x[-1] - probe[0]
        error = float(np.linalg.norm(probe_error[part])) / size
        residual = float(np.linalg.norm(linear.matvec(z) - target) / np.linalg.norm(target))
        stagnates = error <= _accepted(tol, dtype) and error > 0.5 * before  # rounding is what is left
        if error <= tol or iterations >= limit or stagnates:
            break
        rtol = max(rtol * tol / error * _MARGIN, np.finfo(float).eps)
    return x[:-1], InverseInfo(iterations, residual, error), probe_error


def is_solvable(operator: FrameOperator, tol: float = _INVERTIBLE_TOL) -> bool:
    """Return True if a random signal can be reconstructed from its transform, as in `solve`."""
    return _try_to_solve(operator, tol)[0]


def _try_to_solve(operator: FrameOperator, tol: float) -> tuple[bool, InverseInfo | None]:
    """Return whether a random signal can be reconstructed, and how; None if windows do not cover all samples."""
    if not np.all(is_covered(operator.diagonal)):
        return False, None
    nothing = np.zeros((0, operator.size), float if operator.plan.onesided else complex)
    _, info, _ = _solve_with_probe(operator, nothing, tol, None)
    return info.error <= _accepted(tol, np.complex128), info


def _failure_message(operator: FrameOperator, probe_error: AnyArray, info: InverseInfo, tol: float) -> str:
    part = operator.part
    size = np.abs(probe_error)[part]
    lower, upper = operator.bounds_near(probe_error)
    where = describe_samples(size > size.max() / 10, operator.low + part.start)
    return (
        f"the transform cannot be inverted to {tol=:g}: after {info.iterations} iterations a random signal is "
        f"reconstructed with a relative error of {info.error:.2g}, most of it at samples {where}; the frame bounds for "
        f"samples {operator.low} to {operator.high - 1} are below {lower:.3g} and above {upper:.3g}. Windows must "
        "overlap at every frequency (shorter hops or longer windows); otherwise give the length of the signal as n=, "
        "or raise maxiter or tol"
    )


def bin_synthesis(
    operator: FrameOperator, spectra: ComplexArray, tol: float, maxiter: int | None
) -> tuple[AnyArray, InverseInfo]:
    """Least-squares signal of ``spectra``, shape (channels, frames, f_pts)."""
    kernels = operator.plan.kernels
    right = kernels.to_host(operator.synthesise(spectra))
    x, info = solve(operator, right, tol, maxiter, spectra.dtype)
    return kernels.asarray(x), info


def bin_synthesis_adjoint(operator: FrameOperator, cotangent: AnyArray, tol: float) -> ComplexArray:
    """Gradient with respect to the spectra from a cotangent of `bin_synthesis`, shape (channels, size)."""
    kernels = operator.plan.kernels
    r, _ = solve(operator, kernels.to_host(cotangent), tol, None)
    return cast(ComplexArray, operator.weights * operator.analyse(kernels.asarray(r)))


def bin_synthesis_vjp(
    operator: FrameOperator, spectra: ComplexArray, cotangent: AnyArray, tol: float, *, shape: bool
) -> Gradients:
    """Gradients from a cotangent of `bin_synthesis`, shape (channels, size).

    With ``N = A^H W A``, ``x = N^-1 A^H W S`` and ``r = N^-1 cotangent`` the derivative of the loss in the direction of
    a change ``dA`` is ``Re <dA r, W (S - A x)> - Re <A r, W dA x>``.
    """
    kernels = operator.plan.kernels
    x, _ = bin_synthesis(operator, spectra, tol, None)
    r = kernels.asarray(solve(operator, kernels.to_host(cotangent), tol, None)[0])
    of_x = bin_forward(operator.plan, x, operator.moved, gradient=True, shape=shape)
    of_r = bin_forward(operator.plan, r, operator.moved, gradient=True, shape=shape)
    first = bin_gradients(operator.plan, of_r, operator.weights * (spectra - of_x.S))
    second = bin_gradients(operator.plan, of_x, operator.weights * of_r.S)
    return Gradients(
        first.win_length - second.win_length,
        first.positions - second.positions,
        first.shape - second.shape,
        (operator.weights * of_r.S).astype(spectra.dtype),
    )
