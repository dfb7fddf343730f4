"""A duel of a pytest suite on the page of a report: its verdicts, its blocks, and where its two sides come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.machine import Revision
from harness.page.compared import MOST_REASONS, different, shown_verdicts
from harness.page.packing import Carried, pointed
from harness.page.provenance import facts_of, machine_line
from harness.page.rows import ROUNDS, VERDICTS, sampled
from harness.page.table import Table
from harness.tables import SuiteRun, parameter_column
from harness.verdicts.suites import as_cells, function_of, suite_sides_text
from harness.verdicts.wording import failures_text, status_lines


@dataclass(frozen=True)
class SuiteDuelled:
    """A duel of a suite: both sides, and the verdicts."""

    base: SuiteRun
    head: SuiteRun
    verdicts: pd.DataFrame

    @property
    def name(self) -> str:
        return str(self.head.info["suite"])

    @property
    def label(self) -> str:
        """The suite, when the duel began, and the commit of its head."""
        return ", ".join([self.name, str(self.head.info["begin"])[:16].replace("T", " "), _revision(self.head)])

    @property
    def heading(self) -> str:
        """The suite, and which side is compared with which."""
        return f"{self.name}: {_revision(self.head)} against {_revision(self.base)}"


def _revision(side: SuiteRun) -> str:
    """The commit of a side, and '-dirty' where it had uncommitted changes."""
    return Revision(str(side.info["commit"]), bool(side.info["dirty"])).label


def suite_section(duel: SuiteDuelled) -> dict[str, Any]:
    """The variables of the template for the head, as study.section() gives them for a run. Those that a suite does not
    have are empty."""
    head = duel.head
    empty: dict[str, Any] = dict.fromkeys(("side", "map", "setting", "errors", "text"), "")
    several = ("uses", "exact", "opening", "which_method", "how_exact", "figures", "undrawn", "summary", "not_measured")
    return (
        empty
        | dict.fromkeys(several, ())
        | {
            "name": duel.name,
            "title": f"The benchmarks of {duel.name}",
            "heading": duel.label,
            "machine": machine_line(head.info),
            "short": failures_text(duel.verdicts),
            "beware": list(status_lines(as_cells(head).cells, MOST_REASONS)),
            "timed": False,
            "provenance": Table("suite.json", ("fact", "value"), tuple(facts_of(head.info).items())),
        }
    )


def suite_judged(duel: SuiteDuelled) -> dict[str, Any]:
    """The variables of the template for the verdicts, as compared.judged() gives them for a comparison."""
    base, head = duel.base, duel.head
    return shown_verdicts(duel.verdicts, as_cells(head).cells) | {
        "heading": duel.heading,
        "sides_text": suite_sides_text(base.info, head.info),
        "sides": different(facts_of(base.info), facts_of(head.info)),
        "refusal": "",
    }


def suite_carried(duel: SuiteDuelled, rounds: int) -> Carried:
    """The rows that the page carries of a duel of a suite: its verdicts, and at most `rounds` blocks of its head."""
    parameters = [parameter_column(name) for name in duel.head.info["parameters"]]
    key = ["case", "method", "test", *parameters]
    tables = {VERDICTS: duel.verdicts, ROUNDS: sampled(duel.head.timings.drop(columns=["position"]), rounds)}
    keyed = {name: _keyed(table) for name, table in tables.items() if not table.empty}
    cells, pointing = pointed(keyed, key)
    return Carried(cells, pointing, len(duel.head.timings))


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the two columns that name a cell: each test is a case, and its function the method."""
    return table.assign(case=table["test"], method=function_of(table["test"]))
