"""A run that a notebook shows as its closing table, where the last line of a cell is the run."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from harness.errors import UserError
from harness.report.closing import methods_table
from harness.tables import Run, by_device, by_machine
from harness.tables import read as read_run
from harness.verdicts.plausible import doubts


class ShownRun(Run):
    """A run that is also a table in HTML."""

    def _repr_html_(self) -> str:
        """What a notebook shows: whatever comes from a file is escaped, and a table that cannot be read is a line."""
        try:
            return "\n".join(_tables(self))
        except UserError as error:
            return f"<p>{escape(str(error))}</p>"


def read(folder: str | Path) -> ShownRun:
    """The run in a folder. Raises UserError where there is none, or one of a schema that is not known here."""
    run = read_run(folder)
    return ShownRun(run.path, run.info)


def _tables(run: Run) -> Iterator[str]:
    """A table for each machine, device and clock, below a line that says what its columns are."""
    for machine in by_machine(run):
        for part in by_device(machine):
            table = methods_table(part)
            told = ", ".join(filter(None, (run.name, machine.part, part.setting)))
            yield f"<p><b>{escape(told)}</b>: {escape(table.told)}</p>"
            yield table.rows.to_html(border=0)
        yield from (f"<p>{escape(line)}</p>" for line in doubts(machine))
