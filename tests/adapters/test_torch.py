"""The functions and the layer for PyTorch."""

import copy
import importlib
import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make test-adapters runs these")

from adaptstft import AdaptiveShortTimeFFT  # noqa: E402
from adaptstft.adapters import torch_function as _torch_function  # noqa: E402
from adaptstft.torch import AdaptiveSTFT, istft, spectrogram, stft  # noqa: E402

#: The forward mode of PyTorch uses deprecated functions of PyTorch; the category of the warning differs.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script")

N = 20
P_NUM = 5
#: No sample is at the end of a window, where the Kaiser window jumps.
POSITIONS = (0.31, 4.13, 9.27, 14.17, 19.11)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def leaf(values):
    return torch.as_tensor(values, dtype=torch.float64).clone().requires_grad_()


def gradcheck(function, *arguments):
    """Compare both modes with difference quotients; values are of order one."""
    return torch.autograd.gradcheck(function, arguments, eps=1e-6, atol=1e-6, check_forward_ad=True)


def lengths_of(kind, f_pts):
    sizes = {"constant": (), "time": (P_NUM,), "frequency": (f_pts, 1), "bins": (f_pts, P_NUM)}
    return leaf(10.1 + 3 * torch.rand(sizes[kind], dtype=torch.float64))


SIZES = [("onesided", 15), ("onesided", 16), ("centered", 16)]
LENGTHS = ["constant", "time", "frequency", "bins"]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("mode", "mfft"), SIZES)
@pytest.mark.slow
def test_analysis_passes_gradcheck_in_both_modes(mode, mfft, lengths):
    onesided = mode == "onesided"
    x = torch.randn(2, N, dtype=torch.float64 if onesided else torch.complex128, requires_grad=True)
    settings = {"mfft": mfft, "fft_mode": mode, "window": "kaiser", "scale_to": "psd", "max_length": 14}
    arguments = (x, lengths_of(lengths, mfft // 2 + 1 if onesided else mfft), leaf(POSITIONS), leaf([9.0]))
    assert gradcheck(lambda x, win_length, t, s: stft(x, win_length, positions=t, shape=s, **settings), *arguments)


@pytest.mark.parametrize("lengths", ["constant", "bins"])
@pytest.mark.parametrize(("mode", "mfft"), SIZES)
@pytest.mark.slow
def test_power_passes_gradcheck_in_both_modes(mode, mfft, lengths):
    onesided = mode == "onesided"
    x = torch.randn(N, dtype=torch.float64 if onesided else torch.complex128, requires_grad=True)
    arguments = (x, lengths_of(lengths, mfft // 2 + 1 if onesided else mfft), leaf(POSITIONS))
    settings = {"mfft": mfft, "fft_mode": mode, "scale_to": "psd", "max_length": 14, "padding": "even"}
    assert gradcheck(lambda x, win_length, t: spectrogram(x, win_length, positions=t, **settings), *arguments)


@pytest.mark.parametrize(("mode", "mfft"), SIZES)
@pytest.mark.slow
def test_synthesis_passes_gradcheck_in_both_modes(mode, mfft):
    x = torch.randn(N, dtype=torch.float64 if mode == "onesided" else torch.complex128)
    settings = {"mfft": mfft, "fft_mode": mode}
    S = stft(x, 12.3, hop=3.1, **settings)
    S = (S + 0.2 * torch.randn_like(S)).requires_grad_()
    assert gradcheck(
        lambda S, win_length, hop: istft(S, win_length, hop=hop, k1=N, **settings), S, leaf(12.3), leaf(3.1)
    )


def test_values_are_those_of_the_class():
    x = torch.randn(2, 3, 60)
    sft = AdaptiveShortTimeFFT(("kaiser", 9.1), 20.3, 4.7, 2.0, mfft=24, scale_to="psd")
    settings = {"window": "kaiser", "shape": 9.1, "hop": 4.7, "fs": 2.0, "mfft": 24, "scale_to": "psd"}
    S = stft(x, torch.tensor(20.3, dtype=torch.float64), **settings)
    np.testing.assert_array_equal(S.numpy(), sft.stft(x.numpy()))
    np.testing.assert_array_equal(spectrogram(x, 20.3, **settings).numpy(), sft.spectrogram(x.numpy()))
    np.testing.assert_array_equal(istft(S, 20.3, k1=60, **settings).numpy(), sft.istft(S.numpy(), k1=60))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_gradients_have_the_types_of_the_arguments(dtype):
    x = torch.randn(60).to(dtype).requires_grad_()
    win_length = torch.tensor(20.3, dtype=torch.float32, requires_grad=True)
    P = spectrogram(x, win_length, hop=5, mfft=24)
    assert P.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    P.sum().backward()
    assert (x.grad.dtype, win_length.grad.dtype) == (dtype, torch.float32)
    exact = x.detach().double().requires_grad_()
    spectrogram(exact, 20.3, hop=5, mfft=24).sum().backward()
    # rounded to the precision of the type
    assert torch.allclose(x.grad.double(), exact.grad, rtol=4 * torch.finfo(dtype).eps, atol=1e-4)


def test_conjugates_and_transposes_are_accepted():
    x = torch.randn(30, 2, dtype=torch.complex128)
    settings = {"mfft": 24, "fft_mode": "centered"}
    expected = stft(x.conj().resolve_conj().T.contiguous(), 20.3, hop=5, **settings)
    assert torch.equal(stft(x.conj().T, 20.3, hop=5, **settings), expected)


def test_the_backward_pass_raises_for_a_changed_signal():
    x, win_length = torch.randn(60), leaf(20.3)
    P = spectrogram(x, win_length, hop=5, mfft=24)
    x += 1
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation"):
        P.sum().backward()


@pytest.mark.parametrize("power", [1, 2], ids=["linear", "square"])
@pytest.mark.parametrize("variable", ["x", "win_length", "both"])
def test_second_derivatives_are_never_zero_without_an_error(power, variable):
    x = torch.randn(40, dtype=torch.float64)
    length = torch.tensor(16.0, dtype=torch.float64)

    def loss(a):
        signal = x + a if variable != "win_length" else x
        win_length = length + a.mean() if variable != "x" else length
        return (spectrogram(signal, win_length, mfft=24, hop=4.0) ** power).sum()

    zero = torch.zeros(40, dtype=torch.float64)
    assert torch.autograd.functional.jacobian(loss, zero).abs().max() > 0
    with pytest.raises(RuntimeError, match=r"differentiate twice: adaptstft\.torch has first derivatives only"):
        torch.autograd.functional.hessian(loss, zero)


def test_second_derivatives_are_refused():
    win_length = leaf(20.3)
    (gradient,) = torch.autograd.grad(
        stft(torch.ones(60), win_length, hop=5, mfft=24).abs().sum(), win_length, create_graph=True
    )
    with pytest.raises(RuntimeError, match=r"differentiate twice"):
        gradient.backward()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0, 2.0], r"x=\[1.0, 2.0\] must be a tensor"),
        (torch.ones(3, device="meta"), r"x is on device 'meta', but must be on 'cpu' or 'cuda'"),
    ],
    ids=["list", "meta"],
)
def test_other_types_and_devices_are_refused(x, message):
    with pytest.raises(TypeError, match=message):
        stft(x, 20.3, hop=5, mfft=24)


