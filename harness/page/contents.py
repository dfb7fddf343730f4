"""What the page is called, and what its contents call the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.page.compared import Comparison
from harness.page.provenance import title_of
from harness.tables import Run

SUBJECT = "Top-k selection in PyTorch"


def page_title(runs: Sequence[Run], comparisons: Sequence[Comparison], suites: Sequence[str] = ()) -> str:
    """What the page is about: the two sides of a comparison, the title of the only study, or the names of several.

    suites: the names of the suites whose duels are on the page.
    """
    if len(comparisons) == 1 and {run.path for run in runs} == {comparisons[0].base.path, comparisons[0].head.path}:
        return comparisons[0].heading
    if len(runs) == 1 and not suites:
        return title_of(runs[0])
    told = ", ".join(dict.fromkeys([*(run.name for run in runs), *suites]))
    return f"{SUBJECT}: {told}" if runs else told


def sides(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> list[str]:
    """Of each run which side of a comparison it is: base, head, or ''."""
    known = {each.base.path: "base" for each in comparisons} | {each.head.path: "head" for each in comparisons}
    return [known.get(run.path, "") for run in runs]


def names(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> list[str]:
    """A short name for each run: its study; with its side or its time where several runs have one study."""
    several = Counter(run.name for run in runs)
    told = []
    for run, side in zip(runs, sides(runs, comparisons), strict=True):
        more = side or str(run.info["begin"])[:16].replace("T", " ")
        told.append(", ".join(filter(None, (run.name, more if several[run.name] > 1 else "", run.part))))
    return told
