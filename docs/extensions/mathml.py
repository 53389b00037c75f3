"""Formulas as MathML, which browsers render without a script and without network; docutils converts them from LaTeX."""

import html
import re
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

_LOG = logging.getLogger(__name__)
_MATHML = "{http://www.w3.org/1998/Math/MathML}"
ElementTree.register_namespace("", _MATHML.strip("{}"))
_ACCENTS = tuple(map(chr, (0x2D9, 0xA8, 0x2C9, 0x2C6, 0x2DC)))  # dot, two dots, bar, hat and tilde
#: Commands that the converter does not know, as ones that it knows.
_SYNONYMS = ((r"\\dots\b", r"\\ldots"), (r"\\texttt\b", r"\\mathtt"))
#: One digit after a fraction is its numerator; the converter would read two digits as one number.
_SHORT_FRACTION = re.compile(r"(\\[td]?frac)\s*(\d)\s*(\\[a-zA-Z]+|[a-zA-Z0-9])")


def to_mathml(source, *, block):
    """Return a formula as MathML.

    Parameters
    ----------
    source : str
        LaTeX.
    block : bool
        Whether the formula has lines of its own.

    Returns
    -------
    str
        The element ``math``.

    Raises
    ------
    docutils.utils.math.MathError
        If the converter does not know a command.
    """
    for command, known in _SYNONYMS:
        source = re.sub(command, known, source)
    source = _SHORT_FRACTION.sub(r"\1{\2}{\3}", source)
    if block and r"\\" in source and not source.lstrip().startswith(r"\begin"):
        source = rf"\begin{{aligned}}{source}\end{{aligned}}"
    # names of characters are known in HTML, not in XML
    text = re.sub(
        r"&(?!lt;|gt;|amp;|quot;)\w+;", lambda name: html.unescape(name[0]), tex2mathml(source, as_block=block)
    )
    formula = ElementTree.fromstring(text)
    for element in formula.iter():
        _mend(element)
    return ElementTree.tostring(formula, encoding="unicode")


def _mend(element):
    """Give a line over a term a class, because fonts without mathematics do not stretch it, and an accent its place.

    The converter has a subscript of an accented letter below the letter, where that of a sum is.
    """
    parts = list(element)
    if element.tag == f"{_MATHML}mover" and parts[1].text == "_":
        element.tag = f"{_MATHML}mrow"
        element.attrib.clear()
        element.set("class", "overline")
        element.remove(parts[1])
    elif element.tag == f"{_MATHML}munderover" and parts[2].text in _ACCENTS:
        element.tag = f"{_MATHML}msub"
        letter = ElementTree.Element(f"{_MATHML}mover", accent="true")
        letter.extend((parts[0], parts[2]))
        element[:] = [letter, parts[1]]


def _converted(node, *, block):
    try:
        return to_mathml(node.astext().strip(), block=block)
    except MathError as error:
        _LOG.warning("the formula %r cannot be converted: %s", node.astext(), error, location=node)
        return ""


def _visit_inline(translator, node):
    translator.body.append(_converted(node, block=False))
    raise nodes.SkipNode


def _visit_block(translator, node):
    name = f' id="{node["ids"][0]}"' if node.get("ids") else ""
    parts = [
        _converted(nodes.math_block(part, part), block=True)
        for part in re.split(r"\n\s*\n", node.astext())
        if part.strip()
    ]
    translator.body.append(f'<div class="formula"{name}>{"".join(parts)}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Register the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
