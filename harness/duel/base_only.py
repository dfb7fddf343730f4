"""What only the base of a duel has: methods that the head's version of the study no longer lists."""

from __future__ import annotations

import tomllib
from itertools import islice
from pathlib import Path

from harness.duel.origin import Origin
from harness.methods import registered
from harness.outside_text import decoded
from harness.planning.loading import plan_of
from harness.study.cells import Cell, Plan
from harness.study.definition import Study


def base_only(base: Origin, study: Study, studies: Path, plan: Plan) -> dict[str, list[Cell]]:
    """case -> cells of methods that the base's version of the study has and the head's has not: they will be `lost`.

    A method that is not known here any more is tried in one case only: nothing tells where it fits.
    """
    gone = [each for each in _methods_listed(base.folder, studies, study.name) if each not in _methods_of(study.text)]
    known = tuple(each for each in gone if each in registered())
    found: dict[str, list[Cell]] = {}
    if known:
        for case, cells in plan_of(study.model_copy(update={"methods": known})):
            found[case.id] = [each for each in cells if each.method in known]
    for case, _ in islice(plan, 1):
        found.setdefault(case.id, []).extend(Cell(case, each, case.input_bytes) for each in gone if each not in known)
    return found


def _methods_listed(folder: Path, studies: Path, name: str) -> list[str]:
    """The methods of a study file in another checkout; none where it has no such file."""
    try:
        path = folder / studies.resolve().relative_to(Path.cwd()) / f"{name}.toml"
        return _methods_of(decoded(path.read_bytes()))
    except (OSError, ValueError):  # of tomllib too
        return []


def _methods_of(text: str) -> list[str]:
    methods = tomllib.loads(text).get("methods", [])
    return [each for each in ([methods] if isinstance(methods, str) else methods) if isinstance(each, str)]
