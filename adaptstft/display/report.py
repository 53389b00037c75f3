"""The report of a tuning result: one page of HTML that needs no network.

It has the spectrograms before and after, a slider through the window lengths of the search with the spectrogram that
each one gives, the criterion, the settings, the notes, and the lines of Python that repeat the call.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adaptstft.common.text import describe_lengths
from adaptstft.display import report_pictures as pictures
from adaptstft.display.protocols import Result
from adaptstft.display.report_curve import Curve
from adaptstft.display.report_style import SCRIPT, STYLE

#: What the names of the settings mean.
_MEANINGS = {
    "window": "The window function, with its shape in brackets.",
    "win_length": "The window length that was found. One length is a real number of samples; of several, the range is "
    "given.",
    "hop": "The time between neighbouring frames.",
    "mfft": "The length of the FFT in samples. It fixes the distance between frequencies.",
    "f_bounds": "Energy at other frequencies had no influence on the window length.",
    "gain": "The comparison with the transform before tuning.",
    "tuned on": "The search used a table for these lengths; the result was computed again without it.",
    "flatness": "All window lengths in this range are practically as good.",
    "recommended": "Whole numbers near the optimum, and how the criterion changes with them.",
    "compared": "The best value of each window function that was tried.",
    "optimiser": "How the search ended.",
}


@dataclass(frozen=True)
class Report:
    """The report of a result: a page of HTML, which notebooks show in a frame.

    Attributes
    ----------
    page : str
        The whole page.
    """

    page: str

    def __repr__(self) -> str:
        return f"Report(<{len(self.page)} characters of HTML>)"

    def _repr_html_(self) -> str:
        """Return a frame that holds the page, so that its style and script do not act on the notebook."""
        source = html.escape(self.page, quote=True)
        return (
            f'<iframe title="Report of a tuning result" srcdoc="{source}" '
            'style="width: 100%; height: 56rem; border: 1px solid #d5dbe1"></iframe>'
        )


def make_report(result: Result, rows: Sequence[tuple[str, str]], title: str, source: str) -> Report:
    """Return the report of a result.

    Parameters
    ----------
    result : Result
        The result of a tuning.
    rows : sequence of (str, str)
        Names and texts of the summary.
    title : str
        Title of the page, such as the name of the recording.
    source : str
        Lines of Python that define the signal ``x``; without them the page says what ``x`` was.

    Returns
    -------
    Report
        The page.

    Raises
    ------
    ImportError
        If matplotlib is not installed, with the command that installs it.
    """
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="lead">{html.escape(_verdict(result, rows))}</p>',
        *_before_and_after(pictures.before_and_after(result)),
        *_series(result, pictures.series(result)),
        *_surface(pictures.criterion_surface(result)),
        *_settings(rows),
        *_notes(result.notes),
        *_code(result, source),
    ]
    body = "\n".join(parts)
    return Report(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _verdict(result: Result, rows: Sequence[tuple[str, str]]) -> str:
    """Return the result in a sentence, and the gain in another one."""
    lengths = describe_lengths(result.win_length, result.sft.fs)
    kind = "A window" if np.ndim(result.win_length) == 0 else "Windows"
    value = f"{result.criterion.name} {result.score:.4g} {result.score_unit}".rstrip()
    gain = next((f" {text[:1].upper()}{text[1:]}." for name, text in rows if name == "gain"), "")
    verb = "concentrates" if np.ndim(result.win_length) == 0 else "concentrate"
    return f"{kind} of {lengths} {verb} this signal best: {value}.{gain}"


def _image(picture: pictures.Picture, *, hidden: bool = False) -> str:
    attribute = " hidden" if hidden else ""
    return f'<img alt="{html.escape(picture.text, quote=True)}" src="{picture.uri}"{attribute}>'


def _before_and_after(found: Sequence[pictures.Picture]) -> list[str]:
    if not found:
        return ["<p>The result of a corpus or a Dask array holds no signal, so there are no spectrograms.</p>"]
    figures = [f"<figure>{_image(one)}<figcaption>{html.escape(one.text)}</figcaption></figure>" for one in found]
    hint = "Equal colours are equal levels, from 0 to 60 dB below the maximum of both."
    return ["<h2>Before and after</h2>", f'<p class="hint">{hint}</p>', f'<div class="pair">{"".join(figures)}</div>']


def _series(result: Result, steps: Sequence[pictures.Step]) -> list[str]:
    """Return the slider, the spectrogram for its position, and the curve of the criterion with a marker."""
    if not steps:
        return ["<h2>Other window lengths</h2><p>The lengths were given, so there was no search over others.</p>"]
    curve = Curve(result)
    fs = result.sft.fs
    unit = f" {result.score_unit}" if result.score_unit else ""
    texts = [
        f"{describe_lengths(step.win_length, fs)}; {result.criterion.name} {step.value:.5g}{unit}" for step in steps
    ]
    places = [round(curve.across(step.win_length), 1) for step in steps]
    data = [{"text": text, "x": place} for text, place in zip(texts, places, strict=True)]
    encoded = json.dumps(data).replace("<", "\\u003c")  # no tag can begin within a script
    first = int(np.argmin([step.value for step in steps]))
    images = [
        _image(step.picture, hidden=index != first) for index, step in enumerate(steps) if step.picture is not None
    ]
    shown = f'<figure id="series">{"".join(images)}</figure>' if images else ""
    return [
        "<h2>Other window lengths</h2>",
        '<p class="hint">Move the slider, or press the arrow keys, to see the signal with one window length for all '
        "frames. The curve has the criterion for each length; smaller is better.</p>",
        '<div class="control"><label for="length">Window length</label>'
        f'<input type="range" id="length" min="0" max="{len(steps) - 1}" step="1" value="{first}">'
        f'<output id="said" for="length">{html.escape(texts[first])}</output></div>',
        f'<div class="pair">{shown}{curve.figure()}</div>',
        f'<script type="application/json" id="steps">{encoded}</script>',
    ]


def _surface(picture: pictures.Picture | None) -> list[str]:
    if picture is None:
        return []
    text = html.escape(picture.text)
    return [
        "<h2>The criterion where lengths vary</h2>",
        f'<div class="single"><figure>{_image(picture)}<figcaption>{text}. Dark colours: worse than the best length '
        "there.</figcaption></figure></div>",
    ]


def _settings(rows: Sequence[tuple[str, str]]) -> list[str]:
    cells = []
    for name, text in rows:
        if name != "note":
            meaning = f"<span>{html.escape(_MEANINGS[name])}</span>" if name in _MEANINGS else ""
            cells.append(f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(text)}{meaning}</td></tr>')
    return ["<h2>Settings</h2>", f"<table><tbody>{''.join(cells)}</tbody></table>"]


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return ["<h2>Notes</h2>", "<p>There are no notes on this result.</p>"]
    return ["<h2>Notes</h2>", f"<ul>{''.join(f'<li>{html.escape(note)}</li>' for note in notes)}</ul>"]


def _code(result: Result, source: str) -> list[str]:
    if not result.call:
        return ["<h2>To repeat it in Python</h2>", "<p>The file of this result does not contain the call.</p>"]
    signal = "the recordings" if result.signal is None else f"the signal, {result.samples} samples"
    lines = ["import adaptstft", source or f"# x: {signal}", f"res = {result.call}"]
    if not source:
        lines.append("print(res.summary())")
    if source or result.signal is not None:
        lines.append("S = res.sft.stft(x)")
    code = html.escape("\n".join(lines))
    return [
        "<h2>To repeat it in Python</h2>",
        f'<pre tabindex="0" aria-label="Python code"><code id="code">{code}</code></pre>',
        '<div class="control"><button type="button" id="copy">Copy the code</button>'
        '<span id="copied" role="status"></span></div>',
    ]
