"""The title of the page, and the names of the runs in its table of contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.page.compared import Comparison
from harness.page.provenance import title_of
from harness.tables import Run

SUBJECT = "Top-k selection in PyTorch"

MINUTE, SECOND = 16, 19
"""Characters of a time in ISO 8601 up to its minutes and up to its seconds."""


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
    """A short name for each run: its study, then its side or its minute where several runs are of the same study, with
    the second where these do not tell it from another."""
    runs_of, known = Counter(run.name for run in runs), sides(runs, comparisons)
    short = [
        _name(run, (side or _begin(run, MINUTE)) if runs_of[run.name] > 1 else "")
        for run, side in zip(runs, known, strict=True)
    ]
    alike = Counter(short)
    return [
        _name(run, side, _begin(run, SECOND)) if alike[name] > 1 else name
        for run, side, name in zip(runs, known, short, strict=True)
    ]


def _name(run: Run, *which: str) -> str:
    return ", ".join(filter(None, (run.name, *which, run.part)))


def _begin(run: Run, digits: int) -> str:
    return str(run.info["begin"])[:digits].replace("T", " ")
