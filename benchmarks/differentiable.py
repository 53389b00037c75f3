"""The differentiable transforms of both packages with the same frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import adaptstft
from adaptstft.common.typing import Backend
from benchmarks.harness import Settings, largest_difference
from benchmarks.peers import require, torch_with


@dataclass(frozen=True)
class Problem:
    """Value and gradient of the Shannon entropy of ``|S|**2``, a problem for both sides.

    Attributes
    ----------
    x : ndarray, shape (n,) or (channels, n)
        The signal.
    mfft : int
        Length of the FFT, and the longest window.
    lengths : ndarray or float
        Window lengths: one, one for each frame, or shape (bins, frames).
    positions : ndarray
        Centres of the frames in samples.
    hop : int
        Distance of the centres, on average if they are tuned.
    window_mode, hop_mode : str
        Modes of the lengths and hops, with the names of dstft.
    """

    x: Any
    mfft: int
    lengths: Any
    positions: Any
    hop: int
    window_mode: str
    hop_mode: str = "fixed"

    @classmethod
    def at_hop(cls, x: Any, mfft: int, hop: int, window_mode: str, *, tune_hops: bool = False) -> Problem:
        """Make a problem with the frames of dstft for a hop, and window lengths that vary slowly."""
        n = x.shape[-1]
        frames = 1 + n // hop
        bins = mfft // 2 + 1
        p, q = np.arange(frames), np.arange(bins)[:, None]
        wave = np.sin(0.05 * p)
        lengths: Any = mfft * 0.7
        if window_mode == "time":
            lengths = mfft * (0.7 + 0.25 * wave)
        elif window_mode == "time-frequency":
            lengths = mfft * (0.65 + 0.2 * wave + 0.1 * np.cos(0.03 * q))
        if not tune_hops:
            return cls(x, mfft, lengths, p * float(hop), hop, window_mode)
        # the first frame of dstft is one hop after the first sample; the last one must be inside the signal too
        hops = (1 + 0.1 * wave) * (n - 1) / (1 + 0.1 * wave).sum()
        return cls(x, mfft, lengths, np.cumsum(hops), hop, window_mode, "time")

    @property
    def wrt(self) -> tuple[Any, ...]:
        """Parameters for the gradient of adaptstft."""
        return ("win_length", "positions") if self.hop_mode == "time" else ("win_length",)

    def transform(self, workers: int, backend: Backend = "auto") -> adaptstft.AdaptiveShortTimeFFT:
        """Return our transform."""
        return adaptstft.AdaptiveShortTimeFFT(
            "hann",
            self.lengths,
            None,
            1.0,
            positions=self.positions,
            max_length=self.mfft,
            mfft=self.mfft,
            workers=workers,
            backend=backend,
        )

    def step(self, workers: int) -> Callable[[], Any]:
        """Return our function of a tuning step: value and gradient for new lengths.

        The parts of the transform that do not change are made once, like the module of dstft.
        """
        start = self.transform(workers)
        return lambda: start.remade(win_length=self.lengths).value_and_grad(self.x, "shannon", wrt=self.wrt)


class Peer:
    """The side of dstft of a problem.

    Its parameters are logits. The hop is in the middle of its range, so its
    value is exact.
    """

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.problem = problem
        self.torch = torch_with(settings.workers)
        self.shortest, self.hops = problem.mfft / 16, (1.0, 2.0 * problem.hop - 1)
        self.module = require("dstft").DSTFT(
            n_fft=problem.mfft,
            win_length=problem.mfft * 0.7,
            hop_length=float(problem.hop),
            window_mode=problem.window_mode,
            hop_mode=problem.hop_mode,
            hop_length_min=self.hops[0],
            hop_length_max=self.hops[1],
            win_length_min=self.shortest,
            magnitude_power=2.0,
        )
        self.x = self.torch.from_numpy(np.atleast_2d(problem.x))
        self.module.initialize(self.x)
        self._set(self.module._raw_win_length, problem.lengths, self.shortest, problem.mfft)
        if problem.hop_mode == "time":
            self._set(self.module._raw_hop_length, np.diff(problem.positions, prepend=0.0), *self.hops)

    def _set(self, raw: Any, values: Any, low: float, high: float) -> None:
        share = (np.broadcast_to(values, raw.shape) - low) / (high - low)
        with self.torch.no_grad():
            raw.copy_(self.torch.from_numpy(np.log(share / (1 - share))))

    def evaluate(self) -> float:
        """Run forward and backward pass; the entropy is that of the tutorials of dstft, also its fastest form."""
        self.module.zero_grad(set_to_none=True)
        power, _ = self.module(self.x)
        share = power / power.sum()
        loss = -(share * share.log()).sum()
        loss.backward()
        return float(loss.detach())

    def same_problem(self) -> Problem:
        """Return the problem with the parameters as dstft rounds them."""
        p = self.problem
        lengths = self.module.win_length.detach().numpy().astype(float)
        lengths = lengths if p.window_mode == "time-frequency" else lengths[0]
        lengths = float(lengths[0]) if p.window_mode == "constant" else lengths
        positions = self.module.frame_centers().detach().numpy().astype(float)
        return replace(p, lengths=lengths, positions=positions)

    def agreement(self, workers: int) -> dict[str, Any]:
        """Compare ``|S|``, the entropy and its gradients."""
        same = self.same_problem()
        sft = same.transform(workers)
        value, gradient = same.step(workers)()
        with self.torch.no_grad():
            theirs = self.module(self.x)[1][0].abs().numpy()
        ours = np.abs(sft.stft(same.x))
        agreement: dict[str, Any] = {
            "shape": list(ours.shape),
            "their_shape": list(theirs.shape),
            "dtype": str(ours.dtype),
        }
        agreement["S_difference"] = largest_difference(ours, theirs)
        agreement["value"], agreement["their_value"] = float(value), self.evaluate()
        logit_gradient = self._logit_gradient(np.asarray(same.lengths), self.shortest, same.mfft)
        raw = self.module._raw_win_length.grad.numpy().reshape(np.shape(same.lengths))
        agreement["length_gradient_difference"] = largest_difference(gradient.win_length * logit_gradient, raw)
        if same.hop_mode == "time":
            hops = np.diff(same.positions, prepend=0.0)
            logit_gradient = self._logit_gradient(hops, *self.hops)
            hop_gradient = np.cumsum(gradient.positions[::-1])[::-1]
            agreement["hop_gradient_difference"] = largest_difference(
                hop_gradient * logit_gradient, self.module._raw_hop_length.grad.numpy()
            )
        return agreement

    @staticmethod
    def _logit_gradient(values: Any, low: float, high: float) -> Any:
        share = (values - low) / (high - low)
        return (high - low) * share * (1 - share)
