"""Beside the answer of a run: how often each method is the fastest, and what makes the answer doubtful."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.page.table import Table
from harness.report.doubts import doubts
from harness.tables import SCHEMA_VERSION, Run, clock_words
from harness.verdicts.fastest import BASE, SHARED, TOGETHER, WHOLE, relaxations
from harness.verdicts.ratios import FEWEST_LAUNCHES, without_interval
from harness.verdicts.wording import status_lines
from harness.vocabulary import BROKEN

MOST_REASONS = 12
"""Lines about cells without a measurement that the page shows at most."""


def which_method(best: pd.DataFrame) -> Iterator[Table]:
    """One table: how often each method is the fastest, and by how much. No table where nothing can be ranked.

    best: the rows of verdicts.fastest.fastest().
    """
    if best.empty:
        return
    phases = [phase for phase in WHOLE if phase in set(best["phase"])]
    cases = best.groupby("phase")["case"].nunique()
    named = best.assign(method=best["fastest"].str.split(TOGETHER)).explode("method")
    rows = []
    for name in named["method"].value_counts().index:
        mine = named[named["method"] == name]
        cells = [_share(mine[mine["phase"] == phase], int(cases[phase])) for phase in phases]
        rows.append((str(name), *cells))
    caption = (
        f"In how many cases each method is the fastest{clock_words(best)}, and its speed-up over native there. Native "
        "counts as the fastest unless another method is surely faster (the intervals of all methods of a case hold "
        "simultaneously with 95 %). Methods that cannot be told apart count together."
    )
    yield Table(caption, ("method", *phases), tuple(rows))


def _share(rows: pd.DataFrame, cases: int) -> str:
    """In how many of the cases a method is the fastest, and in how many it is one of several, in words; or '-'.

    rows: the answers that name the method.
    """
    alone = rows[rows["standing"] != SHARED]
    parts = []
    if len(alone):
        gains = alone["speedup"]
        faster = "" if (alone["method"] == BASE).all() else f", {gains.min():.2f} to {gains.max():.2f} times as fast"
        parts.append(f"{len(alone)} of {cases} cases{faster}")
    if shared := len(rows) - len(alone):
        parts.append(f"in {shared} {'more ' if parts else f'of {cases} cases '}among the fastest")
    return "; ".join(parts) or "-"


def beware(run: Run) -> Iterator[str]:
    """The reasons to doubt the answer of a run, one line each."""
    info = run.info
    if not info["end"]:
        yield f"This run has not ended: go on with harness run --resume {run.path}"
    if info.get("dirty"):
        yield "The working tree had uncommitted changes, so nobody can get this code again."
    if not run.timings.empty and (launches := run.timings["launch"].nunique()) < FEWEST_LAUNCHES:
        yield f"{without_interval(launches)}. No method can be distinguished from native."
    if soft := sorted(relaxations() & set(run.cells["method"])):
        names = ", ".join(soft)
        yield f"Relaxations are biased, so their values and gradients are not checked against native's: {names}."
    yield from doubts(run)
    yield from status_lines(run.cells[run.cells["status"].isin(BROKEN)], MOST_REASONS)


def not_measured(run: Run) -> Iterator[str]:
    """What was not measured, and why: one line for each kind of reason."""
    if run.info["schema"] < SCHEMA_VERSION:
        yield f"This run was written with schema {run.info['schema']}, without what later versions added."
    yield from status_lines(run.cells[~run.cells["status"].isin(BROKEN)], MOST_REASONS)