def test_without_pytorch_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "adaptstft.adapters.torch_function")
    with pytest.raises(ImportError, match=r"this needs torch, which is not installed: pip install .*\[torch"):
        importlib.import_module("adaptstft.adapters.torch_function")


# --- the layer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["power", "complex"])
@pytest.mark.parametrize("n", [300, 301, 57, 1])
def test_any_length_batches_and_channels(n, output):
    layer = AdaptiveSTFT(32, 4.5, win_length=np.linspace(12, 20, 6), output=output)
    x = torch.randn(2, 3, n)
    found = layer(x)
    frames = int(np.ceil((n - 1) / 4.5)) + 1
    assert found.shape == (2, 3, 17, frames)
    sft = layer.transform(n)
    np.testing.assert_allclose(sft.positions, 4.5 * np.arange(frames))
    expected = sft.stft(x.numpy()) if output == "complex" else sft.spectrogram(x.numpy())
    np.testing.assert_array_equal(found.detach().numpy(), expected)


@pytest.mark.parametrize("shape", [(), (7,), (17, 1), (17, 4)], ids=str)
def test_every_parameter_is_learned(shape):
    """Derivatives with respect to the raw parameters, compared with difference quotients."""
    lengths = 12.1 + 6 * torch.rand(shape, dtype=torch.float64).numpy()
    layer = AdaptiveSTFT(
        32, [4.1, 4.9, 4.3], window="tukey", win_length=lengths, learn=("win_length", "hop", "shape")
    ).double()
    names, raws = zip(*layer.named_parameters(), strict=True)
    assert names == ("win_length.raw", "hop.raw", "shape.raw")
    x = torch.randn(2, 50, dtype=torch.float64)
    weights = torch.randn_like(layer(x))

    def loss(*values):
        return (torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,)) * weights).sum()

    assert torch.autograd.gradcheck(loss, [raw.detach().requires_grad_() for raw in raws], eps=1e-6, atol=1e-5)


