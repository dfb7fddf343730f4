"""Pages put together and written: a report of runs that words name, and the history of a machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from harness.errors import UserError
from harness.history.document import Kept, history_document
from harness.page.compared import Comparison
from harness.page.document import document
from harness.page.reported import Drawn, Reported
from harness.page.suites import SuiteDuelled
from harness.scripts.drawing import SUMMARY, UNDRAWN, Picture, draw_figures
from harness.scripts.studies import captions
from harness.study.folders import home_named
from harness.tables import (
    BASE,
    HEAD,
    Run,
    by_machine,
    has_verdicts,
    is_suite_duel,
    judged_folders,
    newest_result,
    read,
    read_suite,
    read_suite_verdicts,
    read_verdicts,
    replace_text,
)
from harness.verdicts.comparison import compare_verdicts, gate_of

if TYPE_CHECKING:
    import pandas as pd

REPORT = "report.html"
HISTORY = "history.html"


def publish(
    words: Iterable[str], results: Path, studies: Path, output: Path | None = None, say: Callable[[str], None] = print
) -> Path:
    """Write the report of runs and duels, and return its path: `output`, or report.html in the results.

    A word is a folder, or the name of a study for its newest run or duel. Two runs of one study are compared, the
    first as the base; what several machines measured is told apart. Raises UserError where a word means nothing, or
    the page cannot be written.
    """
    runs: list[Run] = []
    comparisons: list[Comparison] = []
    suites: list[SuiteDuelled] = []
    homes: list[Path] = []
    named = {newest_result(results, word): home_named(word, studies) for word in words}
    for folder, home in named.items():
        if is_suite_duel(folder):
            suite = (read_suite(folder / BASE), read_suite(folder / HEAD))
            suites.append(SuiteDuelled(*suite, read_suite_verdicts(folder)))
        elif has_verdicts(folder):
            base, head = read(folder / BASE), read(folder / HEAD)
            comparisons.append(Comparison(base, head, read_verdicts(folder)))
            runs += [base, head]
        else:
            runs += by_machine(read(folder))
        homes += [home] * (len(runs) - len(homes))
    comparisons += _of_pairs(runs, comparisons)
    page = document([_reported(run, home, say) for run, home in zip(runs, homes, strict=True)], comparisons, suites)
    return _written(output or results / REPORT, page)


def publish_history(machine: Path, histories: Sequence[pd.DataFrame], output: Path | None = None) -> Path:
    """Write the page of histories, and return its path: `output`, or history.html in the folder of the machine.

    histories: that of cells and that of suites. The page has a link to the report of each judged run whose folder has
    one. Raises UserError where the page cannot be written.
    """
    target = output or machine / HISTORY
    kept = {run: _kept(folder, target.parent) for run, folder in judged_folders(machine).items()}
    return _written(target, history_document(histories, machine.name, kept))


def publish_reports(
    machine: Path,
    histories: Sequence[pd.DataFrame],
    results: Path,
    studies: Path,
    say: Callable[[str], None] = print,
) -> None:
    """Write the report of each run of these histories whose folder is there and has none, into that folder.

    A run of which no report can be made is said, and left out.
    """
    judged = {run for each in histories for run in each[["study", "begin"]].itertuples(index=False, name=None)}
    for run, folder in judged_folders(machine).items():
        if run in judged and not (folder / REPORT).is_file():
            try:
                say(str(publish([str(folder)], results, studies, folder / REPORT, say)))
            except UserError as error:
                say(f"no report of {folder}: {error}")


def _kept(folder: Path, page: Path) -> Kept:
    """What there is of a judged run: the address of its report as the page in the folder `page` names it, or the words
    that make one."""
    report = folder / REPORT
    if not report.is_file():
        return Kept(arguments=shlex.join([str(folder), "--output", str(report)]))
    return Kept(report=quote(Path(os.path.relpath(report, page)).as_posix()))


def _written(path: Path, page: str) -> Path:
    try:
        replace_text(path, page)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return path


def _reported(run: Run, studies: Path, say: Callable[[str], None]) -> Reported:
    """A run with its figures, drawn anew: what the tables say now is what the page shows."""
    dark: dict[Path, Picture] = {}
    failed: list[str] = []

    def heard(line: str) -> None:
        failed.extend([line.removeprefix(UNDRAWN).partition(":")[0]] if line.startswith(UNDRAWN) else [])
        say(line)

    made = draw_figures(run, studies, heard, dark)
    told = captions(run.name, studies)
    figures = [
        Drawn(path.stem, _of_device(path, run) + told[path.stem], path, dark.get(path))
        for path in made
        if path.stem in told
    ]
    lines = [
        _of_device(path, run) + line.removeprefix("- ")
        for path in made
        if path.name == SUMMARY
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return Reported(run, figures, lines, sorted(set(failed)))


def _of_device(path: Path, run: Run) -> str:
    """'cuda: ' or 'cuda, wall: ' of what was drawn of one of several devices or clocks, in a folder of its own."""
    apart = path.parent.relative_to(run.figures).parts
    return f"{', '.join(apart)}: " if apart else ""


def _of_pairs(runs: Sequence[Run], known: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of those studies of which there are two runs that no duel has compared."""
    fought = {run.path for each in known for run in (each.base, each.head)}
    by_study: dict[str, list[Run]] = {}
    for run in runs:
        if run.path not in fought:
            by_study.setdefault(run.name, []).append(run)
    pairs = [pair for pair in by_study.values() if len({run.path for run in pair}) == len(pair) == 2]
    return [_compared(*pair) for pair in pairs]


def _compared(base: Run, head: Run) -> Comparison:
    try:
        return Comparison(base, head, compare_verdicts([base], head, gate_of(head)))
    except UserError as error:
        return Comparison(base, head, None, str(error))
