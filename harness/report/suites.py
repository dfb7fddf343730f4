"""Advice on the terminal after the verdicts of a duel of a suite."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pandas as pd

from harness.verdicts.suites import function_of
from harness.vocabulary import many

MOST_NAMED = 8
"""Advice names at most this many undecided test functions; if there are more, it suggests more time instead."""


def next_after_suite(verdicts: pd.DataFrame, repeat: str) -> Iterator[str]:
    """A suggested command if tests are undecided. repeat: the command of this duel, without --only."""
    measured = verdicts[verdicts["launches"] > 0]
    undecided = measured[measured["verdict"] == "inconclusive"]
    functions, every_function = (function_of(rows["test"]).unique() for rows in (undecided, measured))
    if 0 < len(functions) < len(every_function) and len(functions) <= MOST_NAMED:
        only = shlex.quote(f"test={','.join(functions)}")
        yield f"next: `{repeat} --only {only}` (fewer tests get more launches in the same time)"
    elif len(functions):
        launches = int(undecided["launches"].max())
        yield f"next: raise --budget: {launches} launches do not decide {many(len(undecided), 'test')}"
