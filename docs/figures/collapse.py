"""Positions of frames for a sequence of tones, with free positions and with guarantees."""

import matplotlib.pyplot as plt
import numpy as np

import adaptstft

signal = adaptstft.datasets.piecewise_tones()
n = signal.x.size
settings = {"window_mode": "time", "hop_mode": "time", "win_length": 577, "hop": 250, "mfft": 1500, "starts": 1}
settings |= {"criterion": adaptstft.criteria.Kurtosis(power=1, scope="frame"), "win_bounds": (20, 1500)}
free = adaptstft.optimize(signal.x, signal.fs, min_overlap=None, hop_bounds=(0, 1500), **settings)
guaranteed = adaptstft.optimize(signal.x, signal.fs, **settings)
fig, axes = plt.subplots(2, 1, sharex=True, sharey=True, figsize=(7, 4.2))
samples = np.arange(n)
for ax, res, title in zip(axes, (free, guaranteed), ("free positions", "positions with guarantees"), strict=True):
    reach = np.abs(samples[:, None] - res.positions) < res.win_length / 2
    ax.fill_between(samples / signal.fs, reach.sum(axis=1), step="mid", alpha=0.4, label="windows over a sample")
    ax.plot(res.positions / signal.fs, np.zeros(res.positions.size), "|", color="black", markersize=14, label="frames")
    for joint in signal.joints / signal.fs:
        ax.axvline(joint, color="gray", linestyle=":")
    empty = np.mean(~reach.any(axis=1))
    ax.set_title(f"{title}: criterion {res.fun:.3f}, {100 * empty:.0f} % of the samples in no window")
axes[0].set_ylim(top=17)
axes[0].legend(loc="upper left", ncols=2)
axes[1].set_xlabel("time in s")
