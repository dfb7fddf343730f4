"""A run or a duel as a page of Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from harness.export.results import Results, broken_cells, cell_name, plain
from harness.report.closing import methods_table
from harness.tables import Run
from harness.verdicts.wording import counts_text, failures_text, figures_text, quantity_name

SHOWN = 50
"""Rows of a Markdown table: a job page is read, and cut off at 1 MiB."""


def markdown(results: Results) -> str:
    """Of a duel what failed as the heading, a table of what is broken or not the same, and the counts; of a run counts
    as the heading, and a table of what became of each method."""
    name = results.head.name
    if isinstance(results.head, Run) and results.verdicts is None:
        statuses = results.head.cells["status"].value_counts()
        heading = f"{name}: {len(results.head.cells)} cells: " + ", ".join(
            f"{count} {status}" for status, count in statuses.items()
        )
        methods = methods_table(results.head)
        rows = [(str(method), *map(str, row)) for method, *row in methods.rows.itertuples()]
        return _page(heading, ("method", *methods.rows.columns), rows, "cells.csv", methods.told)
    assert results.verdicts is not None  # a suite is measured in duels only
    broken = [(row["status"], f"{side}: {cell_name(row)}", "", row["reason"]) for side, row in broken_cells(results)]
    changed = results.verdicts[results.verdicts["verdict"] != "same"].to_dict("records")
    judged = [(row["verdict"], quantity_name(row), figures_text(row), row["reason"]) for row in changed]
    heading = f"{name}: {failures_text(results.verdicts)}" + (f"; {len(broken)} broken cells" if broken else "")
    page = _page(heading, ("verdict", "quantity", "change", "reason"), [*broken, *judged], "verdicts.csv")
    return f"{page}\n{markdown_text(counts_text(results.verdicts))}\n\n{markdown_text(results.sides_text)}\n"


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
