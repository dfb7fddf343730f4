"""python tests/oldest.py: every lower bound of pyproject.toml as a constraint of pip, so that the bounds can be tested.

    pip install torch==2.13.0
    python tests/oldest.py > oldest.txt
    pip install -e ".[dev,peers,cluster]" --constraint oldest.txt

The standard library only: it runs before anything is installed. torch is left out: it is installed first, and is an
experiment parameter. So are the tools of `make lint`, which is run with the newest alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


LEFT_OUT = ("torch", "ruff", "mypy", "pandas-stubs", "scipy-stubs")


def constraints(text: str) -> Iterator[str]:
    """A line 'name==version' for each requirement 'name>=version' of a pyproject.toml, whatever its marker."""
    project = tomllib.loads(text)["project"]
    for requirement in sum(project["optional-dependencies"].values(), project["dependencies"]):
        name, _, version = requirement.partition(";")[0].partition(">=")
        package = name.partition("[")[0].strip()  # pip allows no extras in a constraint
        if version and package not in LEFT_OUT:
            yield f"{package}=={version.strip()}"


if __name__ == "__main__":
    print(*constraints(PYPROJECT.read_text(encoding="utf-8")), sep="\n")  # noqa: T201  (a program's own output)
