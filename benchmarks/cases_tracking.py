"""Synchrosqueezing and ridges against ssqueezepy: time, concentration, and the error of the frequency."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import adaptstft
from benchmarks.harness import Case, Rival, Row, Settings, Target, race
from benchmarks.peers import require

#: One thread for both sides: threads of Numba that wait for each other on a busy machine are many times slower.
_ONE_THREAD = {name: "1" for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")} | {"SSQ_PARALLEL": "0"}


@dataclass(frozen=True)
class Track:
    """A component in noise and its window, the same for both sides, with one thread.

    Attributes
    ----------
    signal : Signal
        The component, with its true frequency.
    length, mfft : int
        Length of the periodic Hann window and of the FFT. The hop is 1, the only one that ssqueezepy inverts.
    """

    signal: Any
    length: int
    mfft: int

    @property
    def sft(self) -> Any:
        """Our transform, with one slice at each sample of the signal."""
        n = self.signal.x.size
        arguments = {"positions": np.arange(float(n)), "mfft": self.mfft, "workers": 1}
        return adaptstft.AdaptiveShortTimeFFT("hann", float(self.length), None, self.signal.fs, **arguments)

    def ours(self, order: int) -> Callable[[], Any]:
        """Return our synchrosqueezing."""
        sft, x = self.sft, self.signal.x
        return lambda: adaptstft.synchrosqueeze(sft, x, order=order).S

    def theirs(self) -> Callable[[], Any]:
        """Return that of ssqueezepy, which has only the first order."""
        ssqueezepy = _ssqueezepy()
        window = importlib.import_module("scipy.signal").get_window("hann", self.length)
        options = {"window": window, "n_fft": self.mfft, "fs": self.signal.fs, "padtype": "zero", "dtype": "float64"}
        return lambda: ssqueezepy.ssq_stft(self.signal.x, **options)[:4]

    def error(self, frequency: Any) -> float:
        """Return the RMS error of a frequency at each sample in Hz, without one window length at both ends."""
        inner = slice(self.length, -self.length)
        return float(np.sqrt(np.mean((np.asarray(frequency) - self.signal.frequency[0])[inner] ** 2)))

    def quality(self, squeezed: Any, f: Any) -> dict[str, float]:
        """Return the Rényi entropy (order 3, in bits, smaller is better) and the error of the largest bins."""
        power = np.abs(squeezed) ** 2
        power /= power.sum()
        return {"renyi_bits": float(-0.5 * np.log2(np.sum(power**3))), "rms_hz": self.error(f[power.argmax(axis=0)])}


def _ssqueezepy() -> Any:
    logging.disable(logging.WARNING)  # it logs missing optional packages
    return require("ssqueezepy")


def _tracks(settings: Settings, seconds: int) -> list[Track]:
    duration = settings.size(seconds, 1)
    made = [
        adaptstft.datasets.run_up(duration=duration, noise_std=0.5),
        adaptstft.datasets.sinusoidal_fm(duration=duration, noise_std=0.5),
    ]
    return [Track(signal, 200, 512) for signal in made]


def _squeeze(settings: Settings) -> list[Row]:
    rows: list[Row] = []
    for track in _tracks(settings, 6):
        for order in (1, 2):

            def check(track: Track = track, order: int = order) -> dict[str, Any]:
                theirs = track.theirs()()
                ours = track.quality(track.ours(order)(), track.sft.f)
                return {"ours": ours, "theirs": track.quality(theirs[0], np.asarray(theirs[2]))}

            work = (
                f"synchrosqueezing of order {order}, {track.signal.name}, {track.signal.x.size:,} samples, one thread"
            )
            target = Target(1.0 if order == 1 else 2 / 3)
            rival = Rival("ssqueezepy.ssq_stft, order 1", track.theirs, target, check=check)
            rows += race(settings, "synchrosqueeze", work, lambda t=track, o=order: t.ours(o), [rival])  # type: ignore[misc]
    return rows


def _ridges(settings: Settings) -> list[Row]:
    rows: list[Row] = []
    for track in _tracks(settings, 2):  # ssqueezepy takes seconds for each
        sft, x = track.sft, track.signal.x

        def theirs(track: Track = track) -> Callable[[], Any]:
            ssqueezepy, squeeze = _ssqueezepy(), track.theirs()

            def follow() -> Any:
                _, S, _, f = squeeze()
                path = ssqueezepy.extract_ridges(S, f, penalty=2.0, n_ridges=1, transform="stft")
                return np.asarray(f)[path[:, 0]]

            return follow

        def ours(sft: Any = sft, x: Any = x) -> Callable[[], Any]:
            return lambda: adaptstft.ridges(sft, x, max_rate=1000.0).frequency[0]

        def check(track: Track = track, ours: Any = ours, theirs: Any = theirs) -> dict[str, Any]:
            return {"rms_hz": track.error(ours()()), "their_rms_hz": track.error(theirs()())}

        work = f"one ridge with its transform, {track.signal.name}, {x.size:,} samples, hop 1, one thread"
        rival = Rival("ssqueezepy.extract_ridges", theirs, Target(1.0), check=check)
        rows += race(settings, "ridges", work, ours, [rival])
    return rows


CASES = (
    Case("synchrosqueeze", "synchrosqueezing with a window of fixed length, against ssqueezepy", _squeeze, _ONE_THREAD),
    Case("ridges", "a ridge with a window of fixed length, against ssqueezepy", _ridges, _ONE_THREAD),
)
