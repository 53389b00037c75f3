"""What pytest collects: modules that adapt to a framework need it for their examples."""

from importlib.util import find_spec

_FRAMEWORKS = {
    "dask": ("dask", "distributed"),
    "sklearn": ("sklearn",),
    "torch": ("torch",),
    "_torch_function": ("torch",),
}

collect_ignore = [
    f"adaptstft/{module}.py" for module, needed in _FRAMEWORKS.items() if not all(find_spec(name) for name in needed)
]
