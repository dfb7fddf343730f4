"""A run that a notebook displays as its closing table."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from harness.errors import UserError
from harness.report.closing import methods_table
from harness.report.doubts import doubts
from harness.tables import Run, by_device, by_machine
from harness.tables import read as read_run


class ShownRun(Run):
    """A run with an HTML representation."""

    def _repr_html_(self) -> str:
        """The closing tables, with all text from files escaped; one line instead if a table cannot be read."""
        try:
            return "\n".join(_tables(self))
        except UserError as error:
            return f"<p>{escape(str(error))}</p>"


def read(folder: str | Path) -> ShownRun:
    """The run in a folder. Raises UserError if there is none, or its schema is unknown."""
    run = read_run(folder)
    return ShownRun(run.path, run.info)


def _tables(run: Run) -> Iterator[str]:
    """A table for each machine, device and clock, below a line that explains its columns."""
    for machine in by_machine(run):
        for part in by_device(machine):
            table = methods_table(part)
            title = ", ".join(filter(None, (run.name, machine.part, part.setting)))
            yield f"<p><b>{escape(title)}</b>: {escape(table.heading)}</p>"
            yield table.rows.to_html(border=0)
        yield from (f"<p>{escape(line)}</p>" for line in doubts(machine))
