"""Samples of a window, before and after changes of its length and position by fractions of a sample."""

import matplotlib.pyplot as plt
import numpy as np

from adaptstft import windows

omega = windows.resolve("hann")
fig, axes = plt.subplots(1, 2, sharey=True, figsize=(7, 2.6))
for ax, win_length, position in zip(axes, (12.0, 12.7), (10.0, 10.4), strict=True):
    fine, n = np.linspace(2, 19, 600), np.arange(2, 20)
    ax.plot(fine, omega((fine - position) / win_length), color="tab:blue")
    ax.plot(n, omega((n - position) / win_length), "o", color="tab:orange")
    ax.axvline(position, color="gray", linestyle=":")
    ax.set_xticks(range(2, 20, 4))
    ax.set(xlabel="n in samples", title=rf"$\theta = {win_length:g}$, $t = {position:g}$")
axes[0].set_ylabel(r"$\omega((n - t) / \theta)$")
