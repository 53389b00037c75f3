"""Reports: their parts, what a browser makes of them, and how they are asked for."""

import re
import sys
from html.parser import HTMLParser

import browser as browsers
import numpy as np
import pytest

import adaptstft
from adaptstft import cli, datasets
from adaptstft.display import report_curve, report_pictures

pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")


@pytest.fixture(scope="module")
def constant():
    signal = datasets.linear_chirp(rate=100.0, duration=2.0)
    return adaptstft.optimize(signal.x, signal.fs)


@pytest.fixture(scope="module")
def varying():
    signal = datasets.chirps_in_sequence()
    return adaptstft.optimize(signal.x, signal.fs, window_mode="time", f_bounds=(20.0, 450.0))


@pytest.fixture(scope="module")
def one_length(constant):
    return constant.explore()


@pytest.fixture(scope="module")
def report(varying):
    return varying.explore().page


@pytest.fixture(scope="module")
def shared():
    return adaptstft.optimize([np.cos(0.3 * np.arange(n)) for n in (600, 700)], 100.0)


class Page(HTMLParser):
    """Elements of a page that is closed properly, and their text."""

    VOID = ("img", "input", "meta")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def test_page_of_one_length(constant, one_length):
    page = Page(one_length.page)
    series = int(page.all("input")[0]["max"]) + 1
    assert len(page.all("img")) == 2 + series
    assert [image["alt"].split(",")[0] for image in page.all("img")[:2]] == [
        "Spectrogram before tuning",
        "Spectrogram after tuning",
    ]
    assert "A window of " in page.texts["p"] and "concentrates this signal best" in page.texts["p"]
    assert page.texts["h2"] == "Before and afterOther window lengthsSettingsNotesTo repeat it in Python"
    for name, text in (line.split(maxsplit=1) for line in constant.summary().splitlines()):
        if name != "note":
            assert name in page.texts["th"] and text in page.texts["td"]


def test_equal_colours_before_and_after_are_equal_levels(constant, monkeypatch):
    drawn = []
    monkeypatch.setattr(report_pictures, "_saved", lambda text, figure: drawn.append(figure.axes[0].collections[0]))
    report_pictures.before_and_after(constant)
    assert len(drawn) == 2 and drawn[0].peak == drawn[1].peak
    assert max(mesh.get_array().max() for mesh in drawn) == 0
    assert all(mesh.norm.vmin == -60 for mesh in drawn)


def test_the_series_has_the_lengths_of_the_search_and_the_choice(constant, one_length):
    page = Page(one_length.page)
    lengths = [float(image["alt"].split()[4]) for image in page.all("img")[2:]]
    assert lengths == sorted(lengths)
    assert min(lengths) == pytest.approx(constant.survey.lengths[0], abs=0.01)
    assert max(lengths) == pytest.approx(constant.survey.lengths[-1], abs=0.01)
    assert round(constant.win_length, 2) in lengths
    shown = [image["alt"] for image in page.all("img")[2:] if "hidden" not in image]
    assert len(shown) == 1 and f"{constant.win_length:.2f} samples" in shown[0]


def test_page_where_lengths_vary_has_the_surface(report):
    page = Page(report)
    assert page.all("img")[-1]["alt"].startswith("The criterion for each time and window length")
    assert "Windows of" in page.texts["p"]
    assert "geometric mean" in page.all("svg")[0]["aria-label"]


def test_a_shared_result_has_no_spectrograms(shared):
    page = Page(shared.explore().page)
    assert not page.all("img") and len(page.all("input")) == 1
    assert "holds no signal" in page.texts["p"]
    assert "stft(x)" not in page.texts["code"] and "# x: the recordings" in page.texts["code"]


def test_given_lengths_have_no_slider():
    res = adaptstft.optimize(np.cos(0.3 * np.arange(600)), 100.0, window_mode="fixed", win_length=64)
    page = Page(res.explore().page)
    assert len(page.all("img")) == 2 and not page.all("input")
    assert "there was no search" in page.texts["p"]


def test_the_code_gives_the_result_again(tmp_path, varying):
    path = tmp_path / "two <chirps>.npy"
    np.save(path, varying.signal)
    source = f"from adaptstft.recordings import read\nx = read({str(path)!r}, fs=1000).x[0]"
    varying.to_html(tmp_path / "report.html", title=path.name, source=source)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.texts["h1"] == page.texts["title"] == "two <chirps>.npy"
    code = page.texts["code"]
    assert len(code.splitlines()) == 5
    names = {}
    exec(code, names)
    np.testing.assert_array_equal(names["res"].win_length, varying.win_length)
    assert names["S"].shape == (varying.sft.f_pts, varying.positions.size)


def test_old_files_have_no_call(shared):
    old = adaptstft.TuningResult(shared | {"call": ""})
    assert "does not contain the call" in Page(old.explore().page).texts["p"]


def test_notes_are_on_the_page(shared):
    changed = adaptstft.TuningResult(shared | {"notes": ["a < b & c"]})
    assert Page(changed.explore().page).texts["li"] == "a < b & c"
    assert "There are no notes" in Page(adaptstft.TuningResult(shared | {"notes": []}).explore().page).texts["p"]


def test_nothing_is_loaded_from_elsewhere(report):
    page = Page(report)
    for _, attributes in page.elements:
        assert attributes.get("src", "data:").startswith("data:") and "href" not in attributes
    assert "url(" not in page.texts["style"] and "import" not in page.texts["style"]


