"""HTML of results and transforms in notebooks: the table and the content of the picture."""

import base64
import io
import re
import sys

import numpy as np
import pytest

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, ShortTimeFFT, datasets
from adaptstft.display import html

matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
from matplotlib import pyplot  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

IMAGE = re.compile(r'<img alt="(?P<alt>[^"]+)" width="\d+" src="data:image/png;base64,(?P<data>[^"]+)">')
LENGTHS = np.linspace(30, 60, 11)
TRANSFORMS = {
    "hop": (AdaptiveShortTimeFFT("hann", 40.5, 10, 100.0), "A window with its neighbours"),
    "even_positions": (
        AdaptiveShortTimeFFT("hann", 40.5, None, 100.0, positions=np.arange(9) * 10),
        "A window with its neighbours",
    ),
    "one_position": (AdaptiveShortTimeFFT("hann", 40.5, None, 100.0, positions=[3.0]), "A window with its neighbours"),
    "same_position": (
        AdaptiveShortTimeFFT("hann", 40.5, None, 100.0, positions=[3.0, 3.0]),
        "A window with its neighbours",
    ),
    "uneven_positions": (
        AdaptiveShortTimeFFT("hann", 40.5, None, 100.0, positions=[0.0, 9.0, 30.5]),
        "Window length of each frame",
    ),
    "lengths": (AdaptiveShortTimeFFT("hann", LENGTHS, 10, 100.0), "Window length of each frame"),
    "equal_lengths": (AdaptiveShortTimeFFT("hann", np.full(11, 40.0), 10, 100.0), "A window with its neighbours"),
    "frequency": (
        AdaptiveShortTimeFFT("hann", np.linspace(30, 60, 60)[:, None], 10, 100.0, mfft=60, fft_mode="twosided"),
        "Window length of each frequency",
    ),
    "bins": (
        AdaptiveShortTimeFFT("hann", np.linspace(30, 60, 33 * 9).reshape(33, 9), 10, 100.0, mfft=64),
        "Window length of each time-frequency bin",
    ),
    "samples": (ShortTimeFFT.from_window("hamming", 100.0, 9, 6), "A window with its neighbours"),
    "complex_samples": (ShortTimeFFT(np.exp(1j * np.arange(8)), 4, 100.0, fft_mode="twosided"), "A window with"),
}


@pytest.fixture(scope="module")
def result():
    signal = datasets.linear_chirp(rate=100.0)
    return adaptstft.optimize(signal.x, signal.fs, window_mode="fixed", win_length=100, hop=12.5)


def picture(text):
    """Return the description of the picture on a page, and its pixels."""
    (image,) = IMAGE.finditer(text)
    return image["alt"], pyplot.imread(io.BytesIO(base64.b64decode(image["data"], validate=True)), format="png")


def drawn(description):
    figure = Figure(figsize=(5.6, 2.2), dpi=144)
    description.draw(figure)
    return figure


def test_result_is_the_summary_and_a_spectrogram(result):
    text = result._repr_html_()
    cells = re.findall(r"<tr><th[^>]*>([^<]*)</th><td[^>]*>([^<]*)</td></tr>", text.replace("&lt;", "<"))
    assert [f"{name} {value}" for name, value in cells] == [
        re.sub(" +", " ", line) for line in result.summary().replace("<=", "").splitlines()
    ]
    alt, pixels = picture(text)
    assert alt == "Spectrogram with windows of 100.00 samples = 100 ms"
    assert len(text) < 60_000
    assert pixels[0, 0, 3] == 0  # transparent, for light and dark themes


