"""A signal as channels, with the frames of a transform, on the host and in double precision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstft.common.levels import times_power_of_two, to_usual_level
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.common.validation import as_signal
from adaptstft.engine.bins import bin_numbers
from adaptstft.engine.plan import FramePlan
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.transforms.axes import SignalLayout, spectra_to_public

#: Largest standard deviation of noise relative to the signal, whose square does not overflow.
_MOST_NOISE = 1e50


@dataclass(frozen=True)
class FramedSignal:
    """A signal and the frames of a transform.

    Attributes
    ----------
    layout : SignalLayout
        Channels and frames.
    plan : FramePlan
        Plan with unscaled windows. Bins are stored with the values that the FFT computes.
    win_duration : ndarray, shape (frames, 1) or (frames, f_pts)
        Window lengths in seconds.
    centre_time : ndarray, shape (frames, 1)
        Centres of the windows in seconds.
    f : ndarray, shape (f_pts,)
        Frequencies of the bins in Hz.
    single : bool
        Whether the signal of the user was in single precision.
    exponent : int
        The channels are the signal divided by ``2**exponent``: powers of very small or large samples would underflow or
        overflow. 0 for all usual signals.
    """

    layout: SignalLayout
    plan: FramePlan
    win_duration: Float64Array
    centre_time: Float64Array
    f: Float64Array
    single: bool
    exponent: int

    def to_public(self, values: AnyArray) -> AnyArray:
        """Return values of shape (channels, frames, f_pts) in shape (..., f_pts, frames)."""
        return spectra_to_public(values, self.layout.lead, -2)


def host_transform(sft: Any) -> AdaptiveShortTimeFFT:
    """Check the type of a transform; return it, or an equal transform on the host if it uses CUDA."""
    if not isinstance(sft, AdaptiveShortTimeFFT):
        raise TypeError(
            f"sft={type(sft).__name__} must be an AdaptiveShortTimeFFT, such as the sft of a TuningResult; "
            "AdaptiveShortTimeFFT.from_scipy makes one from a transform of SciPy"
        )
    return sft.remade(backend="auto") if sft.backend == "cuda" else sft


def frame_signal(sft: AdaptiveShortTimeFFT, x: Any, axis: int) -> FramedSignal:
    """Check a signal and lay it out in the frames of a transform on the host."""
    signal, _ = as_signal(x, axis, onesided=sft.onesided_fft)
    single = signal.real.dtype == np.float32
    signal, exponent = to_usual_level(signal)
    layout = sft._signal_layout(signal, None, None, 0, "zeros", -1)
    mode = "onesided" if sft.onesided_fft else sft.fft_mode
    plan = replace(layout.plan, scaling=None, fft_mode=mode)
    frames = layout.frames
    durations, times = frames.length_rows * sft.T, frames.centre[:, np.newaxis] * sft.T
    return FramedSignal(layout, plan, durations, times, sft.f, single, exponent)


def scaled_noise(channels: AnyArray, exponent: int, noise_std: float) -> float:
    """Return the deviation of the noise in the scale of channels that are ``x / 2**exponent``; its square is finite."""
    peak = float(np.abs(channels).max()) or 1.0
    with np.errstate(over="ignore"):
        noise = float(times_power_of_two(np.asarray(noise_std), -exponent))
        largest = float(times_power_of_two(np.asarray(_MOST_NOISE * peak), exponent))
    if noise > _MOST_NOISE * peak:
        raise ValueError(f"{noise_std=} must be at most {_MOST_NOISE:g} times the largest magnitude of x, {largest:g}")
    return noise


def check_continuous_window(sft: AdaptiveShortTimeFFT) -> None:
    """Raise unless the window is continuous: its derivative must exist everywhere."""
    try:
        sft.window.check_tunable()
    except ValueError as error:
        raise ValueError(
            f"window {sft.window.label} is not continuous, so its derivative does not give instantaneous frequencies: "
            "it must fall to at most 0.1 at its ends, as 'hann' and 'gaussian' do"
        ) from error


def stft_of(sft: AdaptiveShortTimeFFT, framed: FramedSignal) -> ComplexArray:
    """Return ``sft.stft`` of the signal, with its scaling and phases, shape (channels, frames, f_pts)."""
    S = sft.stft(framed.layout.channels[:, : framed.layout.n])
    return np.swapaxes(times_power_of_two(S, framed.exponent), -1, -2)


def phase_from_centre(framed: FramedSignal) -> ComplexArray:
    """Return factors that move the origin of the phase to the window's centre, shape (1 or frames, f_pts)."""
    lag = framed.layout.frames.phase_lag
    return np.asarray(np.exp(2j * np.pi / framed.plan.mfft * lag[:, np.newaxis] * bin_numbers(framed.plan)))
