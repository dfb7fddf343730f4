"""Runs and duels in the formats of others: pytest-benchmark's JSON, JUnit XML, Markdown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import unknown
from harness.tables import BASE, HEAD, has_verdicts, of_one_machine, read, read_verdicts
from harness.verdicts.export.benchmark import benchmark_json
from harness.verdicts.export.junit import junit_xml
from harness.verdicts.export.markdown import markdown
from harness.verdicts.export.results import Results


def export(folder: Path, to: str) -> str:
    """The text of a run's or a duel's folder in the format `to`.

    Raises UserError where there is no such format, the folder holds neither, or several machines measured the run.
    """
    if to not in FORMATS:
        raise unknown("export --to", "format", to, FORMATS)
    if has_verdicts(folder):
        return FORMATS[to](Results(read(folder / HEAD), read(folder / BASE), read_verdicts(folder)))
    return FORMATS[to](Results(of_one_machine(read(folder))))


FORMATS: dict[str, Callable[[Results], str]] = {
    "pytest-benchmark": benchmark_json,
    "junit": junit_xml,
    "markdown": markdown,
}
