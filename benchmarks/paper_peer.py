"""Tuning of dstft by Adam, with the schedule of its tutorial."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import require, torch_with

#: Learning rates: that of the tutorial of dstft, and a tenth of it. Parameters are logits.
RATES = (1.0, 0.1)
#: Logit of the first hop that puts the first frame at the first sample.
_AT_ZERO = -14.0


@dataclass(frozen=True)
class Schedule:
    """Adam with ``ReduceLROnPlateau``; patience and factor of the tutorial of dstft, threshold of PyTorch.

    Attributes
    ----------
    rate : float
        Initial learning rate.
    patience, factor, threshold : int, float, float
        After `patience` steps without a relative gain of `threshold` the rate is multiplied by `factor`.
    last : float
        The run ends when the rate is below this fraction of the initial one; smaller steps change nothing.
    most : int
        Largest number of steps, as in the tutorial.
    """

    rate: float = 1.0
    patience: int = 9
    factor: float = 0.1
    threshold: float = 1e-4
    last: float = 1e-3
    most: int = 3000


@dataclass(frozen=True)
class Tuned:
    """Result of a run: the best of all steps.

    Attributes
    ----------
    win_length : float or ndarray
        One length, or one for each frame, in samples.
    positions : ndarray
        Centres of the frames in samples.
    start, value : float
        Criterion at the start and at the end, as dstft computed it.
    steps : int
        Number of steps.
    seconds : float
        Their processor time.
    """

    win_length: Any
    positions: Any
    start: float
    value: float
    steps: int
    seconds: float


def adam(
    experiment: Any, window_mode: str, hop_mode: str, bounds: Any, start: float, schedule: Schedule, workers: int
) -> Tuned:
    """Tune an experiment with dstft, from the same frames and within the same bounds as adaptstft.

    Parameters
    ----------
    experiment : Experiment
        See `benchmarks.paper`.
    window_mode, hop_mode : str
        Modes of lengths and hops.
    bounds : (float, float)
        Range of the window lengths in samples. The range of the hops is 0 to the FFT length.
    start : float
        Initial window length.
    schedule : Schedule
        The schedule.
    workers : int
        Threads.

    Returns
    -------
    Tuned
        The best step.
    """
    torch = torch_with(workers)
    module = require("dstft").DSTFT(
        n_fft=experiment.mfft,
        win_length=start,
        hop_length=float(experiment.hop),
        window_mode=window_mode,
        hop_mode=hop_mode,
        win_length_min=bounds[0],
        hop_length_min=0.0,
        hop_length_max=float(experiment.mfft),
    )
    x = torch.from_numpy(experiment.x)[None]
    module.initialize(x)
    if hop_mode == "time":  # by default the first frame is one hop late; keep it at sample 0, like ours
        with torch.no_grad():
            module._raw_hop_length[0] = _AT_ZERO
        module._raw_hop_length.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([0]), 0.0))
    loss_of = _kurtosis if experiment.criterion.name == "kurtosis" else _entropy
    optimizer = torch.optim.Adam(
        [parameter for parameter in module.parameters() if parameter.requires_grad], lr=schedule.rate
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=schedule.factor, patience=schedule.patience, threshold=schedule.threshold
    )
    began = time.process_time()
    first, best, steps = 0.0, (np.inf, None, None), 0
    while steps < schedule.most and optimizer.param_groups[0]["lr"] >= schedule.last * schedule.rate:
        optimizer.zero_grad()
        loss = loss_of(module(x)[0])
        loss.backward()
        value = float(loss.detach())
        first = first or value
        if value < best[0]:
            best = (value, module.win_length.detach().clone(), module.frame_centers().detach().clone())
        optimizer.step()
        plateau.step(value)
        steps += 1
    seconds = time.process_time() - began
    lengths = best[1].numpy().astype(float).ravel()
    one = window_mode in ("constant", "fixed")
    return Tuned(float(lengths[0]) if one else lengths, best[2].numpy().astype(float), first, best[0], steps, seconds)


def _kurtosis(magnitude: Any) -> Any:
    ratio = magnitude.pow(4).mean(1) / magnitude.pow(2).mean(1).pow(2)
    return 1 / ratio.mean()


def _entropy(magnitude: Any) -> Any:
    """Return the entropy of magnitudes, as in the tutorials of dstft."""
    share = magnitude / magnitude.sum()
    return -(share * share.log()).sum()
