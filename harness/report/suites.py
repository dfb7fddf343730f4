"""What a judged duel of a suite says on a terminal, beside the lines of its verdicts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pandas as pd

MOST_NAMED = 8
"""Functions that an advice names; of more, it says how to have more time."""


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
