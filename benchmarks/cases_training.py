"""A training step with the PyTorch layer, against the module of dstft with the same loss."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.differentiable import Peer, Problem
from benchmarks.harness import Case, Rival, Row, Settings, Target, largest_difference, race, sound
from benchmarks.peers import torch_with


class Layer:
    """Our side of a problem: entropy of the spectrogram, and its gradient in the parameters of the layer."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.torch = torch_with(settings.workers)
        from adaptstft.torch import AdaptiveSTFT  # after the peer: if that is missing, its row says so

        self.layer = AdaptiveSTFT(
            problem.mfft,
            problem.hop,
            win_length=problem.lengths,
            win_bounds=(problem.mfft / 16, problem.mfft),
            scale_to=None,
            workers=settings.workers,
        )
        self.x = self.torch.from_numpy(problem.x)[None]

    def evaluate(self) -> float:
        """Run forward and backward pass and return the loss."""
        self.layer.zero_grad(set_to_none=True)
        power = self.layer(self.x)
        share = power / power.sum()
        loss = -(share * share.log()).sum()
        loss.backward()
        return float(loss.detach())

    def length_gradient(self) -> Any:
        """Return the derivative of the last loss in the window lengths, from that in the raw parameters."""
        raw = self.layer.win_length.raw.detach().requires_grad_()
        lengths = self.torch.func.functional_call(self.layer.win_length, {"raw": raw})
        (gradient,) = self.torch.autograd.grad(lengths.sum(), raw)
        return (self.layer.win_length.raw.grad / gradient).numpy()


def _agreement(problem: Problem, peer: Peer, settings: Settings) -> dict[str, Any]:
    same = peer.same_problem()
    ours = Layer(same, settings)
    agreement = {"value": ours.evaluate(), "their_value": peer.evaluate()}
    theirs = peer.module._raw_win_length.grad.numpy().reshape(same.lengths.shape)
    gradient = peer._logit_gradient(same.lengths, peer.shortest, same.mfft)
    agreement["length_gradient_difference"] = largest_difference(ours.length_gradient() * gradient, theirs)
    return agreement


def _row(settings: Settings, name: str, how: str, samples: int, mfft: int, hop: int) -> Row:
    problem = Problem.at_hop(sound(samples), mfft, hop, "time")
    peers: list[Peer] = []

    def prepare() -> Any:
        peers.append(Peer(problem, settings))
        return peers[0].evaluate

    rival = Rival("dstft", prepare, Target(5), check=lambda: _agreement(problem, peers[0], settings))
    size = f"{samples:,} samples, {mfft}/{hop}, {problem.x.dtype}"
    work = f"PyTorch{how}: forward and backward, one length a frame, {size}"
    (row,) = race(settings, name, work, lambda: Layer(problem, settings).evaluate, [rival])
    return row


def _run(settings: Settings, name: str, how: str) -> list[Row]:
    return [
        _row(settings, name, how, settings.size(480_000, 20_000), 1024, 256),
        _row(settings, name, how, settings.size(22_000, 5_000), 1500, 50),
    ]


#: Without this, idle threads of PyTorch keep cores busy for milliseconds after each operation.
_PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}

CASES = (
    Case(
        "training",
        "a step of training with the PyTorch layer, against dstft",
        partial(_run, name="training", how=""),
    ),
    Case(
        "training-passive",
        "the same with sleeping idle threads of PyTorch (OMP_WAIT_POLICY=PASSIVE)",
        partial(_run, name="training-passive", how=", OMP_WAIT_POLICY=PASSIVE"),
        _PASSIVE,
    ),
)
