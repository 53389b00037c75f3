"""A window sampled at the integers, before and after its length and its time have changed by fractions."""

import matplotlib.pyplot as plt
import numpy as np

from adaptstft import windows

omega = windows.resolve("hann")
fig, axes = plt.subplots(1, 2, sharey=True, figsize=(7, 2.6))
for ax, length, centre in zip(axes, (12.0, 12.7), (10.0, 10.4), strict=True):
    fine, n = np.linspace(2, 19, 600), np.arange(2, 20)
    ax.plot(fine, omega((fine - centre) / length), color="tab:blue")
    ax.plot(n, omega((n - centre) / length), "o", color="tab:orange")
    ax.axvline(centre, color="gray", linestyle=":")
    ax.set_xticks(range(2, 20, 4))
    ax.set(xlabel="n in samples", title=rf"$\theta = {length:g}$, $t = {centre:g}$")
axes[0].set_ylabel(r"$\omega((n - t) / \theta)$")