def test_spectrogram_shows_the_chirp(result):
    ax = drawn(html._spectrogram(result)).axes[0]
    mesh = ax.collections[0]
    shown, edges = np.asarray(mesh.get_array()), mesh.get_coordinates()
    frequency = ((edges[1:, 0, 1] + edges[:-1, 0, 1]) / 2)[shown.argmax(axis=0)]
    time = (edges[0, 1:, 0] + edges[0, :-1, 0]) / 2
    inner = abs(time - 2) < 1.5
    truth = np.interp(time, np.arange(4000) / 1000, datasets.linear_chirp(rate=100.0).frequency[0])
    row, column = edges[1, 0, 1] - edges[0, 0, 1], 100.0 * (edges[0, 2, 0] - edges[0, 1, 0])
    assert np.abs(frequency - truth)[inner].max() < row + column
    assert (row, column) < (10, 5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time in s", "frequency in Hz")


def test_lengths_are_drawn_over_the_spectrogram(result):
    changed = adaptstft.TuningResult(result)
    changed.win_length = np.linspace(60, 120, result.positions.size)
    changed.sft = result.sft.remade(win_length=changed.win_length, mfft=128, max_length=128)
    axes = drawn(html._spectrogram(changed)).axes
    assert axes[1].get_ylabel() == "window length in ms"
    np.testing.assert_allclose(axes[1].lines[-1].get_ydata(), changed.win_length)


def test_long_spectrograms_are_thinned_out(result, monkeypatch):
    monkeypatch.setattr(html, "_BUDGET", 50 * result.sft.mfft)
    ax = drawn(html._spectrogram(result)).axes[0]
    assert 40 <= ax.collections[0].get_array().shape[1] <= 50
    monkeypatch.setattr(html, "_BUDGET", 31 * result.sft.mfft)
    assert html._spectrogram(result) is None
    assert picture(result._repr_html_())[0].startswith("A window with its neighbours")


def test_thinned_out_spectrogram_may_miss_all_energy(monkeypatch):
    x = np.zeros(4000)
    x[2005] = 1.0
    res = adaptstft.optimize(x, 1000.0, window_mode="fixed", win_length=16, hop=8, detrend=None)
    monkeypatch.setattr(html, "_BUDGET", 33 * res.sft.mfft)
    shown = drawn(html._spectrogram(res)).axes[0].collections[0].get_array()
    assert np.all(np.asarray(shown) == -60)


def test_long_signals_and_corpora_show_their_windows(result, monkeypatch):
    corpus = adaptstft.TuningResult(result)
    corpus.signal = None
    assert picture(corpus._repr_html_())[0].startswith("A window with its neighbours")
    monkeypatch.setattr(html, "_MOST_SAMPLES", result.signal.size - 1)
    assert picture(result._repr_html_())[0].startswith("A window with its neighbours")


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform(name):
    sft, description = TRANSFORMS[name]
    text = sft._repr_html_()
    alt, pixels = picture(text)
    assert alt.startswith(description)
    assert len(text) < 60_000
    assert np.unique(pixels.reshape(-1, 4), axis=0).shape[0] > 5  # something is drawn
    assert f"<caption style='text-align:left'>{type(sft).__name__}</caption>" in text
    assert "100 Hz" in text


def test_table_of_a_transform():
    text = TRANSFORMS["hop"][0]._repr_html_()
    for row in ("40.50 samples = 405 ms", "10 samples = 100 ms", "41, 21 bins 2.439 Hz apart, onesided"):
        assert f">{row}</td>" in text
    text = TRANSFORMS["samples"][0]._repr_html_()
    for row in ("9 samples = 90 ms", "3 samples = 30 ms, windows overlap by 66.7 %", "yes"):
        assert f">{row}</td>" in text
    assert ">10 samples = 100 ms; 11 frames<" in TRANSFORMS["lengths"][0]._repr_html_()


@pytest.mark.parametrize("name", ["hop", "samples"])
def test_windows_and_the_sum_of_their_squares(name):
    sft = TRANSFORMS[name][0]
    window, total = window_lines(sft)
    peak = 1.0 if name == "hop" else sft.win.max()
    assert window.max() == pytest.approx(peak, rel=2e-3)
    # The squares of Hann windows that overlap by three quarters add up to a constant. Here they do so within a few
    # percent, because one length is no multiple of the hop and the other window is interpolated between its samples.
    assert total.min() > 0.9 * total.max()


def window_lines(sft):
    pictures = []
    original = html._page

    def keep(rows, picture, title=""):
        pictures.append(picture)
        return original(rows, picture, title)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "_page", keep)
        sft._repr_html_()
    lines = drawn(pictures[0]).axes[0].lines
    return [np.asarray(line.get_ydata()) for line in lines[-2:]]


def test_windows_with_gaps_show_the_gaps():
    _, total = window_lines(AdaptiveShortTimeFFT("hann", 20.0, 40, 100.0))
    assert total.min() == 0


def test_few_windows_are_evaluated_if_they_are_close(monkeypatch):
    counts = []
    window = adaptstft.windows.resolve("hann")
    original = type(window).__call__

    def count(self, u):
        counts.append(np.size(u))
        return original(self, u)

    monkeypatch.setattr(type(window), "__call__", count)
    for hop in (100, 1, 1 / 64):
        _, total = window_lines(AdaptiveShortTimeFFT("hann", 4000.0, hop, 100.0))
        assert total.min() > 0.999 * total.max()
    assert max(counts) <= 3 * 256 + 3
    assert len(counts) < 3 * 1500


def test_number_of_windows_at_once():
    sft = AdaptiveShortTimeFFT("hann", np.tile([20.0, 40.0], 20), None, 100.0, positions=np.arange(40) * 10.0)
    twin = drawn(html._windows(sft)).axes[1]
    _, top = twin.get_ylim()
    assert top == pytest.approx(1.6 * 3)  # at most two of 40 samples and one of 20, or one and two


def test_lengths_by_frequency_are_sorted_by_frequency():
    sft = TRANSFORMS["frequency"][0]
    frequency, shown = drawn(html._windows(sft)).axes[0].lines[0].get_data()
    assert np.all(np.diff(frequency) > 0)
    np.testing.assert_allclose(shown, 1e3 * sft.win_length[np.argsort(sft.f), 0] / 100.0)


def test_text_is_escaped(result):
    changed = adaptstft.TuningResult(result)
    changed.notes = ["<script>alert('1 & 2')</script>"]
    text = changed._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(&#x27;1 &amp; 2&#x27;)&lt;/script&gt;" in text


def test_table_alone_without_matplotlib(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    text = result._repr_html_()
    assert text.startswith("<table>")
    assert text.endswith("</table>")
    assert "100.00 samples" in text


def test_matplotlib_settings_of_the_session_have_no_effect_and_stay(result):
    before, figures = result._repr_html_(), pyplot.get_fignums()
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "lines.linewidth": 9}):
        assert result._repr_html_() == before
        assert matplotlib.rcParams["font.size"] == 30
    assert pyplot.get_fignums() == figures


def test_ink_is_readable_on_light_and_dark():
    """Text needs a contrast of 4.5 to 1 in the Web Content Accessibility Guidelines 2.2."""
    channels = np.array(matplotlib.colors.to_rgb(html._INK))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 4.5
    assert (luminance + 0.05) / 0.05 >= 4.5
