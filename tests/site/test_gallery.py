"""The gallery has its pictures, sounds and licences, and the page is what the benchmark writes."""

import json
import re
from pathlib import Path

import browser as browsers
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
from benchmarks import gallery, gallery_signals, recordings

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "docs" / "_static" / "gallery"
BUILT = ROOT / "docs" / "_build" / "html" / "gallery.html"
PAGE = (ROOT / "benchmarks" / "gallery.rst").read_text(encoding="utf-8")
TEXT = PAGE + (ROOT / "docs" / "gallery.rst").read_text(encoding="utf-8") + (ROOT / "docs" / "index.rst").read_text()


def test_page_is_up_to_date():
    titles = json.loads((ROOT / "benchmarks" / "gallery.json").read_text(encoding="utf-8"))
    assert gallery._page(titles) == PAGE


def test_there_are_enough_recordings_of_enough_fields():
    assert len(gallery.ITEMS) >= 12
    assert len({item.field for item in gallery.ITEMS}) >= 8


def test_files_are_those_that_the_pages_show():
    named = set(re.findall(r"_static/gallery/([\w.]+)", TEXT))
    assert named == {path.name for path in STATIC.iterdir()}
    assert all(path.stat().st_size < 200_000 for path in STATIC.iterdir())


@pytest.mark.parametrize("item", gallery.ITEMS, ids=lambda item: item.name)
def test_licence_is_named_and_allows_the_copy(item):
    assert item.origin in PAGE
    if item.make is None:
        source = gallery._KNOWN[item.name]
        assert source.licence in item.origin
        copied = (STATIC / f"{item.name}.mp3").exists()
        assert copied == (item.slower is not None)
        assert not copied or re.match("CC0|Apache-2.0|free for any purpose", source.licence)


def test_every_player_and_picture_has_a_name():
    players, pictures = re.findall("<audio[^>]*>", TEXT), re.findall(r"\.\. (?:image|figure)::.*\n   :alt: .+", TEXT)
    assert len(players) >= 8
    assert all(re.search(r'aria-label="[^"]{5,}"', player) and "controls" in player for player in players)
    assert len(pictures) == len(re.findall(r"\.\. (?:image|figure)::", TEXT))


def test_blades_flash_twice_a_turn_while_they_are_across_the_line_of_sight():
    x = gallery_signals.rotor_echo(1.0)
    loud = np.abs(x) > 2.0
    begins = np.flatnonzero(np.diff(loud.astype(int), prepend=0) == 1) / gallery_signals.RADAR_RATE
    flashes = begins[np.insert(np.diff(begins) > 0.05, 0, True)]
    np.testing.assert_allclose(np.diff(flashes), 0.1, atol=2e-3)


def test_impacts_follow_the_speed_of_the_shaft():
    duration = 1.6
    x = gallery_signals.damaged_bearing(duration)
    fs = gallery_signals.BEARING_RATE
    t = np.arange(x.size) / fs
    # demodulated at the resonance, and resampled at even angles of the shaft
    envelope = np.abs(np.convolve(x * np.exp(-2j * np.pi * 3200 * t), np.hanning(33) / 16, "same"))
    turns = 20 * t + 10 * t**2 / duration
    even = np.interp(np.arange(0, turns[-1], 1 / 64), turns, envelope)
    spectrum = np.abs(np.fft.rfft((even - even.mean()) * np.hanning(even.size)))
    order = np.argmax(spectrum) * 64 / even.size
    assert order == pytest.approx(3.57, abs=64 / even.size)


def test_recordings_are_read_from_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "load", lambda name: (1000.0, np.arange(5000.0)))
    item = next(item for item in gallery.ITEMS if item.name == "bitalino")
    fs, x = item.load()
    assert fs == 1000.0 and x.size == 4000
    assert np.abs(x).max() == 1 and abs(x.mean()) < 1e-12


@pytest.mark.parametrize("width", [390, 1400], ids=["telephone", "desktop"])
def test_the_built_page_in_a_browser(width, tmp_path):
    if not BUILT.exists():
        pytest.skip("needs the site: make docs-quick")
    if reason := browsers.missing():
        pytest.skip(reason)
    browser = browsers.Browser(width, 900, tmp_path)
    try:
        browser.open(BUILT.as_uri())
        assert browser.run("return document.documentElement.scrollWidth") == width
        pictures, loaded, players = browser.run(
            "const all = [...document.images]; "
            "return [all.length, all.filter(one => one.complete && one.naturalWidth).length, "
            "document.querySelectorAll('audio').length]"
        )
        assert pictures == loaded >= 2 * len(gallery.ITEMS)
        assert players == len(set(re.findall(r"_static/gallery/([\w.]+\.(?:wav|ogg|mp3|flac))", TEXT)))
    finally:
        browser.close()