def test_notebooks_show_the_page_in_a_frame(one_length):
    (frame,) = Page(one_length._repr_html_()).all("iframe")
    assert frame["srcdoc"] == one_length.page and frame["title"]
    assert re.fullmatch(r"Report\(<\d{5,} characters of HTML>\)", repr(one_length))


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [(16, 2000, [20, 50, 100, 200, 500, 1000, 2000]), (0.3, 90000, [1, 10, 100, 1000, 10000]), (3, 4, [])],
)
def test_round_numbers(low, high, numbers):
    assert report_curve._round_numbers(low, high) == numbers


def test_command_writes_the_page(capsys, tmp_path, constant):
    np.save(tmp_path / "chirp.npy", constant.signal)
    out = tmp_path / "report.html"
    assert cli.main([str(tmp_path / "chirp.npy"), "--fs", "1000", "--report", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"report: {out}\n")
    page = Page(out.read_text(encoding="utf-8"))
    assert page.texts["h1"] == "chirp.npy"
    assert f"x = read({str(tmp_path / 'chirp.npy')!r}, fs=1000.0).x[0]" in page.texts["code"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report", "out.png"], "--report out.png: the suffix must be one of html, htm"),
        (["--report", "no/such/out.html"], "--report no/such/out.html: there is no folder no/such"),
        (["--report", "out.html", "other.wav"], "--report draws one FILE, got 2"),
        (["--report", "out.html", "--out", "out.csv"], "--out out.csv cannot be combined with --report"),
    ],
)
def test_command_refuses_reports_that_cannot_be_written(capsys, options, message):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["a.wav", *options])
    assert message in capsys.readouterr().err


def test_without_matplotlib_the_message_names_the_extra(constant, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"adaptstft\[plot\]"):
        constant.explore()


# ---------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module", params=[390, 1400], ids=["telephone", "desktop"])
def browser(request, report, tmp_path_factory):
    if reason := browsers.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("browser")
    (folder / "report.html").write_text(report, encoding="utf-8")
    browser = browsers.Browser(request.param, 900, folder / "profile")
    try:
        browser.width, browser.address = request.param, (folder / "report.html").as_uri()
        yield browser
        assert browser.messages() == []
    finally:
        browser.close()


@pytest.fixture
def page(browser):
    browser.open(browser.address)
    return browser


@pytest.mark.slow
def test_page_in_a_browser(page):
    """It fits the screen, all pictures are there, and nothing came from the network."""
    assert page.run("return window.innerWidth") == page.width
    assert page.run("return document.documentElement.scrollWidth") <= page.width
    assert page.run("return Array.from(document.images).every(i => i.hidden || i.naturalWidth > 400)")
    addresses = page.run("return performance.getEntriesByType('resource').map(r => r.name)")
    assert [address for address in addresses if not address.startswith("data:")] == []
    tops = page.run("return Array.from(document.querySelectorAll('.pair figure')).slice(0, 2).map(f => f.offsetTop)")
    assert (tops[0] == tops[1]) == (page.width > 1000)  # beside each other where there is room
    sizes = page.run(
        "return Array.from(document.querySelectorAll('p,td,th,code,figcaption')).map("
        "e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 13  # pixels


@pytest.mark.slow
def test_keys_move_the_slider(page):
    page.press(browsers.TAB)
    assert page.run("return document.activeElement.id") == "length"
    page.press(browsers.HOME)
    said = []
    for key in (browsers.RIGHT, browsers.RIGHT, browsers.LEFT):
        page.press(key)
        shown = page.run(
            "return Array.from(document.querySelectorAll('#series img')).filter(i => !i.hidden).map(i => i.alt)"
        )
        text = page.run("return document.getElementById('said').textContent")
        assert page.run("return document.getElementById('length').getAttribute('aria-valuetext')") == text
        assert len(shown) == 1 and shown[0].endswith(text.split(";")[0])
        said.append((text, page.run("return document.getElementById('marker').getAttribute('transform')")))
    assert said[0] == said[2] != said[1]
    for name in ("PRE", "BUTTON"):
        page.press(browsers.TAB)
        if name == "BUTTON" and page.run("return document.getElementById('copy').hidden"):
            break  # files have no clipboard in some versions
        assert page.run("return document.activeElement.tagName") == name


@pytest.mark.slow
def test_a_screen_reader_has_names_for_everything(page):
    (slider,) = page.find("#length")
    assert (page.role(slider), page.label(slider)) == ("slider", "Window length")
    (curve,) = page.find("svg")
    label = page.label(curve)
    assert label.startswith("description-length in bits per sample against window length. It is smallest at")
    for image in page.find("img:not([hidden])"):
        assert page.role(image) in ("image", "img") and len(page.label(image)) > 30
    (code,) = page.find("pre")
    assert page.label(code) == "Python code"
    headings = page.run("return Array.from(document.querySelectorAll('h1,h2')).map(h => h.tagName)")
    assert headings[0] == "H1" and set(headings[1:]) == {"H2"}
    assert page.run("return document.documentElement.lang") == "en"
    assert len(page.find("th[scope=row]")) >= 6


@pytest.mark.slow
def test_frame_of_a_notebook_works(browser, one_length, tmp_path):
    head = '<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><body>'
    (tmp_path / "notebook.html").write_text(f"{head}{one_length._repr_html_()}", encoding="utf-8")
    browser.open((tmp_path / "notebook.html").as_uri())
    inside = (
        "const page = document.querySelector('iframe').contentDocument; const slider = page.getElementById('length');"
    )
    said = "return page.getElementById('said').textContent"
    before = browser.run(inside + said)
    moved = "slider.value = 0; slider.dispatchEvent(new Event('input'));"
    after = browser.run(inside + moved + said)
    assert before != after and after.startswith("16.00 samples")
    assert browser.run("return document.documentElement.scrollWidth") <= browser.width
