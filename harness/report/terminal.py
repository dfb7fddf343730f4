"""The closing table of a run: at most ten lines, a line a method."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.tables import Run
from harness.verdicts.closing import methods_table
from harness.verdicts.plausible import BOUND, contradicted, paces
from harness.verdicts.wording import axes_of, case_name

CLOSING_LINES = 10
PROVED = "proved_by_"
NAMED_CELLS = 3


def closing_table(run: Run) -> str:
    """What became of each method: status counts, speed over native with its range over cases, errors, flips."""
    lines = methods_table(run).to_string().splitlines()
    if len(lines) > CLOSING_LINES:
        lines = [*lines[: CLOSING_LINES - 1], f"... and {len(lines) - CLOSING_LINES + 1} more methods: see cells.csv"]
    return "\n".join(lines)


def proof_line(run: Run) -> str:
    """How many entries of the exact answers were proved by which rung of the ladder, or ''."""
    rows = run.discrepancies
    proved = rows[rows["metric"].str.startswith(PROVED)].groupby("metric", sort=False)["value"].sum()
    counts = ", ".join(f"{str(name).removeprefix(PROVED)} {count:.0f}" for name, count in proved.items())
    return f"exact entries by what proved them: {counts}" if counts else ""


def doubts(run: Run) -> Iterator[str]:
    """A line for each self-check of a run that failed, with the cells that are worst; none, if all is well."""
    if run.timings.empty:
        return
    found = paces(run.timings, run.memory)
    fast = found[found["pace"] > BOUND]
    if not fast.empty:
        yield (
            f"too fast to be true: {len(fast)} of {len(found)} phases move their bytes over {BOUND} times as fast as "
            f"the better yardstick: {_worst(fast)}: a missing synchronise, work optimised away, or a nearer cache"
        )
    if found["pace"].isna().all():
        yield "bytes per second: no phase could be held to a yardstick"
    if not (against := contradicted(run.timings)).empty:
        yield f"device events say more than the wall clock around them: {_worst(against)}: the clock does not wait"


def _worst(rows: pd.DataFrame) -> str:
    worst = rows.sort_values("pace", ascending=False).head(NAMED_CELLS).to_dict("records")
    told = [f"{row['method']} {case_name(axes_of(row, 'phase'))}, {row['phase']} ({row['pace']:.2g}x)" for row in worst]
    return "; ".join(told) + (f"; and {len(rows) - len(told)} more" if len(rows) > len(told) else "")
