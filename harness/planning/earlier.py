"""How long a study took when it was last measured: the best guide to how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pandas as pd

from harness.errors import UserError
from harness.machine import CLUSTER, this_machine
from harness.study.definition import Study
from harness.tables import REFERENCE, Run, read

START_SECONDS = 2.0
"""Start of a launch: a fresh worker imports torch; measured with torch 2.13 on a two-core machine."""

Cell = tuple[str, str]
"""(case, method)."""


@dataclass(frozen=True)
class Earlier:
    """How many seconds cells took in an earlier run of a study.

    first: cell -> seconds in the first launch, which also compares errors; later: cell -> mean seconds of the later
    launches; rest: seconds that belong to no cell (measurements of the study's script, writing, checking the tables),
    without the start of workers; named: which run it is, in words.
    """

    first: Mapping[Cell, float] = field(default_factory=dict)
    later: Mapping[Cell, float] = field(default_factory=dict)
    rest: float = 0.0
    named: str = ""


def earlier_run(results: Path, study: Study, slug: str = "") -> Earlier:
    """The newest complete run of the study with the same timing protocol: on this machine, else on another.

    slug: this machine's or cluster's, if it is known. Without such a run an Earlier is returned that knows no cell.
    """
    paths = sorted(results.glob(f"*/{study.name}/*/run.json"), key=lambda path: path.parent.name)
    if not slug.startswith(CLUSTER):  # the workers of a cluster slow one another down where they share a machine
        paths = [path for path in paths if not _slug(path).startswith(CLUSTER)]
    if not paths:
        return Earlier()
    slug = slug or this_machine().slug
    # A committed reference counts as older than any run of the user's own. A slug ends with the accelerator, which only
    # torch could name, and planning imports no torch; so a slug that begins like this machine's is taken for it.
    paths.sort(key=lambda path: (_slug(path).startswith(slug), path.parent.name != REFERENCE))
    for path in reversed(paths):
        try:
            run = read(path.parent)
            if run.info["end"] and _protocol(run) == _protocol_of(study):
                return _of(run, _slug(path).startswith(slug))
        except (UserError, OSError, ValueError, TypeError):
            continue  # a run that cannot be read, or whose times are not of one kind, says nothing about the time
    return Earlier()


def _slug(path: Path) -> str:
    """The machine of results/<machine>/<study>/<run>/run.json."""
    return path.parts[-4]


def _protocol(run: Run) -> tuple[object, ...] | None:
    timing = run.info.get("timing")
    return (timing.get("block_seconds"), timing.get("rounds"), timing.get("width")) if timing else None


def _protocol_of(study: Study) -> tuple[object, ...] | None:
    return (study.timing.block_seconds, study.timing.rounds, study.timing.width) if study.timing else None


def _of(run: Run, here: bool) -> Earlier:
    cells = run.cells[run.cells["status"] != "skipped"]
    key = ["case", "method"]
    first = cells[cells["launch"] == 1].groupby(key)["wall_seconds"].sum()
    later = cells[cells["launch"] > 1].groupby(key)["wall_seconds"].mean()
    begin, end = (datetime.fromisoformat(run.info[name]) for name in ("begin", "end"))
    took = run.info.get("took_seconds", (end - begin).total_seconds())
    rest = took - float(cells["wall_seconds"].sum()) - START_SECONDS * run.cells["launch"].nunique()
    named = f"by the run of {begin:%Y-%m-%d} on {'this machine' if here else run.info['machine']['slug']}"
    return Earlier(_by_cell(first), _by_cell(later), max(0.0, rest), named)


def _by_cell(seconds: pd.Series) -> dict[Cell, float]:
    return dict(zip(seconds.index.tolist(), seconds.tolist(), strict=True))
