"""The criterion of one click against the window length, for two scopes."""

import matplotlib.pyplot as plt
import numpy as np

import adaptstft
from adaptstft.criteria import Shannon

signal = adaptstft.datasets.click()
lengths = np.geomspace(16, 1024, 40)
fig, ax = plt.subplots()
for scope in ("frame", "global"):
    values = []
    for length in lengths:
        sft = adaptstft.AdaptiveShortTimeFFT(
            "hann", length, None, signal.fs, positions=np.arange(0.0, 4001, 4), mfft=1024, scale_to="psd"
        )
        values.append(sft.value_and_grad(signal.x, Shannon(scope=scope), wrt=())[0])
    ax.semilogx(lengths, np.array(values) - values[0], label=f'scope="{scope}"')
ax.set(xlabel="window length in samples", ylabel="change of the entropy in nat")
ax.legend()
