"""The version, the paper, commands and paths of a release are the same in all files."""

import json
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import adaptstft

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_version_is_that_of_the_project():
    assert adaptstft.__version__ == version("adaptstft") == PROJECT["version"]


def test_version_that_is_cited_and_described():
    assert re.search(r"^version: (.+)$", text_of("CITATION.cff"), re.MULTILINE)[1] == PROJECT["version"]
    assert re.search(r"^## ([\d.]+)", text_of("CHANGELOG.md"), re.MULTILINE)[1] == PROJECT["version"]
    assert re.search(r"^ *version = \{(.+)\},", text_of("docs/citing.rst"), re.MULTILINE)[1] == PROJECT["version"]
    assert json.loads(text_of(".zenodo.json"))["version"] == PROJECT["version"]
    assert re.search(r'^  version: "(.+)"$', text_of("recipe/recipe.yaml"), re.MULTILINE)[1] == PROJECT["version"]


def test_recipe_requires_what_the_project_requires():
    run = re.search(r"^  run:\n((?:    - .+\n)+)", text_of("recipe/recipe.yaml"), re.MULTILINE)[1]
    required = {line.replace(" ", "").removeprefix("-") for line in run.splitlines()}
    named = {re.sub(r"[ ;].*", "", line) for line in PROJECT["dependencies"]}
    assert required - {"python>=${{python_min}}"} == named
    assert f'python_min: "{PROJECT["requires-python"].removeprefix(">=")}"' in text_of("recipe/recipe.yaml")


def test_recipe_has_the_command_and_the_build_backend_of_the_project():
    recipe = text_of("recipe/recipe.yaml")
    for name, target in PROJECT["scripts"].items():
        assert f"      - {name} = {target}\n" in recipe
    for line in tomllib.loads(text_of("pyproject.toml"))["build-system"]["requires"]:
        assert f"    - {line.replace('>=', ' >=')}\n" in recipe


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_actions_are_pinned(path):
    """A tag can be moved to other code, a commit cannot; every checkout forgets its token."""
    text = path.read_text(encoding="utf-8")
    actions = re.findall(r"uses: (.+)", text)
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action)
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE)


def test_paper_cites_what_its_bibliography_has():
    cited = set(re.findall(r"@(\w+)", text_of("paper/paper.md")))
    assert cited == set(re.findall(r"^@\w+\{(\w+),", text_of("paper/paper.bib"), re.MULTILINE))


def test_paper_is_the_same_wherever_it_is_cited():
    doi = re.search(r"^  doi: (.+)$", text_of("CITATION.cff"), re.MULTILINE)[1]
    assert f"(https://doi.org/{doi})" in text_of("README.md")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_commands_and_links_exist(name):
    """Targets of make and files of the checkout that a page names."""
    text = text_of(name)
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    named = re.findall(r"^(?:`|)make ([\w-]+)|`make ([\w-]+)", text, re.MULTILINE)
    assert {line or span for line, span in named} <= targets
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize(("name", "least"), [("Makefile", 15), ("pyproject.toml", 1)])
def test_paths_exist(name, least):
    paths = re.findall(r"(?<![\w/])(?:tests|adaptstft)/[\w/]+(?:\.py)?", text_of(name))
    assert len(paths) >= least
    for path in paths:
        assert (ROOT / path).exists(), path


def test_pages_of_the_project_are_in_the_source_distribution():
    manifest = text_of("MANIFEST.in").split()
    for path in ROOT.glob("*.md"):
        assert path.name == "README.md" or path.name in manifest
