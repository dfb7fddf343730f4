"""Methods that only the base of a duel has: the head's version of the study no longer lists them."""

from __future__ import annotations

import tomllib
from itertools import islice
from pathlib import Path

from harness.duel.origin import Origin
from harness.methods import registered
from harness.outside_text import decoded
from harness.planning.loading import plan_of
from harness.study.cells import Cell
from harness.study.definition import Study
from harness.study.plan import Plan


def base_only(base: Origin, study: Study, studies: Path, plan: Plan) -> dict[str, list[Cell]]:
    """case -> cells of the methods that the base's version of the study lists and the head's does not. Only the base
    measures them, so they are judged `lost`.

    A method that this harness no longer knows is tried in the first case only, since nobody can say which cases suit
    it.
    """
    listed = _methods_listed(base.folder, studies, study.name)
    gone = [method for method in listed if method not in _methods_of(study.text)]
    known = tuple(method for method in gone if method in registered())
    cells_gone: dict[str, list[Cell]] = {}
    if known:
        for case, cells in plan_of(study.model_copy(update={"methods": known})):
            cells_gone[case.id] = [cell for cell in cells if cell.method in known]
    for case, _ in islice(plan, 1):
        unknown = [Cell(case, method, case.input_bytes) for method in gone if method not in known]
        cells_gone.setdefault(case.id, []).extend(unknown)
    return cells_gone


def _methods_listed(folder: Path, studies: Path, name: str) -> list[str]:
    """The methods of a study file in another checkout; none if it has no such file, or one that cannot be read."""
    try:
        path = folder / studies.resolve().relative_to(Path.cwd()) / f"{name}.toml"
        return _methods_of(decoded(path.read_bytes()))
    except (OSError, ValueError, RecursionError):  # tomllib raises a ValueError, or a RecursionError for deep nesting
        return []


def _methods_of(text: str) -> list[str]:
    methods = tomllib.loads(text).get("methods", [])
    return [name for name in (methods if isinstance(methods, list) else [methods]) if isinstance(name, str)]
