"""What is public, and how it is called, changes on purpose only: ``python tests/public_api.py`` stores the list."""

import subprocess
import sys

import public_api
import pytest

import adaptstft


@pytest.mark.parametrize("module", public_api.MODULES)
def test_names_and_signatures_are_those_stored(module):
    if not public_api.is_installed(module):
        pytest.skip(f"{module} needs {' and '.join(public_api.MODULES[module])}")
    assert list(public_api.lines_of(module)) == public_api.stored()[module]


def test_every_module_is_stored():
    assert list(public_api.stored()) == list(public_api.MODULES)


def test_the_package_lists_what_is_public_and_nothing_else():
    assert dir(adaptstft) == sorted([*adaptstft.__all__, "__version__"])
    assert sorted(adaptstft.__all__) == adaptstft.__all__


def test_modules_are_loaded_when_they_are_first_used():
    code = (
        "import sys, adaptstft\n"
        "names = [f'adaptstft.{name}' for name in ('recordings', 'risk')]\n"
        "assert not set(names) & set(sys.modules)\n"
        "assert adaptstft.recordings.read and adaptstft.risk.SureLoss\n"
        "assert set(names) <= set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_change_is_seen():
    class Other:
        def method(self, a, *, b=1): ...

    assert public_api.member("Other", Other, "method") == "Other.method(a, *, b=1)"
    assert public_api.signature(lambda x, axis=-1: x) == "(x, axis=-1)"
