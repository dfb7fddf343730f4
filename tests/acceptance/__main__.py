"""python -m tests.acceptance [NAME]...: the long demonstrations, one after the other; exit 1 when a bound is passed."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def main(wanted: list[str]) -> int:
    """Run the demonstrations of these names, or all; each module with a `measure()` is one."""
    failed = 0
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        measure = getattr(importlib.import_module(f"tests.acceptance.{module.name}"), "measure", None)
        if measure is None or (wanted and module.name not in wanted):
            continue
        print(f"{module.name}:", flush=True)  # noqa: T201  (a program's own output)
        for line in measure():
            print(line, flush=True)  # noqa: T201
            failed += not line.holds
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
