"""The public names and how they are called, as text.

``python tests/public_api.py`` writes ``public_api.txt`` again. Adapters whose framework is not installed keep the
lines they have.
"""

import inspect
import re
from dataclasses import fields, is_dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

STORED = Path(__file__).with_suffix(".txt")
#: Public modules, and what is needed to import them.
MODULES = {
    "adaptstft": (),
    "adaptstft.autograd": (),
    "adaptstft.criteria": (),
    "adaptstft.dask": ("dask", "distributed"),
    "adaptstft.datasets": (),
    "adaptstft.risk": (),
    "adaptstft.sklearn": ("sklearn",),
    "adaptstft.testing": (),
    "adaptstft.torch": ("torch",),
    "adaptstft.windows": (),
    "adaptstft.xarray": ("xarray",),
}


def is_installed(module):
    """Whether a module of the list can be imported."""
    return all(find_spec(name) for name in MODULES[module])


def signature(function, *, of_instance=False):
    """Parameters and their defaults; types are left to the type checker."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[of_instance:]
    except ValueError:  # the constructor of dict
        return "(...)"
    bare = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(inspect.Signature(bare)))


def member(public, cls, name):
    """Return the line of one attribute of a class with a public name."""
    found = inspect.getattr_static(cls, name, None)
    if isinstance(found, (classmethod, staticmethod)):
        kind = type(found).__name__
        return f"{public}.{name}{signature(getattr(cls, name))} {kind}"
    if inspect.isfunction(found):
        return f"{public}.{name}{signature(found, of_instance=True)}"
    return f"{public}.{name}"


def members(cls):
    """Return the public attributes that a class has from this package."""
    names = {field.name for field in fields(cls)} if is_dataclass(cls) else set()
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == "adaptstft":
            names |= vars(base).keys() | inspect.get_annotations(base).keys()
    return sorted(name for name in names if not name.startswith("_") or name == "__call__")


def lines_of(module):
    """Return the lines of a module."""
    content = import_module(module)
    for name in sorted(content.__all__):
        value = getattr(content, name)
        if inspect.ismodule(value):
            yield f"{name} module"
        elif inspect.isclass(value):
            yield name + signature(value)
            yield from (member(name, value, attribute) for attribute in members(value))
        elif callable(value):
            yield name + signature(value)
        else:
            yield f"{name} {type(value).__name__}"


def stored():
    """Return the lines of each module as they are stored."""
    found = {}
    for line in STORED.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), [])
        elif line:
            section.append(line)
    return found


def main():
    """Write the list again."""
    old = stored() if STORED.exists() else {}
    sections = {module: list(lines_of(module)) if is_installed(module) else old[module] for module in MODULES}
    text = "\n".join(f"[{module}]\n" + "".join(f"{line}\n" for line in lines) for module, lines in sections.items())
    STORED.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
