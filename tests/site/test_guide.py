"""The code on the pages of the documentation runs, page by page, and prints what is shown."""

import contextlib
import doctest
import io
import re
import runpy
from pathlib import Path

import matplotlib
import pytest

DOCS = Path(__file__).parents[2] / "docs"
SOURCES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(DOCS.rglob("*.rst"))
    if path.relative_to(DOCS).parts[0] not in ("_build", "_templates", "generated")
}
PAGES = [name for name, text in SOURCES.items() if ">>> " in text]
FIGURES = sorted(path.stem for path in (DOCS / "figures").glob("*.py"))
#: Code without prompts, which shows the use of other packages.
SCRIPTS = {
    f"{name}-{count}": re.sub("^   ", "", block, flags=re.MULTILINE)
    for name, text in SOURCES.items()
    for count, block in enumerate(re.findall(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text))
}


@pytest.fixture(autouse=True)
def no_display():
    """Let pyplot draw without a window, and close what it drew."""
    matplotlib.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def need(code, prompt=""):
    """Skip the test if a package that the code imports is not installed."""
    for module in sorted(set(re.findall(rf"^ *{prompt}(?:import|from) (\w+(?:\.\w+)*)", code, re.MULTILINE))):
        reason = f"the examples use {module}, which is not installed"
        pytest.importorskip(module, reason=reason, exc_type=ImportError)


def failures(text, name):
    """Run the examples of a text in one namespace and return what doctest has to say about those that fail."""
    examples = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    said = io.StringIO()
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=said.write)
    return said.getvalue()


def test_failures_are_seen():
    assert "Got:\n    2" in failures(">>> 1 + 1\n3\n", "page")


#: Pages whose examples take longer than those of all others together.
LONG = ("guide/changing_in_time.rst", "guide/clicks_and_tones.rst")


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.full if name in LONG else ()) for name in PAGES])
def test_page(name):
    need(SOURCES[name], ">>> ")
    assert failures(SOURCES[name], name) == ""


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name):
    need(SCRIPTS[name])
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(SCRIPTS[name], name, "exec"), {})


@pytest.mark.full  # every build of the documentation draws them
@pytest.mark.parametrize("name", FIGURES)
def test_figure(name):
    from matplotlib import pyplot

    runpy.run_path(str(DOCS / "figures" / f"{name}.py"))
    (number,) = pyplot.get_fignums()
    axes = pyplot.figure(number).axes
    assert axes and all(ax.has_data() and ax.get_xlabel() + axes[-1].get_xlabel() for ax in axes)


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_on_a_page(name):
    assert any(f".. plot:: figures/{name}.py" in text for text in SOURCES.values())


def test_guide_lists_its_pages():
    pages = {name.removeprefix("guide/").removesuffix(".rst") for name in SOURCES if name.startswith("guide/")}
    listed = re.findall(r"- :doc:`(\w+)`", SOURCES["guide/index.rst"])
    assert set(listed) == pages - {"index"}
