"""Transforms with windows of fixed length and their inverses, against SciPy and other packages."""

from __future__ import annotations

import dataclasses
import importlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.fft

import adaptstft
from benchmarks.harness import Case, Rival, Row, Settings, Target, largest_difference, race, sound
from benchmarks.peers import require, torch_with

_Transform = Callable[[], Any]


def _scipy_signal() -> Any:
    # a slow import, which other benchmarks do not need
    return importlib.import_module("scipy.signal")


@dataclasses.dataclass(frozen=True)
class Plain:
    """A transform with a window of fixed length.

    Attributes
    ----------
    x : ndarray
        The signal.
    length, hop : int
        Window length and hop in samples.
    workers : int
        Number of threads.
    """

    x: Any
    length: int
    hop: int
    workers: int

    @property
    def window(self) -> Any:
        """Periodic Hann window, in the precision of the signal."""
        return _scipy_signal().get_window("hann", self.length).astype(self.x.dtype)

    def scipy_like(self, module: Any, **more: Any) -> Any:
        """Make the transform of SciPy, or ours with the same arguments."""
        return module.ShortTimeFFT(self.window, self.hop, 1.0, **more)

    def fft_alone(self) -> _Transform:
        """SciPy's FFTs of the frames, which are in memory: what a transform on them takes at least."""
        padded = np.pad(self.x, self.length // 2)
        frames = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, self.length)[:: self.hop])
        return lambda: scipy.fft.rfft(frames, workers=self.workers)

    def torch(self) -> tuple[_Transform, _Transform]:
        """``torch.stft`` and its inverse."""
        torch = torch_with(self.workers)
        x, window = torch.from_numpy(self.x), torch.from_numpy(self.window)

        def forward() -> Any:
            return torch.stft(x, self.length, self.hop, window=window, pad_mode="constant", return_complex=True)

        S = forward()
        return forward, lambda: torch.istft(S, self.length, self.hop, window=window, length=self.x.size)

    def librosa(self) -> tuple[_Transform, _Transform]:
        """``librosa.stft`` and its inverse."""
        librosa = require("librosa")
        sizes = {"n_fft": self.length, "hop_length": self.hop, "window": "hann"}

        def forward() -> Any:
            return librosa.stft(self.x, pad_mode="constant", dtype=np.complex128, **sizes)

        S = forward()
        return forward, lambda: librosa.istft(S, length=self.x.size, dtype=np.float64, **sizes)

    def ssqueezepy(self) -> tuple[_Transform, _Transform]:
        """``ssqueezepy.stft`` and its inverse."""
        logging.disable(logging.WARNING)  # it logs missing optional packages
        ssqueezepy = require("ssqueezepy")
        sizes = {"window": self.window, "n_fft": self.length, "hop_len": self.hop, "modulated": False}

        def forward() -> Any:
            return ssqueezepy.stft(self.x, fs=1.0, padtype="zero", dtype="float64", **sizes)

        S = forward()
        return forward, lambda: ssqueezepy.istft(S, N=self.x.size, **sizes)


def _same_transform(ours: Any, S: Any, theirs: Any) -> dict[str, Any]:
    """Compare magnitudes on the common frames; theirs begin at sample 0."""
    mine, theirs = np.abs(S[:, -ours.p_min :]), np.abs(np.asarray(theirs))
    both = min(mine.shape[1], theirs.shape[1])
    return {
        "shape": list(S.shape),
        "their_shape": list(theirs.shape),
        "S_difference": largest_difference(theirs[:, :both], mine[:, :both]),
    }


def _same_signal(x: Any, back: Any) -> dict[str, Any]:
    """Compare an inverse with the signal."""
    back = np.asarray(back)
    return {"shape": list(x.shape), "their_shape": list(back.shape), "x_difference": largest_difference(back, x)}


def _rivals(plain: Plain, ours: Any, S: Any, inverse: int, target: float) -> list[Rival]:
    """Return SciPy and PyTorch with targets, and others without; in single precision PyTorch and SciPy's FFTs."""
    other = plain.scipy_like(_scipy_signal())

    def scipy() -> _Transform:
        return (lambda: other.istft(S, k1=plain.x.size)) if inverse else (lambda: other.stft(plain.x))

    def same_as_scipy() -> dict[str, Any]:
        call = scipy()
        if inverse:
            return _same_signal(ours.istft(S, k1=plain.x.size), call())
        theirs = call()
        shapes = {"shape": list(S.shape), "their_shape": list(theirs.shape)}
        return {**shapes, "S_difference": largest_difference(theirs, S)}

    def same(pair: Callable[[], tuple[_Transform, _Transform]]) -> dict[str, Any]:
        result = pair()[inverse]()
        return _same_signal(plain.x, result) if inverse else _same_transform(ours, S, result)

    def package(label: str, pair: Callable[[], tuple[_Transform, _Transform]], bound: Target | None = None) -> Rival:
        name = f"{label}.{'istft' if inverse else 'stft'}"
        return Rival(name, lambda: pair()[inverse], bound, check=partial(same, pair))

    some = [package("torch", plain.torch, Target(1.0))]
    if not inverse:
        some.append(Rival("scipy.fft.rfft of the frames alone", plain.fft_alone))
    if plain.x.dtype == np.float32:
        return some
    return [
        Rival("scipy.signal.ShortTimeFFT", scipy, Target(target), check=same_as_scipy),
        *some,
        package("librosa", plain.librosa),
        package("ssqueezepy", plain.ssqueezepy),
    ]


def _race(settings: Settings, plain: Plain, inverse: int, target: float) -> list[Row]:
    ours = plain.scipy_like(adaptstft, workers=plain.workers)
    S = ours.stft(plain.x)

    def prepare() -> _Transform:
        return (lambda: ours.istft(S, k1=plain.x.size)) if inverse else (lambda: ours.stft(plain.x))

    work = f"{'istft' if inverse else 'stft'}, {plain.x.size:,} samples, {plain.length}/{plain.hop}, {plain.x.dtype}"
    return race(settings, "scipy-stft", work, prepare, _rivals(plain, ours, S, inverse, target))


def _run(settings: Settings) -> list[Row]:
    rows: list[Row] = []
    for dtype in (np.float64, np.float32):
        x = sound(settings.size(480_000, 20_000), dtype)
        for length, hop, targets in ((1024, 256, (6, 6)), (256, 64, (15, 6))):
            plain = Plain(x, length, hop, settings.workers)
            for inverse, target in enumerate(targets):
                rows += _race(settings, plain, inverse, target)
    return rows


CASES = (Case("scipy-stft", "stft and istft with windows of fixed length, against SciPy and others", _run),)
