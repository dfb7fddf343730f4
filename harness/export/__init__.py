"""Export of runs and duels for programs and other tools: JSON, pytest-benchmark's JSON, JUnit XML, Markdown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import unknown
from harness.export.as_json import json_text
from harness.export.benchmark import benchmark_json
from harness.export.junit import junit_xml
from harness.export.markdown import markdown
from harness.export.results import Results, SuiteSide
from harness.tables import (
    BASE,
    HEAD,
    has_verdicts,
    is_suite_duel,
    of_one_machine,
    read,
    read_suite,
    read_suite_verdicts,
    read_verdicts,
)

__all__ = ["FORMATS", "Results", "export", "text_of"]


def export(folder: Path, to: str) -> str:
    """The run or the duel in `folder`, as text in the format `to`, which is a key of FORMATS.

    Raises UserError where there is no such format, the folder holds neither, or several machines measured the run.
    """
    if is_suite_duel(folder):
        base, head = (SuiteSide(read_suite(folder / side)) for side in (BASE, HEAD))
        return text_of(Results(head, base, read_suite_verdicts(folder)), to)
    if has_verdicts(folder):
        return text_of(Results(read(folder / HEAD), read(folder / BASE), read_verdicts(folder)), to)
    return text_of(Results(of_one_machine(read(folder))), to)


def text_of(results: Results, to: str) -> str:
    """A run, a duel or a comparison as text in the format `to`. Raises UserError where there is no such format."""
    if to not in FORMATS:
        raise unknown("--to", "format", to, FORMATS)
    return FORMATS[to](results)


FORMATS: dict[str, Callable[[Results], str]] = {
    "json": json_text,
    "pytest-benchmark": benchmark_json,
    "junit": junit_xml,
    "markdown": markdown,
}
