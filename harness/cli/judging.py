"""The verbs that judge: duel, compare, history."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from harness import completion
from harness.cli.group import ONLY, RESULTS_FOLDER, STRICT, STUDIES_FOLDER, cli, tell
from harness.errors import UserError
from harness.vocabulary import studies_option


@cli.command()
@click.argument("study", default="regression", shell_complete=completion.study_names)
@click.option("--base-rev", metavar="REV", help="The base is this commit, checked out beside the working tree.")
@click.option("--base-python", metavar="PATH", help="The base runs under this interpreter, so under its torch.")
@ONLY
@STRICT
@STUDIES_FOLDER
@RESULTS_FOLDER
def duel(
    study: str,
    base_rev: str | None,
    base_python: str | None,
    only: tuple[str, ...],
    strict: bool,
    studies: Path,
    results: Path,
) -> None:
    """Two sides in one set of rounds, now: the working tree against a commit, or another interpreter, or both.

    Exit code: 4 crashed or incorrect cells, 1 slower, worse or lost quantities, 3 inconclusive ones under --strict.

    Example: python -m harness duel regression --base-rev main
    """
    from harness.duel import duel as fight
    from harness.loading import load_study
    from harness.origin import base_origin
    from harness.report.judgement import next_after_duel
    from harness.scripts import find_study

    if base_rev is None and base_python is None:
        raise UserError("duel: name a --base-rev, a --base-python, or both")
    loaded = load_study(find_study(study, studies), only)
    with base_origin(base_rev, base_python) as base:
        fought = fight(loaded, base, results, studies, tell)
    again = ["harness", "duel", study]
    again += [f"--base-rev={base_rev}"] if base_rev else []
    again += [f"--base-python={base_python}"] if base_python else []
    repeat = shlex.join(again) + studies_option(studies)
    tell(f"{loaded.name}: {fought.path}")
    advice = next_after_duel(fought.verdicts, fought.path, repeat)
    _judged(fought.verdicts, fought.base, fought.head, results, strict, advice)


@cli.command()
@click.argument("bases", metavar="BASE...", nargs=-1, required=True, shell_complete=completion.base_names)
@click.argument("head", shell_complete=completion.base_names)
@STRICT
@RESULTS_FOLDER
def compare(bases: tuple[str, ...], head: str, strict: bool, results: Path) -> None:
    """A recorded run against one or several that are pooled: folders, or names of studies for their newest run.

    STUDY/baseline stands for the runs that `make baseline` recorded.

    Example: python -m harness compare regression/baseline regression
    """
    from harness.report.judgement import next_after_comparison
    from harness.tables import baseline_runs, newest_run, of_one_machine, read
    from harness.verdicts.comparison import compare_verdicts, gate_of

    of_base = [of_one_machine(read(folder)) for word in bases for folder in baseline_runs(results, word)]
    of_head = of_one_machine(read(newest_run(results, head)))
    verdicts = compare_verdicts(of_base, of_head, gate_of(of_head))
    advice = next_after_comparison(verdicts, of_base[-1])
    _judged(verdicts, of_base[-1], of_head, results, strict, advice)


@cli.command()
@click.option(
    "--machine",
    metavar="SLUG",
    help="Another machine than this one: its folder in the results.",
    shell_complete=completion.machine_names,
)
@STUDIES_FOLDER
@RESULTS_FOLDER
def history(machine: str | None, studies: Path, results: Path) -> None:
    """Where the judged runs of a machine stepped, and their trends drawn into its folder `history`.

    Example: python -m harness history
    """
    from harness.report.trend import history_lines
    from harness.scripts import draw_trends
    from harness.tables import history_of, read_history
    from harness.verdicts.steps import steps

    path = history_of(results, machine)
    rows = read_history(path)
    found = steps(rows)
    for line in history_lines(rows, found):
        tell(line)
    for made in draw_trends(rows, found, path.with_suffix(""), studies):
        tell(made)


def _judged(verdicts: Any, base: Any, head: Any, results: Path, strict: bool, advice: Iterable[str]) -> None:
    """Print the verdicts and the advice, add the verdicts to the history, and end with their exit code."""
    from harness.report.judgement import judgement_lines
    from harness.verdicts.comparison import exit_code
    from harness.verdicts.history import record
    from harness.verdicts.sides import sides_text

    for line in (*judgement_lines(verdicts, head.cells), sides_text(base.info, head.info), *advice):
        tell(line)
    try:
        record(results, verdicts, base, head)
    except (OSError, UserError) as error:  # the verdicts hold all the same
        click.echo(f"harness: not added to the history: {error}", err=True)
    sys.exit(exit_code(verdicts, head.cells, strict))
