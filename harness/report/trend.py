"""What a history says on a terminal: how much there is, then where each step is."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from harness.report.judgement import SHOWN
from harness.verdicts.steps import FEWEST_RUNS, OF, trends
from harness.verdicts.wording import quantity_name

COMMIT_DIGITS = 8
UNITS = {"time": " reads of y", "memory": " bytes", "instructions": " instructions", "error": ""}


def history_lines(history: pd.DataFrame, found: pd.DataFrame) -> Iterator[str]:
    """A line of counts, a line a step, the newest first, at most SHOWN, and what is too short to have one."""
    runs = trends(history).groupby(OF, sort=False).size()
    told = f"{len(found)} steps" if len(found) > 1 else "one step" if len(found) else "no step"
    yield f"{history['begin'].nunique()} judged runs, {len(runs)} quantities: {told}"
    newest = found.sort_values(["begin", "ratio"], ascending=False, kind="stable")
    for row in newest.head(SHOWN).to_dict("records"):
        yield step_text(row)
    if len(newest) > SHOWN:
        yield f"... and {len(newest) - SHOWN} more"
    if few := int((runs < FEWEST_RUNS).sum()):
        yield f"{few} quantities are of fewer than {FEWEST_RUNS} runs: no step is looked for in them"


def step_text(row: Mapping[Hashable, Any]) -> str:
    """What stepped, by how much, and the first run after it."""
    levels = f"{row['before']:.4g} -> {row['after']:.4g}{UNITS[row['kind']]}"
    where = f"at {str(row['head_commit'])[:COMMIT_DIGITS]} of {row['begin']}"
    return f"{row['study']}: {quantity_name(row)}: {row['ratio']:.3f}x, {levels}, {where}"
