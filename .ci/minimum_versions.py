"""Print the oldest versions that pyproject.toml allows, as constraints for pip.

``python .ci/minimum_versions.py [EXTRA...]`` takes the dependencies of the package and of the extras.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w,.-]+)\])?(?:>=(?P<version>[\w.]+))?")


def requirements(project: dict, extras: list[str]) -> Iterator[re.Match[str]]:
    """Yield the requirements of the package and its extras, those of extras that they name included."""
    listed = [*project["dependencies"], *(line for name in extras for line in project["optional-dependencies"][name])]
    for line in listed:
        found = _REQUIREMENT.fullmatch(line)
        if not found:
            raise ValueError(f"{PROJECT.name} has the requirement {line!r}, which is no NAME[EXTRAS]>=VERSION")
        if found["name"] == project["name"]:
            yield from requirements(project | {"dependencies": []}, found["extras"].split(","))
        else:
            yield found


def constraints(extras: list[str]) -> list[str]:
    """Return a line for each requirement that has a lower bound."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    lines = {f"{found['name']}=={found['version']}" for found in requirements(project, extras) if found["version"]}
    return sorted(lines, key=str.lower)


if __name__ == "__main__":
    print("\n".join(constraints(sys.argv[1:])))