def test_values_stay_within_their_bounds():
    settings = {"win_length": [11.0, 12.0], "win_bounds": (10, 14), "hop_bounds": (3, 5)}
    layer = AdaptiveSTFT(32, 4.0, window="tukey", learn=("win_length", "hop", "shape"), **settings)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e4)
    for sign in (1, -1):
        for _ in range(3):
            optimizer.zero_grad()
            (sign * layer(torch.randn(200))).log1p().mean().backward()
            optimizer.step()
        assert 10 <= layer.win_length().min() <= layer.win_length().max() <= 14
        assert 3 <= layer.hop() <= 5
        assert 0.05 <= layer.shape() <= 1


def test_constant_values_are_exact_and_buffers():
    layer = AdaptiveSTFT(1024, 256, win_length=700.1, learn=())
    assert list(layer.parameters()) == []
    sft = layer.transform(480_000)
    assert sft.win_length == 700.1
    np.testing.assert_array_equal(sft.positions, 256.0 * np.arange(1876))
    assert dict(layer.named_buffers()).keys() == {"win_length.value", "hop.value"}


def test_several_hops_span_the_signal():
    hops = np.array([10.0, 20.0, 10.0, 40.0])
    layer = AdaptiveSTFT(64, hops, learn=("hop",))
    positions = layer.positions(500).detach().numpy()
    assert positions.size == 26  # the mean of the hops is 20
    assert (positions[0], positions[-1]) == (0.0, pytest.approx(499))
    steps = np.diff(positions)
    expected = np.interp(np.linspace(0, 3, 25), np.arange(4), hops)
    # the parameters are in single precision
    np.testing.assert_allclose(steps / steps.sum(), expected / expected.sum(), rtol=1e-6)


def test_lengths_are_interpolated_in_their_logarithms():
    layer = AdaptiveSTFT(64, 10, win_length=[10.0, 40.0], win_bounds=(5, 64))
    np.testing.assert_allclose(layer.transform(21).win_length, [10, 20, 40], rtol=1e-6)
    np.testing.assert_allclose(layer.transform(11).win_length, [10, 40], rtol=1e-6)


