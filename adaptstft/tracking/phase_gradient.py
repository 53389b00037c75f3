r"""Phases of a transform from its magnitudes: phase-gradient heap integration, with a window length for each frame.

With the Gaussian window ``exp(-pi s**2 / gamma)`` and the phase counted from the window's centre ``t``, the transform
of a signal is ``exp(2j pi f t - pi t**2 / gamma)`` times an analytic function of ``t / gamma - i f``. Its magnitude
therefore determines its phase ``phi`` up to a constant [1]_:

.. math:: \frac{\partial\phi}{\partial f} = -\gamma\, a, \qquad
          \frac{\partial\phi}{\partial t} = 2 \pi f + \frac{L_f}{\gamma}, \qquad
          L = \log |S|, \quad a = \frac{\partial L}{\partial t} .

If ``gamma`` differs from frame to frame, magnitude and phase also change with ``gamma``. The derivative of the window
in ``gamma`` is its product with ``pi s**2 / gamma**2``, which is a second derivative of the analytic function, so

.. math:: \frac{\partial L}{\partial\gamma} = \frac{\gamma^2 a^2 - L_f^2 - L_{ff}}{4 \pi \gamma^2}, \qquad
          \frac{\partial\phi}{\partial\gamma} = \frac{a_f + 2 a L_f}{4 \pi \gamma} .

The change of ``L`` from frame to frame is ``a`` plus the first of these times ``d gamma / dt``; a few steps of a fixed
point iteration solve this for ``a``. Any other window is replaced by the Gaussian that is most like it.

References
----------
.. [1] Z. Prusa, P. Balazs, P. L. Sondergaard, "A noniterative method for reconstruction of phase from STFT magnitude",
   IEEE/ACM Trans. Audio Speech Lang. Process. 25(5), 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.engine.frames import Frames
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.windows import Window

#: Magnitudes below this fraction of the largest one have random phases.
_NEGLIGIBLE = 1e-6
#: Steps of the fixed point iteration for the derivative in time.
_STEPS = 2
#: Exponent of the window length in the scale of a window.
_SCALE_EXPONENT = {None: 0.0, "psd": -0.5, "magnitude": -1.0}


def estimate_phase(sft: AdaptiveShortTimeFFT, magnitude: AnyArray, n: int, rng: np.random.Generator) -> Float64Array:
    """Estimate the phases of a transform of `n` samples, in radians, from its magnitudes.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        Transform with one window for each frame.
    magnitude : ndarray, shape (..., f_pts, p_num)
        The magnitudes.
    n : int
        Number of samples.
    rng : numpy.random.Generator
        Generator of the phases of negligible bins.

    Returns
    -------
    ndarray, shape of `magnitude`
        The phases. Components that do not touch have unrelated phases.
    """
    grid = _Grid.of(sft, n)
    planes = magnitude.reshape(-1, *magnitude.shape[-2:])
    phase = np.array([_plane_phase(sft, grid, plane, rng) for plane in planes])
    # small angles keep their accuracy in single precision
    return np.asarray(phase.reshape(magnitude.shape) % (2 * np.pi))


@dataclass(frozen=True)
class _Grid:
    """Times and frequencies of a transform, and the Gaussians that replace its windows.

    Attributes
    ----------
    t : ndarray, shape (frames, 1)
        Centres of the Gaussians in seconds.
    gamma, gamma_rate : ndarray, shape (frames, 1)
        Their ``gamma`` in s**2, and its derivative in time.
    f : ndarray, shape (f_pts,)
        Frequencies in Hz, ascending.
    order : ndarray of int, shape (f_pts,)
        Places of `f` among the bins of the transform.
    origin : ndarray, shape (frames, 1)
        Origins of the phase of the transform, in seconds before the centres of the Gaussians.
    factor : ndarray, shape (frames, f_pts)
        Factor of the magnitudes of windows without a scale.
    """

    t: Float64Array
    gamma: Float64Array
    gamma_rate: Float64Array
    f: Float64Array
    order: IntArray
    origin: Float64Array
    factor: Float64Array

    @classmethod
    def of(cls, sft: AdaptiveShortTimeFFT, n: int) -> _Grid:
        """Return the grid of the transform of `n` samples."""
        frames = sft._frames(sft.p_min, sft.p_max(n))
        assert isinstance(frames, Frames)
        duration = frames.length_rows * sft.T
        centre, ratio = _gaussian_like(sft.window)
        t = frames.centre[:, np.newaxis] * sft.T + centre * duration
        gamma = ratio * duration**2
        order = np.argsort(sft.f)
        gain = np.ones(sft.f_pts)
        gain[sft._plan.interior] = sft._plan.power_gain**0.5
        return cls(
            t,
            gamma,
            _time_derivative(gamma, t),
            sft.f[order],
            order,
            frames.phase_lag[0] * sft.T + centre * duration,
            duration ** -_SCALE_EXPONENT[sft.scaling] / gain[order],
        )


def _gaussian_like(window: Window) -> tuple[float, float]:
    """Return the centre and ``gamma`` of the Gaussian most like a window of length 1: their correlation is largest."""
    from scipy.optimize import minimize_scalar  # a slow import that little else needs

    u = (np.arange(512) + 0.5) / 512 - 0.5
    w = window(u)
    centre = float(u @ w / w.sum())

    def mismatch(log_gamma: float) -> float:
        g = np.exp(-np.pi * (u - centre) ** 2 / np.exp(log_gamma))
        return -float(w @ g / np.sqrt(g @ g))

    found = minimize_scalar(mismatch, bounds=(np.log(1e-3), np.log(10.0)), method="bounded")
    return centre, float(np.exp(found.x))


def _plane_phase(sft: AdaptiveShortTimeFFT, grid: _Grid, magnitude: AnyArray, rng: np.random.Generator) -> Float64Array:
    """Estimate the phases of one channel, shape (f_pts, frames)."""
    level = np.ascontiguousarray(magnitude.T[:, grid.order].astype(float) * grid.factor)
    floor = _NEGLIGIBLE * float(level.max())
    known = level <= floor
    phase = np.where(known, rng.uniform(-np.pi, np.pi, level.shape), 0.0)
    if floor > 0:
        steps = _phase_steps(grid, np.log(np.maximum(level, floor)), sft.onesided_fft)
        strongest_first = np.argsort(-level, axis=None, kind="stable")
        sft._plan.kernels.integrate_phase(level, strongest_first, *steps, phase, known)
    public = np.empty_like(phase)
    public[:, grid.order] = phase - 2 * np.pi * grid.f * grid.origin
    return public.T


def _phase_steps(grid: _Grid, L: Float64Array, onesided: bool) -> tuple[Float64Array, Float64Array]:
    """Return the differences of the phase to the next frame and to the next bin, by the trapezoidal rule."""
    gamma, rate = grid.gamma, grid.gamma_rate
    df = float(grid.f[1] - grid.f[0]) if grid.f.size > 1 else 1.0
    L_f, L_ff = _frequency_derivatives(L, df, onesided)
    change = _time_derivative(L, grid.t)
    a, in_gamma = change, np.zeros_like(change)
    if np.any(rate):
        for _ in range(_STEPS):
            a = change - rate * ((gamma * a) ** 2 - L_f**2 - L_ff) / (4 * np.pi * gamma**2)
        in_gamma = (_frequency_derivatives(a, df, onesided)[0] + 2 * a * L_f) / (4 * np.pi * gamma)
    in_time = 2 * np.pi * grid.f + L_f / gamma + rate * in_gamma
    in_frequency = -gamma * a
    time_step = (in_time[1:] + in_time[:-1]) / 2 * np.diff(grid.t, axis=0)
    return time_step, (in_frequency[:, 1:] + in_frequency[:, :-1]) / 2 * df


def _time_derivative(values: Float64Array, t: Float64Array) -> Float64Array:
    """Differentiate values (frames, ...) at the times `t`, (frames, 1), as parabolas through three frames do."""
    out = np.zeros_like(values)
    step = np.diff(t, axis=0)
    # frames at the same time have no derivative
    slope = np.divide(np.diff(values, axis=0), step, out=np.zeros_like(values[1:]), where=step != 0)
    if len(slope):
        out[0], out[-1] = slope[0], slope[-1]
    before, after = step[:-1], step[1:]
    both = np.where(before + after != 0, before + after, 1.0)
    out[1:-1] = (after * slope[:-1] + before * slope[1:]) / both
    return out


def _frequency_derivatives(values: Float64Array, df: float, onesided: bool) -> tuple[Float64Array, Float64Array]:
    """First and second derivative in frequency; a one-sided spectrum is an even function around 0 Hz."""
    if values.shape[1] == 1:
        return np.zeros_like(values), np.zeros_like(values)
    before = values[:, 1:2] if onesided else 2 * values[:, :1] - values[:, 1:2]
    after = 2 * values[:, -1:] - values[:, -2:-1]
    extended = np.concatenate([before, values, after], axis=1)
    first = (extended[:, 2:] - extended[:, :-2]) / (2 * df)
    return first, (extended[:, 2:] - 2 * values + extended[:, :-2]) / df**2
