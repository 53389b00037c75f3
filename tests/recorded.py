"""Recordings that come with other packages; tests that need them are skipped without."""

import importlib.resources

import pytest
from scipy.io import wavfile


def voice():
    """A spoken sentence at 8 kHz, MIT licence."""
    pytest.importorskip("amfm_decompy", reason="the recording is in AMFM_decompy, of the extra 'demo'")
    with importlib.resources.as_file(importlib.resources.files("amfm_decompy") / "sample.wav") as path:
        return wavfile.read(path)[1].astype(float)


def heart():
    """An electrocardiogram without its mean."""
    data = pytest.importorskip("pywt.data", reason="the recording is in PyWavelets, of the extra 'demo'")
    x = data.ecg().astype(float)
    return x - x.mean()
