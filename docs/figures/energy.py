"""Window lengths over time for a tone with a burst of noise, with two choices of scaling and scope."""

import matplotlib.pyplot as plt
import numpy as np

import adaptstft

FS = 1000.0
t = np.arange(4000) / FS
burst = np.exp(-(((t - 2.0) / 0.3) ** 4))
x = np.cos(2 * np.pi * 120 * t) + burst * np.random.default_rng(0).standard_normal(t.size)
choices = {
    "no scaling, scope global": {"scale_to": None, "scope": "global", "smoothness": 0.02},
    "unit energy, scope local": {"scale_to": "psd", "scope": "local"},
}
fig, ax = plt.subplots()
for name, choice in choices.items():
    res = adaptstft.optimize(x, FS, window_mode="time", hop=16, win_bounds=(32, 512), criterion="renyi", **choice)
    ax.semilogy(res.positions / FS, res.win_length, label=name)
ax.axvspan(1.7, 2.3, color="gray", alpha=0.15, label="noise")
ax.set(xlabel="time in s", ylabel="window length in samples", xlim=(0, 4))
ax.set_yticks([32, 64, 128, 256, 512], labels=["32", "64", "128", "256", "512"])
ax.minorticks_off()
ax.legend()
