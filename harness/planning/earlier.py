"""What a study took when it was last measured: the best guide to what it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pandas as pd

from harness.errors import UserError
from harness.machine import this_machine
from harness.study.definition import Study
from harness.tables import REFERENCE, Run, read

START_SECONDS = 2.0
"""Of a launch: a fresh worker imports torch 2.13 on a two-core machine."""

Cell = tuple[str, str]
"""case and method."""


@dataclass(frozen=True)
class Earlier:
    """What cells took in an earlier run of a study, in seconds.

    first, later: cell -> seconds in the first launch, which compares errors too, and the mean of the later ones; rest:
    what no cell took (what the study's script measures beside them, writing, checking the tables), but for the start of
    workers; named: which run it is, in words.
    """

    first: Mapping[Cell, float] = field(default_factory=dict)
    later: Mapping[Cell, float] = field(default_factory=dict)
    rest: float = 0.0
    named: str = ""


def earlier_run(results: Path, study: Study, slug: str = "") -> Earlier:
    """The newest complete run of the study on this machine, else on another, by the same protocol of timing; one that
    knows nothing where there is none. slug: that of this machine, where it is known."""
    paths = sorted(results.glob(f"*/{study.name}/*/run.json"), key=lambda each: each.parent.name)
    if not paths:
        return Earlier()
    slug = slug or this_machine().slug
    # Committed references are older than any run of one's own; the accelerator, which ends a slug, is not known here.
    paths.sort(key=lambda each: (each.parts[-4].startswith(slug), each.parent.name != REFERENCE))
    for path in reversed(paths):
        try:
            run = read(path.parent)
            if run.info["end"] and _protocol(run) == _protocol_of(study):
                return _of(run, path.parts[-4].startswith(slug))
        except (UserError, OSError, ValueError):
            continue  # a run that cannot be read says nothing of the time
    return Earlier()


def _protocol(run: Run) -> tuple[object, ...] | None:
    timing = run.info.get("timing")
    return (timing.get("block_seconds"), timing.get("rounds"), timing.get("width")) if timing else None


def _protocol_of(study: Study) -> tuple[object, ...] | None:
    return (study.timing.block_seconds, study.timing.rounds, study.timing.width) if study.timing else None


def _of(run: Run, here: bool) -> Earlier:
    cells = run.cells[run.cells["status"] != "skipped"]
    by = ["case", "method"]
    first = cells[cells["launch"] == 1].groupby(by)["wall_seconds"].sum()
    later = cells[cells["launch"] > 1].groupby(by)["wall_seconds"].mean()
    begin, end = (datetime.fromisoformat(run.info[name]) for name in ("begin", "end"))
    took = run.info.get("took_seconds", (end - begin).total_seconds())
    rest = took - float(cells["wall_seconds"].sum()) - START_SECONDS * run.cells["launch"].nunique()
    named = f"by the run of {begin:%Y-%m-%d} on {'this machine' if here else run.info['machine']['slug']}"
    return Earlier(_by_cell(first), _by_cell(later), max(0.0, rest), named)


def _by_cell(seconds: pd.Series) -> dict[Cell, float]:
    return dict(zip(seconds.index.tolist(), seconds.tolist(), strict=True))
