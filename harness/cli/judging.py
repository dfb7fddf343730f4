"""The verbs that judge: duel, bisect, compare."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from harness.cli import completion, suites
from harness.cli.group import (
    COUNT,
    FOR_BISECT,
    ONLY,
    QUANTITY,
    RESULTS_FOLDER,
    STRICT,
    STRICT_COUNTS,
    STUDIES_FOLDER,
    UNTIL_DECIDED,
    cli,
    tell,
)
from harness.errors import UserError
from harness.vocabulary import EXIT_INCONCLUSIVE, EXPORTS, studies_option


@cli.command()
@click.argument("study", default="regression", shell_complete=completion.study_names)
@click.option("--base-rev", metavar="REV", help="Base: this commit, checked out into a temporary clone.")
@click.option("--base-path", metavar="FOLDER", type=click.Path(path_type=Path), help="Base: this other checkout.")
@click.option("--base-python", metavar="PATH", help="Run the base under this interpreter, and so with its torch.")
@suites.PYTEST
@suites.BUDGET
@suites.TOLERANCE
@ONLY
@QUANTITY
@click.option(FOR_BISECT, is_flag=True, help="Exit with the codes of `git bisect run`: 0 good, 1 bad, 125 skip.")
@COUNT
@UNTIL_DECIDED
@STRICT
@STRICT_COUNTS
@STUDIES_FOLDER
@RESULTS_FOLDER
def duel(
    study: str,
    base_rev: str | None,
    base_path: Path | None,
    base_python: str | None,
    pytest_path: str | None,
    budget: float | None,
    tolerance: float | None,
    only: tuple[str, ...],
    quantity: str,
    for_bisect: bool,
    count: bool,
    until_decided: float | None,
    strict: bool,
    strict_counts: bool,
    studies: Path,
    results: Path,
) -> None:
    """Measure two sides now, in the same rounds, and judge. The head is the working tree; the base is a commit, another
    folder, or another interpreter.

    In a folder without a harness of its own, the installed harness measures the methods that the study names by import
    path. The base then uses those of the commit, the folder or the interpreter.

    With --pytest it measures the tests of a suite that use the fixture `benchmark`, instead of a study.

    Exit code: 4 crashed or incorrect cells, 1 slower, worse or lost quantities, 3 inconclusive ones under --strict.

    Example: python -m harness duel regression --base-rev main
    """
    from harness.duel import duel as fight
    from harness.duel.origin import base_origin
    from harness.planning.loading import load_study
    from harness.report.judgement import next_after_duel
    from harness.study.folders import find_study
    from harness.verdicts.quantities import refuse_unmeant

    if base_rev is None and base_path is None and base_python is None:
        raise UserError("duel: name a --base-rev or a --base-path, a --base-python, or both")
    if base_rev is not None and base_path is not None:
        raise UserError("duel: name a --base-rev or a --base-path, not both")
    suites.refuse_mixed(pytest_path, budget, tolerance, bool(quantity or count or strict_counts or until_decided))
    named = suites.Base(base_rev, base_path, base_python)
    if pytest_path is not None:
        sys.exit(suites.duel_suite(pytest_path, named, only, budget, tolerance, results, strict or for_bisect))
    seconds = _seconds("duel", until_decided)
    loaded = load_study(find_study(study, studies), only)
    refuse_unmeant(loaded, quantity)
    if count or strict_counts:
        loaded = loaded.with_counts()
    with base_origin(base_rev, base_python, base_path, loaded.methods) as base:
        fought = fight(loaded, base, results, loaded.folder or studies, tell, until_decided=seconds)
    repeat = shlex.join(["harness", "duel", study, *named.options]) + studies_option(studies)
    tell(f"{loaded.name}: {fought.path}")
    advice = next_after_duel(fought.verdicts, fought.path, repeat, loaded.instructions is not None)
    strict = strict or for_bisect
    _conclude(fought.verdicts, fought.base, fought.head, results, strict, advice, quantity, strict_counts)


@cli.command()
@click.argument("study", shell_complete=completion.study_names)
@click.option("--good", metavar="REV", required=True, help="A commit without the change: the base of every duel.")
@click.option("--bad", metavar="REV", default="HEAD", help="A commit with the change [HEAD].")
@ONLY
@QUANTITY
@COUNT
@UNTIL_DECIDED
@STUDIES_FOLDER
@RESULTS_FOLDER
def bisect(
    study: str,
    good: str,
    bad: str,
    only: tuple[str, ...],
    quantity: str,
    count: bool,
    until_decided: float | None,
    studies: Path,
    results: Path,
) -> None:
    """Find which commit made something slower, larger or less exact. It duels a good commit with later ones.

    The study is the one of the working tree. Commits that cannot be measured are skipped, as `git bisect` does; nothing
    in the repository changes. With --count, if no time is surely slower, the search follows a count of instructions.
    --until-decided applies to each duel. Exit code: 1 a commit is found, 0 nothing got worse, 3 undecided.

    Example: python -m harness bisect regression --good v1.0 --bad HEAD --only method=gather
    """
    from harness.bisect import bisect as search
    from harness.planning.loading import load_study
    from harness.study.folders import find_study

    seconds = _seconds("bisect", until_decided)
    loaded = load_study(find_study(study, studies), only)
    if count:
        loaded = loaded.with_counts()
    sys.exit(search(loaded, good, bad, quantity, results, tell, until_decided=seconds))


@cli.command()
@click.argument("words", metavar="BASE... HEAD", nargs=-1, required=True, shell_complete=completion.base_names)
@click.option(
    "--to",
    metavar="FORMAT",
    help=f"Print the verdicts as {', '.join(EXPORTS)}.",
    shell_complete=completion.export_formats,
)
@STRICT
@STRICT_COUNTS
@RESULTS_FOLDER
def compare(words: tuple[str, ...], to: str | None, strict: bool, strict_counts: bool, results: Path) -> None:
    """Compare a recorded run with one or several others. Several are pooled. A run is a folder, or the name of a study
    for its newest run.

    STUDY/baseline stands for the runs that `make baseline` recorded. The folder of a duel alone, also of a pytest
    suite, prints its verdicts again.

    Example: python -m harness compare regression/baseline regression
    """
    from harness.report.judgement import next_after_comparison
    from harness.tables import baseline_runs, is_suite_duel, newest_run, of_one_machine, read
    from harness.verdicts.comparison import compare_verdicts, gate_of

    *bases, last = words
    if not bases and is_suite_duel(Path(last)):
        sys.exit(suites.told_again(Path(last), to, strict))
    if not bases:
        base, head, verdicts = _recorded_duel(Path(last))
        _conclude(verdicts, base, head, None, strict, (), strict_counts=strict_counts, to=to)
    of_base = [of_one_machine(read(folder)) for word in bases for folder in baseline_runs(results, word)]
    of_head = of_one_machine(read(newest_run(results, last)))
    verdicts = compare_verdicts(of_base, of_head, gate_of(of_head))
    advice = next_after_comparison(verdicts, of_base[-1])
    _conclude(verdicts, of_base[-1], of_head, results, strict, advice, strict_counts=strict_counts, to=to)


def _seconds(verb: str, minutes: float | None) -> float | None:
    if minutes is not None and not math.isfinite(minutes):
        raise UserError(f"{verb}: --until-decided {minutes}: must be a finite number")
    return None if minutes is None else minutes * 60


def _recorded_duel(folder: Path) -> tuple[Any, Any, Any]:
    """Base, head and verdicts of a duel. Raises UserError if there is no duel in the folder."""
    from harness.tables import BASE, HEAD, has_verdicts, read, read_verdicts

    if not has_verdicts(folder):
        raise UserError(f"compare: {folder} is not the folder of a duel: name a base and a head, or such a folder")
    return read(folder / BASE), read(folder / HEAD), read_verdicts(folder)


def _conclude(
    verdicts: Any,
    base: Any,
    head: Any,
    results: Path | None,
    strict: bool,
    advice: Iterable[str],
    quantity: str = "",
    strict_counts: bool = False,
    *,
    to: str | None = None,
) -> NoReturn:
    """Print the verdicts and the advice, or the verdicts in the format `to`; add them to the history in `results`; and
    exit with the code of the verdicts on this quantity ('' for all).

    results: None if the verdicts are in the history already.
    """
    from harness.export import Results, text_of
    from harness.report.judgement import judgement_lines
    from harness.report.sides import sides_text
    from harness.verdicts.comparison import exit_code
    from harness.verdicts.counts import decided_by_counts
    from harness.verdicts.history import record
    from harness.verdicts.quantities import of_quantity

    if to is not None:
        click.echo(text_of(Results(head, base, verdicts), to).encode(), nl=False)
    else:
        for line in (*judgement_lines(verdicts, head.cells), sides_text(base.info, head.info), *advice):
            tell(line)
    try:
        if results is not None:
            record(results, verdicts, base, head)
    except (OSError, UserError) as error:  # the verdicts are valid without a history
        click.echo(f"harness: not added to the history: {error}", err=True)
    chosen = of_quantity(decided_by_counts(verdicts) if strict_counts else verdicts, quantity)
    code = exit_code(chosen, head.cells, strict)
    # A quantity that was not measured has not passed. Verdicts on whole cells are always among the chosen.
    measured = (chosen["kind"] != "cell").any()
    sys.exit(EXIT_INCONCLUSIVE if code == 0 and quantity and not measured else code)
