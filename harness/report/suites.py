"""What a judged duel of a suite says on a terminal, beside the lines of its verdicts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from harness.machine import Revision

Info = Mapping[str, Any]

MOST_NAMED = 8
"""Functions that an advice names; of more, it says how to have more time."""


def suite_sides_text(base: Info, head: Info) -> str:
    """One line: commit and Python of each side, and the packages in whose version the two differ."""
    names = [*dict.fromkeys((*base["packages"], *head["packages"]))]
    unlike = [name for name in names if base["packages"].get(name) != head["packages"].get(name)]
    return "; ".join(f"{name} {_side(info, unlike)}" for name, info in (("base", base), ("head", head)))


def next_after_suite(verdicts: pd.DataFrame, repeat: str) -> Iterator[str]:
    """What a person would do about tests that are not decided. repeat: the command of this duel, without --only."""
    measured = verdicts[verdicts["launches"] > 0]
    undecided = measured[measured["verdict"] == "inconclusive"]
    functions = list(dict.fromkeys(_function(each) for each in undecided["test"]))
    of_all = len({_function(each) for each in measured["test"]})
    if 0 < len(functions) < of_all and len(functions) <= MOST_NAMED:
        only = shlex.quote(f"test={','.join(functions)}")
        yield f"next: `{repeat} --only {only}` (fewer tests have more launches in the same time)"
    elif len(functions):
        launches = int(undecided["launches"].max())
        yield f"next: raise --budget: {launches} launches do not decide {len(undecided)} tests"


def _function(test: str) -> str:
    return test.partition("[")[0].rpartition("::")[2]


def _side(info: Info, packages: list[str]) -> str:
    told = [Revision(info["commit"], info["dirty"]).label, f"Python {info['python']}"]
    told += [f"{name} {info['packages'].get(name, 'not imported')}" for name in packages]
    return ", ".join(told)
