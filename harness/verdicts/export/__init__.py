"""Runs and duels in the formats of others: pytest-benchmark's JSON, JUnit XML, Markdown."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import UserError, unknown
from harness.tables import BASE, HEAD, Run, clock_words, has_verdicts, of_one_machine, read, read_verdicts
from harness.verdicts.closing import methods_table
from harness.verdicts.comparison import FAILING
from harness.verdicts.sides import side_facts, sides_text
from harness.verdicts.wording import (
    axes_of,
    case_name,
    change_text,
    counts_text,
    failures_text,
    figures_text,
    quantity_name,
)
from harness.vocabulary import BROKEN

if TYPE_CHECKING:
    from junitparser import JUnitXml, TestCase, TestSuite

SHOWN = 50
"""Rows of a Markdown table: a job page is read, and cut off at 1 MiB."""

ERRORS = (*BROKEN, "timeout")
"""Statuses that are errors in JUnit's sense; every other one but `ok` is a skip."""

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


def export(folder: Path, to: str) -> str:
    """The text of a run's or a duel's folder in the format `to`.

    Raises UserError where there is no such format, the folder holds neither, or several machines measured the run.
    """
    if to not in FORMATS:
        raise unknown("export --to", "format", to, FORMATS)
    if has_verdicts(folder):
        return FORMATS[to](Results(read(folder / HEAD), read(folder / BASE), read_verdicts(folder)))
    return FORMATS[to](Results(of_one_machine(read(folder))))


def benchmark_json(results: Results) -> str:
    """What `pytest-benchmark compare` reads: a benchmark for each cell and phase that was timed, of a duel its head's.

    Its rounds are blocks, in seconds a call, of all launches; its iterations the median calls of a block. Raises
    UserError where nothing was timed.
    """
    import pytest_benchmark

    info, timings = results.head.info, results.head.timings
    if timings.empty:
        raise UserError(f"{results.head.path}: this run has no times to export")
    blocks = timings.groupby(["case", "method", "phase", "clock"], sort=False)
    document = {
        "machine_info": _machine_info(info),
        "commit_info": {
            "id": info.get("commit", "none"),
            "time": None,
            "author_time": None,
            "dirty": info.get("dirty", False),
            "project": PROJECT,
            "branch": "(unknown)",
        },
        "benchmarks": [_benchmark(results.head, each) for _, each in blocks],
        "datetime": plain(info["begin"]),
        "version": pytest_benchmark.__version__,
    }
    return json.dumps(document, indent=1) + "\n"


def junit_xml(results: Results) -> str:
    """A testcase for each cell and launch of a run; of a duel one for each quantity, and for each broken cell."""
    from junitparser import JUnitXml, TestSuite

    suite = TestSuite(plain(results.head.name))
    suite.timestamp = plain(results.head.info["begin"])
    for side, run in results.sides.items():
        for name, value in side_facts(run.info).items():
            suite.add_property(".".join(filter(None, (side, name))), plain(value))
    if results.verdicts is None:
        suite.add_testcases([_cell_case(row, results.head.name) for row in results.head.cells.to_dict("records")])
    else:
        broken = [_cell_case(row, f"{results.head.name}.{side}") for side, row in _broken(results)]
        judged = [_quantity_case(row, results.head.name) for row in results.verdicts.to_dict("records")]
        suite.add_testcases([*broken, *judged])
    return _xml_text(suite, JUnitXml(PROJECT))


def markdown(results: Results) -> str:
    """Of a duel what failed as the heading, a table of what is broken or not the same, and the counts; of a run counts
    as the heading, and a table of what became of each method."""
    name = results.head.name
    if results.verdicts is None:
        statuses = results.head.cells["status"].value_counts()
        heading = f"{name}: {len(results.head.cells)} cells: " + ", ".join(
            f"{count} {status}" for status, count in statuses.items()
        )
        methods = methods_table(results.head)
        rows = [(str(method), *map(str, row)) for method, *row in methods.rows.itertuples()]
        return _page(heading, ("method", *methods.rows.columns), rows, "cells.csv", methods.told)
    broken = [(row["status"], f"{side}: {_cell_name(row)}", "", row["reason"]) for side, row in _broken(results)]
    changed = results.verdicts[results.verdicts["verdict"] != "same"].to_dict("records")
    judged = [(row["verdict"], quantity_name(row), figures_text(row), row["reason"]) for row in changed]
    told = sides_text(results.base.info, results.head.info) if results.base else ""
    heading = f"{name}: {failures_text(results.verdicts)}" + (f"; {len(broken)} broken cells" if broken else "")
    page = _page(heading, ("verdict", "quantity", "change", "reason"), [*broken, *judged], "verdicts.csv")
    return f"{page}\n{markdown_text(counts_text(results.verdicts))}\n\n{markdown_text(told)}\n"


FORMATS: dict[str, Callable[[Results], str]] = {
    "pytest-benchmark": benchmark_json,
    "junit": junit_xml,
    "markdown": markdown,
}