def test_state_dict_round_trip():
    def make():
        return AdaptiveSTFT(32, [4.0, 5.0], window="tukey", win_length=[11.0, 12.0], learn=("win_length", "shape"))

    trained = make()
    settings = {"win_length": [15.0, 12.0], "win_bounds": (2, 31), "learn": ("win_length", "shape")}
    other = AdaptiveSTFT(32, [4.5, 4.5], window="tukey", **settings)
    with torch.no_grad():
        trained.win_length.raw += 0.7
        trained.shape.raw -= 0.3
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    x = torch.randn(100)
    assert not torch.equal(make()(x), trained(x))
    assert torch.equal(other(x), trained(x))  # the state includes the bounds
    assert torch.equal(copy.deepcopy(trained)(x), trained(x))


def test_a_mask_between_the_layer_and_its_inverse():
    layer = AdaptiveSTFT(64, 8, win_length=40.0, output="complex")
    clean = torch.cos(0.3 * torch.arange(400.0))
    noisy = clean + 0.5 * torch.randn(2, 400)
    assert torch.allclose(layer.inverse(layer(noisy), 400), noisy, atol=1e-5)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(12):
        S = layer(noisy)
        mask = torch.sigmoid(2 * (S.abs() - 3))
        loss = (layer.inverse(S * mask, 400) - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert layer.win_length().item() > 45  # a long window is best for a tone


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"mfft": 1}, ValueError, r"mfft=1 must be at least 2"),
        ({"hop": 0.0}, ValueError, r"hop=0.0 must be a positive number of samples, or a 1-D array of them"),
        ({"hop": "a"}, TypeError, r"hop='a' must be a positive number of samples, or a 1-D array of them"),
        ({"hop": [4, None]}, TypeError, r"hop=\[4, None\] must be a positive number of samples"),
        ({"hop": True}, TypeError, r"hop=True must be a positive number of samples"),
        ({"hop": torch.tensor(4.0, requires_grad=True)}, TypeError, r"hop requires a gradient, but the layer makes"),
        ({"win_length": torch.ones(1, requires_grad=True)}, TypeError, r"win_length requires a gradient, but the"),
        ({"fs": np.array(0)}, ValueError, r"fs=0 must be greater than 0 Hz"),
        ({"fs": torch.tensor(1.0, requires_grad=True)}, TypeError, r"fs is a variable of automatic differentiation"),
        ({"hop": [[1.0]]}, ValueError, r"hop=\[\[1.0\]\] must be a positive number"),
        ({"win_length": 33.0}, ValueError, r"win_length=33.0 must be at most mfft=32"),
        ({"win_length": 32.0}, ValueError, r"win_length=.*32.* must lie between its bounds 4.0 and 32.0, both "),
        ({"win_length": np.ones((3, 1)) * 9}, ValueError, r"win_length has shape \(3, 1\): .* must be f_pts=17"),
        ({"win_bounds": (9, 40)}, ValueError, r"win_bounds=\(9, 40\): the upper bound must be at most mfft=32"),
        ({"win_bounds": (9, 5)}, ValueError, r"win_bounds=\(9, 5\) cross"),
        ({"hop_bounds": (5, 9), "learn": ("hop",)}, ValueError, r"hop=.*4.* must lie between its bounds 5.0 and 9.0"),
        ({"hop_bounds": (5, 9)}, ValueError, r"hop_bounds=\(5, 9\) is for learning 'hop', which is not in learn="),
        ({"win_bounds": (5, 9), "learn": ()}, ValueError, r"win_bounds=\(5, 9\) is for learning 'win_length', which"),
        ({"learn": "hop"}, ValueError, r"learn='hop' must be a collection of names among \('win_length', "),
        ({"learn": ("mfft",)}, ValueError, r"learn=\('mfft',\) must be a collection of names"),
        ({"learn": ("shape",)}, ValueError, r"the shape parameters of window 'hann' have no bounds"),
        ({"window": "boxcar"}, ValueError, r"window 'boxcar' cannot be tuned"),
        ({"output": "magnitude"}, ValueError, r"output='magnitude' must be one of 'power', 'complex'"),
        ({"padding": "wrap"}, ValueError, r"padding='wrap' must be one of"),
        ({"backend": "mps"}, ValueError, r"backend='mps' must be one of"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_bad_arguments_of_the_layer(arguments, error, message):
    with pytest.raises(error, match=message):
        AdaptiveSTFT(**{"mfft": 32, "hop": 4.0} | arguments)


@pytest.mark.parametrize("x", [np.ones(9), torch.tensor(1.0)], ids=["array", "scalar"])
def test_the_layer_takes_tensors_with_a_time_axis(x):
    with pytest.raises(TypeError, match=r"must be a tensor of at least one dimension"):
        AdaptiveSTFT(32, 4.0)(x)


def test_the_inverse_refuses_spectrograms():
    layer = AdaptiveSTFT(32, 4.0)
    with pytest.raises(TypeError, match=r"S is torch.float32, but must be a complex transform, of a layer with output"):
        layer.inverse(layer(torch.randn(100)), 100)


def test_repr_shows_what_is_learned():
    text = repr(AdaptiveSTFT(32, 4.0, win_length=[10.0, 20.0]))
    assert "mfft=32, window='hann', output='power'" in text
    assert "10 to 20, shape (2,)" in text


# --- CUDA ----------------------------------------------------------------------------------------


class OnDevice:
    """Replaces a tensor on a CUDA device in a test of the exchange of memory."""

    def __init__(self, tensor):
        self.tensor, self.dtype, self.is_cuda, self.device = tensor, tensor.dtype, True, SimpleNamespace(index=1)

    def detach(self):
        return self

    resolve_conj = resolve_neg = detach

    def to(self, dtype):
        return self


def test_tensors_on_a_device_are_converted_by_dlpack(monkeypatch):
    cupy = SimpleNamespace(from_dlpack=lambda t: np.from_dlpack(t.tensor))
    monkeypatch.setattr(_torch_function, "require", lambda name, extra: {("cupy", "cuda"): cupy}[name, extra])
    tensor = torch.randn(5)
    array = _torch_function._array(OnDevice(tensor))
    assert array.ctypes.data == tensor.data_ptr()
    monkeypatch.setattr(_torch_function, "is_device_array", lambda a: a is array)
    back = _torch_function._tensor(array)
    assert back.data_ptr() == tensor.data_ptr()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_step_on_a_device_equals_one_on_the_host():
    pytest.importorskip("cupy", reason="CuPy is not installed")
    layer = AdaptiveSTFT(64, 8, win_length=[30.0, 40.0], learn=("win_length", "hop"))
    x = torch.randn(2, 500)
    gradients = []
    for device in ("cpu", "cuda"):
        own, signal = copy.deepcopy(layer).to(device), x.to(device).requires_grad_()
        P = own(signal)
        assert P.device.type == device
        P.log1p().sum().backward()
        assert signal.grad.device.type == device
        gradients.append([g.cpu() for g in (P.detach(), signal.grad, own.win_length.raw.grad, own.hop.raw.grad)])
    for host, device in zip(*gradients, strict=True):
        # single precision, sums over some hundred terms
        assert torch.allclose(host, device, rtol=1e-3, atol=1e-4 * float(host.abs().max()))


@pytest.mark.parametrize("cast", ["float", "half", "bfloat16", "double"])
def test_a_length_at_its_upper_bound_fits_the_fft_in_every_precision(cast):
    for mfft in (22, 512):  # exp(log(22)) exceeds 22 by rounding
        layer = getattr(AdaptiveSTFT(mfft, hop=441.0 / 64, win_length=mfft / 2), cast)()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.fill_(60.0)
        sft = layer.transform(600)
        assert mfft * (1 - 1e-9) < sft.win_length <= mfft
        np.testing.assert_allclose(np.diff(sft.t(600)) * sft.fs, 441 / 64, rtol=1e-12)
