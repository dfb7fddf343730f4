"""Writes the pages: reports of runs and duels, and the history of a machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

from harness.errors import UserError, refused
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
    """Write the report of runs and duels to `output` (default: report.html in the results), and return its path.

    A word is a folder, or the name of a study for its newest run or duel. Two runs of one study are compared, the first
    as the base; a run of several machines is shown by machine. Raises UserError if a word names nothing, or the page
    cannot be written.
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
        homes += [home] * (len(runs) - len(homes))  # one for each run that was just added
    comparisons += _of_pairs(runs, comparisons)
    with TemporaryDirectory() as scratch:
        reported = [
            _reported(run, home, Path(scratch, str(number)), say)
            for number, (run, home) in enumerate(zip(runs, homes, strict=True))
        ]
        page = document(reported, comparisons, suites)
    return _written(output or results / REPORT, page)


def publish_history(machine: Path, histories: Sequence[pd.DataFrame], output: Path | None = None) -> Path:
    """Write the page of a machine's histories to `output` (default: history.html in its folder), and return its path.

    histories: that of cells and that of suites. The page links to the report of each judged run whose folder has one.
    Raises UserError if the page cannot be written.
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
    """Write a report into the folder of each judged run of these histories that still has its folder and no report.

    If a report cannot be made, `say` gets the reason, and the run is left out.
    """
    judged = {run for rows in histories for run in rows[["study", "begin"]].itertuples(index=False, name=None)}
    for run, folder in judged_folders(machine).items():
        if run in judged and not (folder / REPORT).is_file():
            try:
                say(str(publish([str(folder)], results, studies, folder / REPORT, say)))
            except (UserError, OSError) as error:
                say(f"no report of {folder}: {refused(error) if isinstance(error, OSError) else error}")


def _kept(folder: Path, page: Path) -> Kept:
    """The address of a judged run's report relative to the folder of the page, or the arguments of `harness report`
    that write one."""
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


def _reported(run: Run, studies: Path, scratch: Path, say: Callable[[str], None]) -> Reported:
    """A run with its figures, drawn into `scratch`: the page shows what the tables contain now, and the run, which may
    be committed, stays as it is."""
    dark: dict[Path, Picture] = {}
    failed: list[str] = []

    def note_failures(line: str) -> None:
        if line.startswith(UNDRAWN):
            failed.append(line.removeprefix(UNDRAWN).partition(":")[0])
        say(line)

    made = draw_figures(run, studies, note_failures, dark, scratch)
    texts = captions(run.name, studies)
    figures = [
        Drawn(path.stem, _of_device(path, scratch) + texts[path.stem], path, dark.get(path))
        for path in made
        if path.stem in texts
    ]
    lines = [
        _of_device(path, scratch) + line.removeprefix("- ")
        for path in made
        if path.name == SUMMARY
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return Reported(run, figures, lines, sorted(set(failed)))


def _of_device(path: Path, figures: Path) -> str:
    """'cuda: ' or 'cuda, wall: ' for a figure of one of several devices or clocks, each of which has a folder of its
    own."""
    folders = path.parent.relative_to(figures).parts
    return f"{', '.join(folders)}: " if folders else ""


def _of_pairs(runs: Sequence[Run], known: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons of the studies that have exactly two runs outside the known duels."""
    duelled = {run.path for comparison in known for run in (comparison.base, comparison.head)}
    by_study: dict[str, list[Run]] = {}
    for run in runs:
        if run.path not in duelled:
            by_study.setdefault(run.name, []).append(run)
    pairs = [pair for pair in by_study.values() if len({run.path for run in pair}) == len(pair) == 2]
    return [_compared(*pair) for pair in pairs]


def _compared(base: Run, head: Run) -> Comparison:
    try:
        return Comparison(base, head, compare_verdicts([base], head, gate_of(head)))
    except UserError as error:
        return Comparison(base, head, None, str(error))
