"""Spectrograms and window lengths of two beating tones, with free edges of the windows and with edges in order."""

import matplotlib.pyplot as plt
import numpy as np

import adaptstft

FS = 1000.0
t = np.arange(3000) / FS
x = np.cos(2 * np.pi * 100 * t) + np.cos(2 * np.pi * 104 * t) + 0.01 * np.random.default_rng(0).standard_normal(t.size)
settings = {"window_mode": "time", "hop": 10, "win_bounds": (60, 1500), "criterion": "renyi"}
choices = {"free edges": {"min_overlap": None, "smoothness": 0}, "edges in order, the default": {}}
fig, axes = plt.subplots(2, 2, sharex=True, sharey="row", figsize=(8, 5), layout="constrained")
for (above, below), (title, choice) in zip(axes.T, choices.items(), strict=True):
    res = adaptstft.optimize(x, FS, **settings, **choice)
    power = res.sft.spectrogram(x)
    level = 10 * np.log10(power / power.max() + 1e-12)
    above.pcolormesh(res.positions / FS, res.sft.f, level, vmin=-50, shading="nearest")
    above.set(title=f"{title}: criterion {res.area_fun:.2f}", ylim=(80, 125))
    below.semilogy(res.positions / FS, res.win_length)
    below.set(xlabel="time in s", xlim=(0, 3), xticks=range(4))
axes[0, 0].set_ylabel("frequency in Hz")
axes[1, 0].set_ylabel("window length in samples")
