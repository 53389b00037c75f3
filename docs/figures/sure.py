"""Estimated and true mean squared error of denoising against the window length."""

import matplotlib.pyplot as plt
import numpy as np

import adaptstft

FS = 8000.0
rng = np.random.default_rng(0)
t = np.arange(16000) / FS
clean = sum(np.sin(2 * np.pi * k * (150 * t + 8 * np.sin(2 * np.pi * 1.5 * t))) / k for k in (1, 2, 3))
noisy = clean + 0.4 * rng.standard_normal(t.size)
lengths = [2**k for k in range(6, 13)]
estimated, true = [], []
for length in lengths:
    y, info = adaptstft.denoise(noisy, FS, win_length=length, full_output=True)
    estimated.append(float(info.risk))
    true.append(np.mean((y - clean) ** 2))
fig, ax = plt.subplots()
ax.semilogx(lengths, true, "o-", label="true")
ax.semilogx(lengths, estimated, "s--", label="estimated")
ax.set(xlabel="window length in samples", ylabel="mean squared error", xticks=lengths, xticklabels=lengths)
ax.minorticks_off()
ax.legend()
