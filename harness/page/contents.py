"""The title of the page, and the names of the runs in its table of contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.page.compared import Comparison
from harness.page.provenance import title_of
from harness.tables import Run

SUBJECT = "Top-k selection in PyTorch"


def page_title(runs: Sequence[Run], comparisons: Sequence[Comparison], suites: Sequence[str] = ()) -> str:
    """The heading of the only comparison, the title of the only study, or the names of several studies and suites.

    suites: the names of the suites whose duels are on the page.
    """
    if len(comparisons) == 1 and {run.path for run in runs} == {comparisons[0].base.path, comparisons[0].head.path}:
        return comparisons[0].heading
    if len(runs) == 1 and not suites:
        return title_of(runs[0])
    shown = ", ".join(dict.fromkeys([*(run.name for run in runs), *suites]))
    return f"{SUBJECT}: {shown}" if runs else shown


def sides(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> list[str]:
    """Which side of a comparison each run is: base, head, or ''."""
    known = {pair.base.path: "base" for pair in comparisons} | {pair.head.path: "head" for pair in comparisons}
    return [known.get(run.path, "") for run in runs]


def names(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> list[str]:
    """A short name for each run: its study, and its side or its time where several runs are of the same study."""
    runs_of = Counter(run.name for run in runs)
    short = []
    for run, side in zip(runs, sides(runs, comparisons), strict=True):
        which = side or str(run.info["begin"])[:16].replace("T", " ")
        short.append(", ".join(filter(None, (run.name, which if runs_of[run.name] > 1 else "", run.part))))
    return short
