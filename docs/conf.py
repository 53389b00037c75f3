"""Sphinx configuration: ``make docs``, or ``python -m sphinx -W -n -b html docs docs/_build/html``.

With ``ADAPTSTFT_DOCS_QUICK=1`` the notebooks are not executed, which saves minutes.
"""

import contextlib
import io
import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from extensions.inventories import reachable_inventories  # noqa: E402

import adaptstft  # noqa: E402
from adaptstft import cli, criteria  # noqa: E402

project = "adaptstft"
author = "The adaptstft developers"
copyright = "The adaptstft developers"
version = release = adaptstft.__version__

extensions = [
    "extensions.mathml",
    "matplotlib.sphinxext.figmpl_directive",
    "matplotlib.sphinxext.plot_directive",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "extensions", "figures"]
templates_path = ["_templates"]
source_suffix = {".rst": "restructuredtext", ".ipynb": "myst-nb"}
html_math_renderer = "mathml"
default_role = "py:obj"  # links names that have a page, see `_leave_unlinked`

# ------------------------------------------------------------------------------------- API reference
autosummary_generate = True
# The public name `criteria.Callable_` has the page of the class, not a note that it is an alias.
criteria.UserLoss.__name__ = "Callable_"
autodoc_typehints = "none"  # the numpydoc sections have more
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False  # the templates list them
numpydoc_xref_param_type = False
extlinks = {"doi": ("https://doi.org/%s", "doi:%s"), "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s")}

# ------------------------------------------------------------------------------------- names of other projects
INVENTORIES = {
    "python": "https://docs.python.org/3/",
    "numpy": "https://numpy.org/doc/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "matplotlib": "https://matplotlib.org/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "torch": "https://docs.pytorch.org/docs/stable/",
    "sklearn": "https://scikit-learn.org/stable/",
    "xarray": "https://docs.xarray.dev/en/stable/",
    "dask": "https://docs.dask.org/en/stable/",
}
intersphinx_mapping = reachable_inventories(INVENTORIES, HERE / "_build" / "inventories")
# Names of projects that cannot be reached, or have no inventory (autograd), are not linked.
UNLINKED = (set(INVENTORIES) - set(intersphinx_mapping)) | {"autograd"}
PYTHON = "concurrent|os|wave|functools|pathlib|logging|str|int|float|bool|list|tuple|dict|None"
nitpick_ignore_regex = [
    (r"py:.*", rf"({PYTHON if name == 'python' else re.escape(name)})(\..*)?") for name in sorted(UNLINKED)
]

# ------------------------------------------------------------------------------------- figures
plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 100)]
plot_srcset = ["2x"]
plot_basedir = str(HERE)
plot_rcparams = {"font.size": 9, "figure.figsize": (7.0, 3.2), "figure.constrained_layout.use": True}
plot_apply_rcparams = True

# ------------------------------------------------------------------------------------- notebooks
QUICK = os.environ.get("ADAPTSTFT_DOCS_QUICK", "") not in ("", "0")
nb_execution_mode = "off" if QUICK else "force"
nb_execution_timeout = 1800
nb_execution_raise_on_error = True
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]

# ------------------------------------------------------------------------------------- pages
html_theme = "pydata_sphinx_theme"
html_title = f"adaptstft {version}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_logo = html_favicon = "_static/logo.svg"
#: The version among those that Read the Docs publishes; elsewhere there is only one.
PUBLISHED = os.environ.get("READTHEDOCS_VERSION", "")
html_theme_options = {
    "logo": {"text": "adaptstft", "alt_text": "adaptstft: first page"},
    **(
        {
            "switcher": {"json_url": "/en/latest/_static/switcher.json", "version_match": PUBLISHED},
            "check_switcher": False,  # it is published with this build
            # on narrow screens these are in the menu, and the line of the logo has no room for more
            "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
        }
        if PUBLISHED
        else {}
    ),
    "show_prev_next": True,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "secondary_sidebar_items": {"index": []},
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {"index": [], "gallery": [], "changelog": [], "getting_started": [], "coming_from": [], "citing": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _copy_changed(source, target):
    """Copy a file if its content has changed, so that Sphinx builds only changed pages again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)


def _help_text(*command):
    os.environ["COLUMNS"] = "100"  # line length of argparse
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main([*command, "--help"])
    return printed.getvalue()


def _gather_sources():
    """Copy the notebooks and write the help text of the command to the folder of the pages."""
    notebooks = {path.name: path for path in (HERE.parent / "notebooks").glob("*.ipynb")}
    for name, path in notebooks.items():
        _copy_changed(path, HERE / "generated" / "notebooks" / name)
    for stale in set((HERE / "generated" / "notebooks").glob("*.ipynb")):
        if stale.name not in notebooks:
            stale.unlink()
    (HERE / "generated" / "command.txt").write_text(_help_text(), encoding="utf-8")
    (HERE / "generated" / "command_track.txt").write_text(_help_text("track"), encoding="utf-8")


def _leave_unlinked(app, env, node, contnode):
    """Return the unlinked text of a name in single backticks that has no page: mostly an argument in a docstring.

    References with other roles, and names that begin with ``adaptstft.``, must have a page.
    """
    if node.get("reftype") == "obj" and not node["reftarget"].startswith("adaptstft."):
        return contnode
    return None


def _without_private_fields(app, what, name, obj, options, signature, returns):
    """Remove private fields from the signature of a class."""
    if what == "class" and signature and re.search(r"[(, ]_\w", signature):
        return re.sub(r"(?:, )?\b_\w+(?:=[^,)]+)?", "", signature), returns
    return None


def setup(app):
    """Connect the event handlers of this file to Sphinx."""
    app.connect("missing-reference", _leave_unlinked)
    app.connect("autodoc-process-signature", _without_private_fields, priority=400)  # before numpydoc


_gather_sources()
