"""The closing table of a run: at most ten lines, a line a method."""

from __future__ import annotations

from harness.tables import Run
from harness.verdicts.closing import methods_table

CLOSING_LINES = 10
PROVED = "proved_by_"


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
