"""python -m tests.acceptance [NAME]...: the long demonstrations, one after the other; exit 1 when a bound is passed."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.errors import UserError, unknown
from harness.repository.git import forget_repository
from harness.vocabulary import EXIT_USAGE
from tests.acceptance.line import Line


def demonstrations() -> dict[str, Callable[[], Iterable[Line]]]:
    """Name -> `measure` of each module that has one."""
    names = [each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)]) if each.name != "__main__"]
    modules = {name: importlib.import_module(f"tests.acceptance.{name}") for name in names}
    return {name: module.measure for name, module in modules.items() if hasattr(module, "measure")}


def chosen(wanted: list[str]) -> dict[str, Callable[[], Iterable[Line]]]:
    """The demonstrations of these names, or all. Raises UserError for a name that none has."""
    known = demonstrations()
    for name in wanted:
        if name not in known:
            raise unknown("tests.acceptance", "demonstration", name, known)
    return {name: measure for name, measure in known.items() if not wanted or name in wanted}


def main(wanted: list[str]) -> int:
    """Run the demonstrations of these names, or all."""
    forget_repository()  # some of them commit in a clone, and a git hook may have started them
    try:
        measures = chosen(wanted)
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201  (a program's own output)
        return EXIT_USAGE
    failed = 0
    for name, measure in measures.items():
        print(f"{name}:", flush=True)  # noqa: T201
        for line in measure():
            print(line, flush=True)  # noqa: T201
            failed += not line.holds
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
