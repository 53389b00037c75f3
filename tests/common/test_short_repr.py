"""Results with arrays are shown in one line."""

import numpy as np
import pytest

import adaptstft

SIGNAL = adaptstft.datasets.linear_chirp(100.0, duration=0.5)
SFT = adaptstft.AdaptiveShortTimeFFT("hann", 64, 8, SIGNAL.fs)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SIGNAL, "Signal(x=<500>, fs=1000, name='linear_chirp', clean=<500>, frequency=<1 x 500>, "),
        (lambda: adaptstft.ridges(SFT, SIGNAL.x), "Ridges(t=<70>, frequency=<1 x 70>, uncertainty=<1 x 70>, "),
        (lambda: adaptstft.reassign(SFT, SIGNAL.x), "Reassigned(P=<33 x 70>, t_hat=<33 x 70>, "),
        (lambda: adaptstft.synchrosqueeze(SFT, SIGNAL.x), "Synchrosqueezed(S=<33 x 70>, f=<33>, t=<70>, "),
        (
            lambda: adaptstft.denoise(SIGNAL.x, SIGNAL.fs, 0.5, win_length=64, full_output=True)[1],
            "DenoisingInfo(noise_std=0.5, win_length=64, win_duration=0.064, hop=16, ",
        ),
    ],
    ids=["signal", "ridges", "reassigned", "squeezed", "denoised"],
)
def test_short(make, text):
    shown = repr(make())
    assert shown.startswith(text)
    assert "array" not in shown and "\n" not in shown and len(shown) < 400


def test_hidden_fields_stay_hidden():
    assert "_sft" not in repr(adaptstft.synchrosqueeze(SFT, np.asarray(SIGNAL.x)))
