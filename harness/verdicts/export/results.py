"""What is exported, and what every format says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.tables import BASE, HEAD, Run
from harness.verdicts.wording import axes_of, case_name
from harness.vocabulary import BROKEN

PROJECT = "topk-harness"


@dataclass(frozen=True)
class Results:
    """What is exported: a run, or a duel, which has a base and verdicts too."""

    head: Run
    base: Run | None = None
    verdicts: pd.DataFrame | None = None

    @property
    def sides(self) -> dict[str, Run]:
        """name -> run; a run that has no other side has no name."""
        return {"": self.head} if self.base is None else {BASE: self.base, HEAD: self.head}


def plain(text: object) -> str:
    """One line that XML can hold and a page can show: spaces for line breaks, U+FFFD for what cannot be printed."""
    return "".join(each if each.isprintable() else "\ufffd" for each in " ".join(str(text).split()))


def broken_cells(results: Results) -> Iterator[tuple[str, Any]]:
    """(side, row) of the cells that crashed or are incorrect."""
    for side, run in results.sides.items():
        cells = run.cells
        yield from ((side, row) for row in cells[cells["status"].isin(BROKEN)].to_dict("records"))


def cell_name(row: Any) -> str:
    return f"{row['method']} {case_name(axes_of(row, 'launch'))}, launch {row['launch']}"
