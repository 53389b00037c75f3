"""Claimed and true errors of the inverse with windows per frequency or bin, for random settings in both precisions."""

import matplotlib.pyplot as plt
import numpy as np

import adaptstft

COUNT = 125


def setting(rng):
    """Return a random transform and the number of samples of a signal."""
    n, mfft = int(rng.integers(40, 96)), int(rng.choice([16, 24, 32]))
    hop = float(rng.uniform(2, 9))
    bins = mfft // 2 + 1
    typical = np.clip(hop * np.exp(rng.uniform(-0.1, 1.2)), 4, mfft)
    shape = (bins, 1) if rng.random() < 0.6 else (bins, adaptstft.AdaptiveShortTimeFFT("hann", mfft, hop, 1.0).p_num(n))
    lengths = np.clip(typical * np.exp(rng.uniform(-0.5, 0.5) * rng.standard_normal(shape)), 2, mfft)
    window = str(rng.choice(["hann", "hamming", "blackman"]))
    return adaptstft.AdaptiveShortTimeFFT(window, lengths, hop, 1.0, mfft=mfft, max_length=mfft), n


def study(dtype, seed=0, *, check=False):
    """Return claimed and true errors and ratios of frame bounds, the refusals, and signals that should be refused."""
    rng = np.random.default_rng(seed)
    found, refused, lost = [], 0, 0
    for _ in range(COUNT):
        sft, n = setting(rng)
        x = rng.standard_normal(n).astype(dtype)
        try:
            S = sft.stft(x)
            back, info = sft.istft(S, k1=n, full_output=True)
        except ValueError:
            refused += 1
            continue
        lost += check and not sft.invertible
        lower, upper = sft.frame_bounds(n)
        found.append((info.error, np.linalg.norm(back - x) / np.linalg.norm(x), upper / max(lower, 1e-300)))
    return np.array(found).T, refused, lost


if __name__ == "__main__":
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True)
    for ax, dtype in zip(axes, (np.float32, np.float64), strict=True):
        (claimed, true, ratio), refused, _ = study(dtype)
        points = ax.scatter(claimed, true, c=np.log10(ratio), s=8, cmap="viridis")
        line = np.array([min(claimed.min(), true.min()), max(claimed.max(), true.max())])
        ax.loglog(line, line, color="gray")
        ax.loglog(line, 10 * line, ":", line, line / 10, ":", color="gray")
        ax.set_title(f"{np.dtype(dtype).name}: {claimed.size} returned, {refused} refused")
        ax.set_xlabel("error in full_output")
    axes[0].set_ylabel("true error")
    fig.colorbar(points, ax=axes, label="log10 of the ratio of frame bounds")
