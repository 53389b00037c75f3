"""Formulas of the documentation as MathML: every one is converted, and short fractions mean what LaTeX means."""

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("docutils", "0.22", reason="the converter is part of docutils")
pytest.importorskip("sphinx", reason="the extension is one for Sphinx")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
from extensions.mathml import to_mathml  # noqa: E402

SOURCES = [*(ROOT / "docs").glob("*.rst"), *(ROOT / "docs").glob("[dgrt]*/*.rst"), *(ROOT / "adaptstft").rglob("*.py")]


def shape(mathml):
    """Names of the elements and their content, without attributes and blanks."""
    return re.sub(r"\s|<mrow>|</mrow>", "", re.sub(r"<(\w+)[^>]*>", r"<\1>", mathml))


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (r"\frac12 < x", r"\frac{1}{2} < x"),
        (r"-\frac12 \le u", r"-\frac{1}{2} \le u"),
        (r"\tfrac1\beta x", r"\tfrac{1}{\beta} x"),
        (r"\frac1Nx", r"\frac{1}{N} x"),
        (r"a \dots b", r"a \ldots b"),
        (r"\texttt{width}", r"\mathtt{width}"),
    ],
)
def test_short_forms(short, long):
    assert shape(to_mathml(short, block=False)) == shape(to_mathml(long, block=False))


def test_a_fraction_of_two_digits_has_a_numerator_and_a_denominator():
    assert "<mfrac><mn>1</mn><mn>2</mn></mfrac>" in shape(to_mathml(r"\frac12", block=False))


def test_lines_are_aligned():
    assert shape(to_mathml(r"a &= b \\ c &= d", block=True)).count("<mtr>") == 2


def test_accents_and_lines_over_terms():
    dot = "<mover><mi>t</mi><mo>˙</mo></mover>"
    assert f"<msub>{dot}<mi>p</mi></msub>" in shape(to_mathml(r"\dot t_p", block=False))
    line = to_mathml(r"\overline{G[q,p]} x", block=False)
    assert '<mrow class="overline">' in line and "mover" not in line and "<mi>G</mi>" in shape(line)


def formulas():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        yield from (found.replace("\n", " ") for found in re.findall(r":math:`([^`]+)`", text))


def test_every_formula_is_converted():
    found = sorted(set(formulas()))
    assert len(found) > 200
    for formula in found:
        assert "<math" in to_mathml(formula, block=False)
