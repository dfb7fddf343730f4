"""How a run closes: its table, a line a method, where its files are, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from harness.errors import UserError
from harness.report.closing import methods_tables, worst_launch
from harness.tables import Run, by_device, by_machine, newest_run
from harness.verdicts.plausible import doubts
from harness.verdicts.wording import axes_of, case_name, status_lines
from harness.vocabulary import BROKEN, EXIT_CELLS, PROVED, RESULTS, studies_option

CLOSING_LINES = 10
WIDTH = 140
"""Characters of a line of the table: what is wider is folded by most terminals."""

TOLD_REASONS = 10
NAMED_CELLS = 3
FIRST_ROW = 2
"""Of a table in a spreadsheet: its first row is the header."""


def closing(run: Run, studies: Path, figures: int | None) -> Iterator[str]:
    """All lines; studies: where its script lies; figures: how many files were drawn, None where none were asked for."""
    if proof := proof_line(run):
        yield proof
    for each in by_machine(run):
        yield f"on {each.part}:" if each.part else ""
        for part in by_device(each):
            if part.setting:
                yield f"{part.setting}:"
            yield from closing_table(part).splitlines()
        yield from doubts(each)
    yield from broken_cells(run)
    yield from status_lines(run.cells[run.cells["status"] != "ok"], TOLD_REASONS)
    yield f"files: {run.path}" + (f", {figures} files in figures/" if figures else "")
    yield f"next: {', '.join(next_commands(run, studies, drawn=figures is not None))}"


def closing_table(run: Run) -> str:
    """A line that says what the columns are, then speed-up by size, errors, flips and status counts of each method."""
    for table in methods_tables(run):
        lines = _lines(table.rows)
        if max(map(len, lines)) <= WIDTH:
            break
    if len(lines) > CLOSING_LINES:
        lines = [*lines[: CLOSING_LINES - 1], f"... and {len(lines) - CLOSING_LINES + 1} more methods: see cells.csv"]
    return "\n".join([f"{run.name}: {table.told}".removesuffix(": "), *lines])


def _lines(rows: pd.DataFrame) -> list[str]:
    """A line of header and a line a row, the index to the left, columns to the right, two spaces apart."""
    columns = [[str(name), *map(str, rows[name])] for name in rows]
    widths = [max(map(len, each)) for each in columns]
    labels = ["", *map(str, rows.index)]
    first = max(map(len, labels))
    lines = []
    for label, *texts in zip(labels, *columns, strict=True):
        cells = [f"{text:>{width}}" for text, width in zip(texts, widths, strict=True)]
        lines.append("  ".join([f"{label:{first}}", *cells]).rstrip())
    return lines


def next_commands(run: Run, studies: Path, *, drawn: bool) -> Iterator[str]:
    """What a person would do with a run: read it as a page, draw its figures, unless they are there."""
    word = shlex.quote(_word(run)) + studies_option(studies)
    yield f"`harness report {word}` (a page for the browser)"
    if not drawn:
        yield f"`harness plot {word}` (its figures)"


def broken_cells(run: Run) -> Iterator[str]:
    """A line that says which rows of cells.csv crashed or are incorrect; none, if none did."""
    broken = run.cells[run.cells["status"].isin(BROKEN)]
    if broken.empty:
        return
    named = [
        f"row {place + FIRST_ROW} ({row['method']} {case_name(axes_of(row, 'launch'))}: {row['status']})"
        for place, row in zip(broken.index, broken.head(NAMED_CELLS).to_dict("records"), strict=False)
    ]
    more = [f"and {len(broken) - len(named)} more"] if len(broken) > len(named) else []
    told = "; ".join([*named, *more])
    yield f"broken: {len(broken)} cells, so exit code {EXIT_CELLS}: {told}"


def _word(run: Run) -> str:
    """The shortest word that means this run on the command line: the name of its study, or its folder."""
    try:
        newest = newest_run(RESULTS, run.name)
    except UserError:
        return str(run.path)
    return run.name if newest.resolve() == run.path.resolve() else str(run.path)


def proof_line(run: Run) -> str:
    """How many entries of the exact answers were proved by which rung of the ladder, or ''."""
    rows = run.discrepancies
    proved = worst_launch(rows[rows["metric"].str.startswith(PROVED)]).groupby("metric", sort=False)["value"].sum()
    counts = ", ".join(f"{str(name).removeprefix(PROVED)} {count:.0f}" for name, count in proved.items())
    return f"exact entries by what proved them: {counts}" if counts else ""
