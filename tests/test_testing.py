"""The public checks accept correct gradients and reject wrong ones."""

import numpy as np
import pytest

from adaptstft import AdaptiveShortTimeFFT, Gradient, criteria, testing

X = np.random.default_rng(0).standard_normal(120)
SETTINGS = [
    ("hann", 30.3, 7.3, None),
    (("kaiser", 12.0), 30.3, None, np.linspace(0.231, 118.717, 11)),
    ("blackman", np.linspace(20, 40, 11), None, np.linspace(0.231, 118.717, 11)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("window", "length", "hop", "positions"), SETTINGS)
@pytest.mark.parametrize("mode", ["onesided", "twosided"])
def test_correct_gradients_pass(window, length, hop, positions, mode):
    sft = AdaptiveShortTimeFFT(window, length, hop, 2.0, positions=positions, fft_mode=mode, scale_to="psd")
    x = X + 1j * X[::-1] if mode == "twosided" else X
    assert testing.check_adjoint(sft, x).error < 1e-12
    for criterion in (None, "renyi"):
        names = {c.name for c in testing.check_vjp(sft, x, criterion)}
        assert names == {"win_length", "x", "hop" if hop else "positions"} | ({"shape"} if sft.window.shape else set())


class Wrong(AdaptiveShortTimeFFT):
    """A transform whose gradient has an error of 1 % in one field."""

    field = "win_length"

    def vjp(self, *args, **options):
        gradient = super().vjp(*args, **options)
        values = {name: getattr(gradient, name) for name in ("win_length", "positions", "hop", "shape", "x")}
        return Gradient(**values | {self.field: values[self.field] * 1.01})


@pytest.mark.parametrize("field", ["win_length", "hop", "x"])
def test_wrong_gradients_fail(field):
    sft = Wrong("hann", 30.3, 7.3, 2.0)
    sft.field = field
    with pytest.raises(AssertionError, match=f"name='{field}'.* exceeds rtol"):
        testing.check_vjp(sft, X)


def test_wrong_adjoint_fails():
    sft = Wrong("hann", 30.3, 7.3, 2.0)
    sft.field = "x"
    with pytest.raises(AssertionError, match="exceeds rtol"):
        testing.check_adjoint(sft, X)


def test_check_vjp_includes_the_weights_of_local_scope(rng):
    sft = AdaptiveShortTimeFFT("hann", np.linspace(30.2, 20.3, 17)[:, None], 7.5, 1.0, mfft=32)
    x = rng.standard_normal(100)
    found = testing.check_vjp(sft, x, criteria.Renyi(width=20.0, bands=3))
    assert {c.name for c in found} == {"win_length", "hop", "x"}
