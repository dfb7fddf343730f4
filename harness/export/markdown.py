"""A run or a duel as a page of Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from harness.export.results import Results, broken_cells, cell_name, plain
from harness.report.closing import methods_table
from harness.report.doubts import doubts
from harness.tables import Run, by_device
from harness.verdicts.wording import counts_text, failures_text, figures_text, quantity_name
from harness.vocabulary import many

SHOWN = 50
"""Rows of a Markdown table at most: people read the page of a job, which is cut off at 1 MiB."""


def markdown(results: Results) -> str:
    """The results as Markdown.

    A duel has what failed as its heading, a table of the broken cells and of the quantities that are not the same, and
    the counts. A run has the counts of its statuses as its heading, the closing table of each device and clock, and
    what makes its times doubtful.
    """
    name = results.head.name
    if isinstance(results.head, Run) and results.verdicts is None:
        statuses = results.head.cells["status"].value_counts()
        heading = f"{name}: {len(results.head.cells)} cells: " + ", ".join(
            f"{count} {status}" for status, count in statuses.items()
        )
        parts = [_methods(part) for part in by_device(results.head)]
        return "\n".join([_heading(heading), *parts, *(f"{markdown_text(line)}\n" for line in doubts(results.head))])
    assert results.verdicts is not None  # a suite is measured in duels only
    broken = [(row["status"], f"{side}: {cell_name(row)}", "", row["reason"]) for side, row in broken_cells(results)]
    changed = results.verdicts[results.verdicts["verdict"] != "same"].to_dict("records")
    judged = [(row["verdict"], quantity_name(row), figures_text(row), row["reason"]) for row in changed]
    heading = f"{name}: {failures_text(results.verdicts)}" + (f"; {many(len(broken), 'broken cell')}" if broken else "")
    table = _table(("verdict", "quantity", "change", "reason"), [*broken, *judged], "verdicts.csv")
    below = f"{markdown_text(counts_text(results.verdicts))}\n\n{markdown_text(results.sides_text)}\n"
    return "\n".join([_heading(heading), table, below])


def markdown_text(text: object) -> str:
    """The text escaped so that Markdown and HTML show it as it is, also inside a cell of a table: nothing in it is
    mark-up, and no address becomes a link."""
    marked = re.sub(r"([\\`*_~\[\]]|(?<=:)/|(?<=www)\.)", r"\\\1", plain(text), flags=re.IGNORECASE)
    return html.escape(marked, quote=False).replace("|", "&#124;")


def _heading(text: str) -> str:
    return f"### {markdown_text(text)}\n"


def _methods(run: Run) -> str:
    """The closing table of one device and clock, below a line about its columns."""
    methods = methods_table(run)
    about = ": ".join(filter(None, (run.setting, methods.heading)))
    rows = [(str(method), *map(str, row)) for method, *row in methods.rows.itertuples()]
    return _table(("method", *methods.rows.columns), rows, "cells.csv", about)


def _table(header: Iterable[str], rows: Sequence[Iterable[object]], file: str, about: str = "") -> str:
    """A line about the table, at most SHOWN of its rows, and which file has the others."""
    lines = [markdown_text(about), ""] if about else []
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
