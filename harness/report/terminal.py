"""The lines that close a run on the terminal: a table of its methods, its files, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from harness.errors import UserError
from harness.report.closing import methods_tables, worst_launch
from harness.report.doubts import doubts
from harness.tables import Run, by_device, by_machine, newest_run
from harness.verdicts.wording import axes_of, case_name, status_lines
from harness.vocabulary import BROKEN, EXIT_CELLS, PROVED, RESULTS, many, studies_option

CLOSING_LINES = 10
WIDTH = 140
"""Characters of a line of the table; most terminals fold lines that are wider."""

SHOWN_REASONS = 10
NAMED_CELLS = 3
FIRST_ROW = 2
"""Number of the first row below the header, as a spreadsheet counts rows."""


def closing(run: Run, studies: Path, figures: int | None) -> Iterator[str]:
    """All closing lines of a run. studies: the folder with its script; figures: how many were drawn, None if no
    figures were asked for."""
    if proof := proof_line(run):
        yield proof
    for machine in by_machine(run):
        yield f"on {machine.part}:" if machine.part else ""
        for part in by_device(machine):
            if part.setting:
                yield f"{part.setting}:"
            yield from closing_table(part).splitlines()
        yield from doubts(machine)
    yield from broken_cells(run)
    yield from status_lines(run.cells[run.cells["status"] != "ok"], SHOWN_REASONS)
    yield f"files: {run.path}" + (f", {many(figures, 'figure')} in figures/" if figures else "")
    yield f"next: {', '.join(next_commands(run, studies, drawn=figures is not None))}"


def closing_table(run: Run) -> str:
    """A line that explains the columns, then speed-up by size, errors, flips and status counts of each method. It is
    narrowed to WIDTH as far as columns can be spared."""
    for table in methods_tables(run):
        lines = _lines(table.rows)
        if max(map(len, lines)) <= WIDTH:
            break
    if len(lines) > CLOSING_LINES:
        more = f"... and {len(lines) - CLOSING_LINES + 1} more methods: `harness export --to markdown` shows all"
        lines = [*lines[: CLOSING_LINES - 1], more]
    return "\n".join([f"{run.name}: {table.heading}".removesuffix(": "), *lines])


def _lines(rows: pd.DataFrame) -> list[str]:
    """A header and a line for each row: the index aligned left, the columns aligned right, two spaces apart."""
    columns = [[str(name), *map(str, rows[name])] for name in rows]
    widths = [max(map(len, column)) for column in columns]
    labels = ["", *map(str, rows.index)]
    first = max(map(len, labels))
    lines = []
    for label, *texts in zip(labels, *columns, strict=True):
        cells = [f"{text:>{width}}" for text, width in zip(texts, widths, strict=True)]
        lines.append("  ".join([f"{label:{first}}", *cells]).rstrip())
    return lines


def next_commands(run: Run, studies: Path, *, drawn: bool) -> Iterator[str]:
    """Suggested next commands: read the run as a page, and draw its figures unless that has been done."""
    word = shlex.quote(_word(run)) + studies_option(studies)
    yield f"`harness report {word}` (a page for the browser)"
    if not drawn:
        yield f"`harness plot {word}` (its figures)"


def broken_cells(run: Run) -> Iterator[str]:
    """A line that names rows of cells.csv that crashed or are incorrect; no line if there are none."""
    broken = run.cells[run.cells["status"].isin(BROKEN)]
    if broken.empty:
        return
    named = [
        f"row {place + FIRST_ROW} ({row['method']} {case_name(axes_of(row, 'launch'))}: {row['status']})"
        for place, row in zip(broken.index, broken.head(NAMED_CELLS).to_dict("records"), strict=False)
    ]
    more = [f"and {len(broken) - len(named)} more"] if len(broken) > len(named) else []
    which = "; ".join([*named, *more])
    yield f"broken: {many(len(broken), 'cell')}, so exit code {EXIT_CELLS}: {which}"


def _word(run: Run) -> str:
    """The shortest word for this run on the command line: the name of its study if it is the newest, else its
    folder."""
    try:
        newest = newest_run(RESULTS, run.name)
    except UserError:
        return str(run.path)
    return run.name if newest.resolve() == run.path.resolve() else str(run.path)


def proof_line(run: Run) -> str:
    """How many entries of the exact answers each rung of the ladder of exact arithmetic proved, or ''."""
    rows = run.discrepancies
    proved = worst_launch(rows[rows["metric"].str.startswith(PROVED)]).groupby("metric", sort=False)["value"].sum()
    counts = ", ".join(f"{str(name).removeprefix(PROVED)} {count:.0f}" for name, count in proved.items())
    return f"exact entries by what proved them: {counts}" if counts else ""
