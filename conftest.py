"""Which tests pytest collects and runs: three levels, from daily work to a release.

``--quick`` is for daily work, the default is for every change, and ``--full`` is for a release. CONTRIBUTING.md says
what each level holds.
"""

import random
from collections import defaultdict
from importlib.util import find_spec
from itertools import combinations

_FRAMEWORKS = {
    "dask": ("dask", "distributed"),
    "display/mesh": ("matplotlib",),
    "sklearn": ("sklearn",),
    "torch": ("torch",),
    "adapters/torch_bounded": ("torch",),
    "adapters/torch_function": ("torch",),
    "adapters/torch_layer": ("torch",),
}
#: Most cases of a test at level `--quick`, or of a slow one at the default level; most cases without thinning.
_QUICK_CASES, _UNTHINNED_CASES = 3, 6

collect_ignore = [
    f"adaptstft/{module}.py" for module, needed in _FRAMEWORKS.items() if not all(find_spec(name) for name in needed)
]


def pytest_addoption(parser):
    """Add the options that choose a level."""
    group = parser.getgroup("levels", "how much of the suite runs")
    quick = f"leave out tests marked slow or full, and keep {_QUICK_CASES} cases of each other test"
    group.addoption("--quick", dest="level", action="store_const", const="quick", default="default", help=quick)
    full = "run every test with every combination of its parameters"
    group.addoption("--full", dest="level", action="store_const", const="full", help=full)


def pytest_collection_modifyitems(config, items):
    """Deselect the cases that the level leaves out. The choice is the same in every run and every worker."""
    level = config.getoption("level")
    if level == "full":
        return
    left_out = ("full", "slow") if level == "quick" else ("full",)
    tests = defaultdict(list)
    for item in items:
        if not any(item.get_closest_marker(name) for name in left_out):
            tests[item.nodeid.partition("[")[0]].append(item)
    kept = {item.nodeid for name, cases in tests.items() for item in chosen_cases(level, name, cases)}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
    items[:] = [item for item in items if item.nodeid in kept]


def chosen_cases(level, name, cases):
    """Return the cases of one test that a level runs: a few of slow tests, otherwise all pairs at the default level."""
    slow = all(case.get_closest_marker("slow") for case in cases)
    return few(name, cases) if level == "quick" or slow else all_pairs(name, cases)


def few(name, cases):
    """Return a sample of the cases. An even step would often choose the same value of the innermost parameter."""
    return cases if len(cases) <= _QUICK_CASES else random.Random(name).sample(cases, _QUICK_CASES)


def all_pairs(name, cases):
    """Return cases that contain every pair of values of two parameters, if there are three parameters or more.

    Greedy: each step takes the case with most pairs that no chosen case contains yet.
    """
    if len(cases) <= _UNTHINNED_CASES:
        return cases
    pairs = [set(combinations(enumerate(values_of(case)), 2)) for case in cases]
    missing = set().union(*pairs)
    chosen = set(range(len(cases))) if not missing else set()
    while missing:
        best = max(range(len(cases)), key=lambda i: len(pairs[i] & missing))
        chosen.add(best)
        missing -= pairs[best]
    return [cases[i] for i in sorted(chosen)]


def values_of(case):
    """Return the identity of each parameter's value. Names that one mark lists together are one parameter."""
    params = {name: id(value) for name, value in case.callspec.params.items()}
    marked = []
    for mark in case.iter_markers("parametrize"):
        names = mark.kwargs.get("argnames", mark.args[0] if mark.args else ())
        names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
        marked.append(tuple(params.pop(name) for name in names))
    return [*marked, *params.values()]
