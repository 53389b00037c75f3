"""Processor time of tuning in all window modes, against plain transforms, dstft's Adam and the recording's length."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.signal

import adaptstft
from benchmarks.cases_memory import reset_peak, resident
from benchmarks.harness import Case, Figure, Row, Settings, Target

FS = 16_000.0
#: Most plain transforms that tuning may cost, by window mode.
_MOST = {"constant": 60, "time": 150, "frequency": 200, "time-frequency": 400}
#: Most seconds by the clock for a minute.
_MINUTE = {"time": 10.0, "time-frequency": 40.0}
#: Sampling rate and most megabytes beyond the signal for a minute.
_MEMORY = {"time": (48_000.0, 200.0), "time-frequency": (16_000.0, 1000.0)}


def voice(seconds: float, fs: float = FS) -> Any:
    """Make a signal like a voice: a gliding train of pulses through three resonances, with pauses and noise."""
    n, rng = int(seconds * fs), np.random.default_rng(0)
    t = np.arange(n) / fs
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t) + 10 * np.sin(2 * np.pi * 2.9 * t)
    x = np.diff(np.floor(np.cumsum(pitch) / fs), prepend=0.0)
    for frequency, width in ((600, 80), (1300, 120), (2600, 200)):
        pole = np.exp(-np.pi * width / fs) * np.exp(2j * np.pi * frequency / fs)
        x = scipy.signal.lfilter([1.0], np.poly([pole, pole.conjugate()]).real, x)
    x = x / np.abs(x).max() * (np.sin(2 * np.pi * 0.9 * t) > -0.6)
    return x + 1e-3 * rng.standard_normal(n)


def _timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return processor time and time by the clock of one call, and its result."""
    start, begin = time.process_time(), time.perf_counter()
    result = call()
    return time.process_time() - start, time.perf_counter() - begin, result


def _peak(call: Callable[[], Any]) -> tuple[float, float | None]:
    """Return processor time of one call, and the megabytes that it takes at most, where the system tells them."""
    before = resident("VmRSS")
    if before is not None:
        reset_peak()
    seconds = _timed(call)[0]
    return seconds, None if before is None else ((resident("VmHWM") or 0) - before) / 1e6


def _tune(x: Any, mode: str, workers: int, fs: float = FS) -> Any:
    return adaptstft.optimize(x, fs, window_mode=mode, workers=workers)  # type: ignore[arg-type]


def _plain(x: Any, result: Any) -> Callable[[], Any]:
    """Return one plain transform with the frames and the FFT length of a result."""
    length = float(np.median(result.win_length))
    sft = adaptstft.AdaptiveShortTimeFFT(
        "hann", length, None, FS, positions=result.positions, mfft=result.sft.mfft, scale_to="psd", workers=1
    )
    return lambda: sft.stft(x)


def _against_plain(settings: Settings) -> list[Row]:
    x = voice(settings.size(4, 1) * 1.0)
    rows = []
    for mode, most in _MOST.items():
        plain = _plain(x, _tune(x, mode, settings.workers))
        tuned, plains = [], []
        for _ in range(settings.size(5, 1)):  # interleaved, so that other load slows both down
            seconds, _, result = _timed(partial(_tune, x, mode, settings.workers))
            tuned.append(seconds)
            plains += [_timed(plain)[0] for _ in range(6)][1:]
        ours, theirs = statistics.median(tuned), statistics.median(plains)
        rows.append(
            Row(
                f"tuning-{mode}",
                f"optimize, {x.size / FS:g} s at 16 kHz, window_mode={mode!r}, processor time",
                "one plain transform",
                Figure(ours),
                Figure(theirs),
                Figure(ours / theirs, "x"),
                Target(most, at_least=False),
                detail={"nfev": result.nfev, "hop": result.hop, "mfft": result.sft.mfft},
            )
        )
    return rows


def _minute(settings: Settings) -> list[Row]:
    x, rows = voice(settings.size(60, 2) * 1.0), []
    for mode, most in _MINUTE.items():
        _tune(x[: int(FS)], mode, settings.workers)
        _, clock, result = _timed(partial(_tune, x, mode, settings.workers))
        work = f"optimize, {x.size / FS:g} s at 16 kHz, window_mode={mode!r}, by the clock"
        seconds = Figure(clock)
        detail = {"frames": result.positions.size, "mfft": result.sft.mfft}
        rows.append(Row("tuning-minute", work, "", seconds, None, seconds, Target(most, at_least=False), detail=detail))
    return rows


def _growth(settings: Settings) -> list[Row]:
    """Fit the exponent of the processor time in the duration, in mode ``"time"``, and measure the memory."""
    durations = [1.0, 2.0] if settings.quick else [1.0, 10.0, 60.0, 600.0]
    seconds, megabytes = [], []
    for duration in durations:
        x, each = voice(duration), []
        for _ in range(3 if duration < 60 else 1):
            each.append(_peak(partial(_tune, x, "time", settings.workers)))
        seconds.append(statistics.median(one for one, _ in each))
        megabytes += [peak for _, peak in each[-1:] if peak is not None]
    exponent = float(np.polyfit(np.log(durations), np.log(seconds), 1)[0])
    work = f"exponent of processor time, window_mode='time', {durations[0]:g} s to {durations[-1]:g} s"
    detail = {"durations": durations, "seconds": seconds, "megabytes": megabytes}
    return [
        Row("tuning-growth", work, "", None, None, Figure(exponent, ""), Target(1.1, at_least=False), detail=detail)
    ]


def _memory(settings: Settings) -> list[Row]:
    rows = []
    for mode, (fs, most) in _MEMORY.items():
        x = voice(settings.size(60, 2) * 1.0, fs)
        _tune(x[: int(fs)], mode, settings.workers, fs)  # loads kernels, starts threads
        _, peak = _peak(partial(_tune, x, mode, settings.workers, fs))
        work = f"optimize, {x.size / fs:g} s at {fs / 1000:g} kHz, window_mode={mode!r}, peak beyond the signal"
        figure = None if peak is None else Figure(peak, "MB")
        problem = "" if peak is not None else "this system does not tell the peak of the memory"
        target = Target(most, at_least=False)
        rows.append(Row("tuning-memory", work, "", figure, None, figure, target, problem=problem))
    return rows


CASES = (
    Case("tuning", "tuning in all window modes, against one plain transform", _against_plain),
    Case("tuning-minute", "tuning of one minute, by the clock", _minute),
    Case("tuning-growth", "growth of the time with the duration", _growth),
    Case("tuning-memory", "peak memory of tuning of one minute", _memory),
)
