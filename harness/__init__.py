"""A benchmark and numerical-precision harness for top-k selection in PyTorch.

    study = harness.load_study("smoke")  # a name, or the path of a study file
    run = harness.run(study)             # measures into results/
    run.timings, run.discrepancies       # data frames with typed columns; harness.read(folder) reads a run again
    harness.answer(run)                  # which method to take where; harness.verdicts(base, head): what changed

A method can also be called directly:

    problem = harness.draw(harness.Case(n=4096, k=64, dtype="bfloat16"))
    values, indices = harness.method("dense").forward(problem.y, 64)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness.version import __version__ as __version__

if TYPE_CHECKING:
    from harness.methods import method as method
    from harness.planning.loading import load_study as load_study
    from harness.report.notebook import read as read
    from harness.session.runs import resume as resume
    from harness.session.runs import run as run
    from harness.study.cells import Case as Case
    from harness.topk.problems import draw as draw
    from harness.verdicts.answers import answer as answer

_HOMES = {
    "answer": "harness.verdicts.answers",
    "Case": "harness.study.cells",
    "draw": "harness.topk.problems",
    "load_study": "harness.planning.loading",
    "method": "harness.methods",
    "read": "harness.report.notebook",
    "resume": "harness.session.runs",
    "run": "harness.session.runs",
}

__all__ = sorted([*_HOMES, "__version__", "verdicts"])


def __getattr__(name: str) -> Any:
    """Import on first use, since `--help` needs none of these."""
    if name == "verdicts":
        return importlib.import_module("harness.verdicts")
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
