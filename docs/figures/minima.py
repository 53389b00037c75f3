"""The criterion against the window length, and descents from two starts."""

import matplotlib.pyplot as plt
import numpy as np

import adaptstft

signal = adaptstft.datasets.close_tones_and_clicks(click_height=40.0)
positions = np.arange(0.0, signal.x.size, 16)


def entropy(length):
    """Shannon entropy of the spectrogram with one window length."""
    sft = adaptstft.AdaptiveShortTimeFFT(
        "hann", length, None, signal.fs, positions=positions, mfft=2048, scale_to="psd"
    )
    return sft.value_and_grad(signal.x, "shannon", wrt=())[0]


lengths = np.geomspace(32, 2000, 60)
fig, ax = plt.subplots()
ax.semilogx(lengths, [entropy(length) for length in lengths])
for start in (70.0, 400.0):
    res = adaptstft.optimize(
        signal.x, signal.fs, criterion="shannon", win_length=start, starts=1, hop=16, mfft=2048, win_bounds=(32, 2000)
    )
    ends = [start, res.win_length]
    ax.plot(ends, [entropy(length) for length in ends], "o-", label=f"from {start:g} to {res.win_length:.0f} samples")
ax.set(xlabel="window length in samples", ylabel="Shannon entropy in nat")
ax.legend()
