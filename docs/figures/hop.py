"""The criterion as an integral and as a plain sum against the hop, for one window."""

import matplotlib.pyplot as plt
import numpy as np

import adaptstft

LENGTH = 240.0
signal = adaptstft.datasets.decaying_tones_with_clicks()
hops = LENGTH * np.geomspace(1 / 16, 1, 25)
settings = {"window_mode": "fixed", "win_length": LENGTH, "mfft": 512, "min_overlap": None, "criterion": "renyi"}
results = [adaptstft.optimize(signal.x, signal.fs, hop=hop, **settings) for hop in hops]
fig, axes = plt.subplots(1, 2, sharex=True, figsize=(7, 2.8))
for ax, name, title in zip(axes, ("area_fun", "fun"), ("as an integral", "as a plain sum"), strict=True):
    ax.semilogx(hops / LENGTH, [result[name] for result in results], ".-")
    ax.axvline(0.5, color="gray", linestyle=":")
    ax.set(xlabel="hop in window lengths", ylabel="Rényi entropy in nat", title=title)
