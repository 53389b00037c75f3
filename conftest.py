"""What pytest collects: modules that adapt to a framework need it for their examples; ``--quick`` is for daily work."""

import random
from collections import defaultdict
from importlib.util import find_spec

_FRAMEWORKS = {
    "dask": ("dask", "distributed"),
    "sklearn": ("sklearn",),
    "torch": ("torch",),
    "adapters/torch_function": ("torch",),
}
#: Cases that `--quick` keeps of a test with parameters.
_CASES = 3

collect_ignore = [
    f"adaptstft/{module}.py" for module, needed in _FRAMEWORKS.items() if not all(find_spec(name) for name in needed)
]


def pytest_addoption(parser):
    """Add the option for daily work."""
    text = f"leave out the tests marked slow, and all but {_CASES} cases of every other, the same ones each time"
    parser.addoption("--quick", action="store_true", help=text)


def pytest_collection_modifyitems(config, items):
    """Keep what `--quick` asks for."""
    if not config.getoption("--quick"):
        return
    tests = defaultdict(list)
    for item in items:
        if item.get_closest_marker("slow") is None:
            tests[item.nodeid.partition("[")[0]].append(item.nodeid)
    # an even step would meet the same value of the innermost parameter again and again
    kept = {
        case
        for name, cases in tests.items()
        for case in (cases if len(cases) <= _CASES else random.Random(name).sample(cases, _CASES))
    }
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
    items[:] = [item for item in items if item.nodeid in kept]
