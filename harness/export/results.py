"""The results that are exported, and the texts that several formats share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.sides import side_facts, sides_text
from harness.tables import BASE, HEAD, Run, SuiteRun
from harness.verdicts.suites import as_cells, suite_sides_text, unlike_packages
from harness.verdicts.wording import axes_of, case_name
from harness.vocabulary import BROKEN

PROJECT = "topk-harness"


@dataclass(frozen=True)
class SuiteSide:
    """One side of a duel of a pytest suite, with the attributes of a run that exports use. Its tests are its cells."""

    run: SuiteRun

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def name(self) -> str:
        return str(self.run.info["suite"])

    @property
    def info(self) -> Mapping[str, Any]:
        return self.run.info

    @cached_property
    def cells(self) -> pd.DataFrame:
        return as_cells(self.run).cells

    @property
    def timings(self) -> pd.DataFrame:
        return self.run.timings


@dataclass(frozen=True)
class Results:
    """A run, or a duel, which has a base and verdicts too. A suite is always measured in a duel."""

    head: Run | SuiteSide
    base: Run | SuiteSide | None = None
    verdicts: pd.DataFrame | None = None

    @property
    def sides(self) -> Mapping[str, Run | SuiteSide]:
        """name -> run. The only side of a run is named ''."""
        return {"": self.head} if self.base is None else {BASE: self.base, HEAD: self.head}

    @property
    def sides_text(self) -> str:
        """One line that describes both sides of a duel; '' for a run."""
        if self.base is None:
            return ""
        text_of_sides = suite_sides_text if isinstance(self.head, SuiteSide) else sides_text
        return text_of_sides(self.base.info, self.head.info)

    def facts(self, run: Run | SuiteSide) -> dict[str, Any]:
        """The facts by which a reader tells one side from the other."""
        if not isinstance(run, SuiteSide):
            return side_facts(run.info)
        unlike = unlike_packages(self.base.info, self.head.info) if self.base else []
        versions = {name: run.info["packages"].get(name, "not imported") for name in unlike}
        return {name: run.info[name] for name in ("commit", "dirty", "python")} | versions


def plain(text: object) -> str:
    """The text as one line that XML can hold: a space for each line break, U+FFFD for an unprintable character."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(str(text).split()))


def broken_cells(results: Results) -> Iterator[tuple[str, Any]]:
    """(side, row) of every cell that crashed or is incorrect."""
    for side, run in results.sides.items():
        cells = run.cells
        yield from ((side, row) for row in cells[cells["status"].isin(BROKEN)].to_dict("records"))


def cell_name(row: Any) -> str:
    """A cell and its launch in words. A test of a suite is named by its id."""
    cell = f"{row['method']} {case_name(axes_of(row, 'launch'))}" if "n" in row else row["case"]
    return f"{cell}, launch {row['launch']}"
