"""Sphinx configuration: ``python -m sphinx -b html docs docs/_build``."""

from importlib.metadata import version as installed_version

project = "adaptstft"
author = "The adaptstft developers"
copyright = "The adaptstft developers"
version = release = installed_version("adaptstft")

extensions = ["numpydoc"]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_title = f"adaptstft {version}"
html_show_sourcelink = False
numpydoc_show_class_members = False