def plain(text: object) -> str:
    """One line that XML can hold and a page can show: spaces for line breaks, U+FFFD for what cannot be printed."""
    return "".join(each if each.isprintable() else "\ufffd" for each in " ".join(str(text).split()))


def markdown_text(text: object) -> str:
    """Text that Markdown and HTML show as it is, inside a table's cell too: no mark-up, and no address is a link."""
    marked = re.sub(r"([\\`*_~\[\]]|(?<=:)/|(?<=www)\.)", r"\\\1", plain(text), flags=re.IGNORECASE)
    return html.escape(marked, quote=False).replace("|", "&#124;")


def _page(heading: str, header: Iterable[str], rows: Sequence[Iterable[object]], file: str, told: str = "") -> str:
    """A heading, what the table says, the table, at most SHOWN rows, and how many more there are in which file."""
    lines = [f"### {markdown_text(heading)}", ""]
    if told:
        lines += [markdown_text(told), ""]
    if rows:
        names = [markdown_text(name) for name in header]
        lines += [_table_line(names), _table_line(["---"] * len(names))]
        lines += [_table_line(map(markdown_text, row)) for row in rows[:SHOWN]]
        lines.append("")
    if len(rows) > SHOWN:
        lines += [f"... and {len(rows) - SHOWN} more: see {file}", ""]
    return "\n".join(lines)


def _table_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _machine_info(info: Any) -> dict[str, Any]:
    """The facts of the machine under the names that pytest-benchmark uses; the node is its slug, never a host name."""
    facts, torch = info["machine"], info.get("torch", {})
    return {
        "node": facts["slug"],
        "processor": facts.get("cpu", ""),
        "system": facts.get("os", ""),
        "python_version": torch.get("python", ""),
        "torch_version": torch.get("torch", ""),
        "accelerator": facts.get("accelerator", ""),
        "cpu": {"brand_raw": facts.get("cpu", ""), "count": facts.get("cores")},
    }


def _benchmark(run: Run, blocks: pd.DataFrame) -> dict[str, Any]:
    """One entry: the blocks of one phase of one cell."""
    from pytest_benchmark.stats import Stats

    first = blocks.head(1).to_dict("records")[0]
    axes = axes_of(first, "phase")
    case, method, phase = case_name(axes), first["method"], first["phase"] + clock_words(blocks)
    stats = Stats()  # type: ignore[no-untyped-call]
    for seconds in blocks["seconds"].tolist():
        stats.update(seconds)  # type: ignore[no-untyped-call]
    own = {"data": stats.data, "iterations": int(blocks["calls"].median())}
    return {
        "group": f"{case} {phase}",
        "name": f"{method}[{case} {phase}]",
        "fullname": f"{run.name}/{first['case']}::{method}[{phase}]",
        "params": axes,
        "param": f"{case} {phase}",
        "extra_info": {
            "case": first["case"],
            "method": method,
            "phase": first["phase"],
            "clock": first["clock"],
            "launches": int(blocks["launch"].nunique()),
        },
        "options": dict(run.info.get("timing") or {}),
        "stats": stats.as_dict() | own,  # type: ignore[no-untyped-call]
    }


def _broken(results: Results) -> Iterator[tuple[str, Any]]:
    """(side, row) of the cells that crashed or are incorrect."""
    for side, run in results.sides.items():
        cells = run.cells
        yield from ((side, row) for row in cells[cells["status"].isin(BROKEN)].to_dict("records"))


def _cell_name(row: Any) -> str:
    return f"{row['method']} {case_name(axes_of(row, 'launch'))}, launch {row['launch']}"


def _cell_case(row: Any, suite: str) -> TestCase:
    from junitparser import Error, Skipped

    told = plain(f"{row['status']}: {row['reason']}")
    outcome = None if row["status"] == "ok" else (Error if row["status"] in ERRORS else Skipped)(told, row["status"])
    return _test_case(_cell_name(row), suite, outcome, row["wall_seconds"])


def _quantity_case(row: Any, suite: str) -> TestCase:
    from junitparser import Failure, Skipped

    kinds = dict.fromkeys(FAILING, Failure) | {"inconclusive": Skipped}
    kind = kinds.get(row["verdict"])
    outcome = kind(plain(f"{row['verdict']}: {change_text(row)}"), row["verdict"]) if kind else None
    return _test_case(quantity_name(row), f"{suite}.{row['kind']}", outcome)


def _test_case(name: str, suite: str, outcome: Any, seconds: float | None = None) -> TestCase:
    from junitparser import TestCase

    case = TestCase(plain(name), plain(suite), seconds)
    if outcome is not None:
        case.result = outcome
    return case


def _xml_text(suite: TestSuite, document: JUnitXml) -> str:
    document.add_testsuite(suite)
    buffer = io.BytesIO()
    document.write(buffer, pretty=True)
    return buffer.getvalue().decode()
