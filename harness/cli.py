"""The verbs. Bad input ends here: one line on standard error, and exit code 2."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from harness import completion
from harness.errors import UserError
from harness.vocabulary import (
    BROKEN,
    EXIT_CELLS,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    EXPORTS,
    RESULTS,
    STUDIES,
)


class _Verbs(click.Group):
    """A group in which the one user error, and Ctrl-C, end as one line."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except UserError as error:
            click.echo(f"harness: {error}", err=True)
            context.exit(EXIT_USAGE)
        except KeyboardInterrupt as stop:
            click.echo("; ".join(filter(None, ("harness: interrupted", str(stop)))), err=True)
            context.exit(EXIT_INTERRUPTED)


_ONLY = click.option(
    "--only",
    multiple=True,
    metavar="AXIS=V,V",
    help="Narrow an axis, or `method`, to these values.",
    shell_complete=completion.only_items,
)
_STUDIES = click.option("--studies", type=click.Path(path_type=Path), default=STUDIES, help="Folder of the studies.")
_STRICT = click.option("--strict", is_flag=True, help="Exit with 3 where something is inconclusive.")
_RESULTS = click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the results.")


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Benchmark and numerical precision of top-k selection in PyTorch.

    Example: python -m harness run smoke --plot
    """
    sys.path.insert(0, str(Path.cwd()))  # methods may be named by an import path from here


@cli.command()
@click.argument("study", shell_complete=completion.study_names)
@_ONLY
@_STUDIES
def plan(study: str, only: tuple[str, ...], studies: Path) -> None:
    """What a study would measure: cases, cells, bytes, skips and time.

    Example: python -m harness plan speed --only dtype=float32
    """
    from harness.report.forecast import forecast
    from harness.runs import load_study, plan_of
    from harness.scripts import find_study

    for line in forecast(plan_of(load_study(find_study(study, studies), only))):
        click.echo(line)


@cli.command()
@click.argument("studies_named", metavar="[STUDY]...", nargs=-1, shell_complete=completion.study_names)
@_ONLY
@click.option("--resume", "folder", type=click.Path(path_type=Path), help="Go on with the run in this folder.")
@click.option("--plot", "drawn", is_flag=True, help="Draw the figures too.")
@click.option("--baseline", is_flag=True, help="Put the runs among those that `compare` pools as STUDY/baseline.")
@_STUDIES
@_RESULTS
def run(
    studies_named: tuple[str, ...],
    only: tuple[str, ...],
    folder: Path | None,
    drawn: bool,
    baseline: bool,
    studies: Path,
    results: Path,
) -> None:
    """Measure studies, each into a new folder of results.

    Example: python -m harness run smoke --plot
    """
    from harness import runs
    from harness.scripts import find_study

    if bool(studies_named) == (folder is not None):
        raise UserError("run: name a study, or a folder to --resume")
    loaded = [runs.load_study(find_study(word, studies), only) for word in studies_named]
    begun = (runs.run(study, results, only, studies, click.echo, baseline=baseline) for study in loaded)
    broken = False
    for finished in begun if folder is None else (runs.resume(folder, studies, click.echo),):
        _close(finished, studies, drawn)
        broken |= bool(finished.cells["status"].isin(BROKEN).any())
    if broken:
        sys.exit(EXIT_CELLS)


@cli.command()
@click.argument("words", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.run_names)
@_STUDIES
@_RESULTS
def plot(words: tuple[str, ...], studies: Path, results: Path) -> None:
    """Draw the figures of runs: folders, or names of studies, whose newest run is taken.

    Example: python -m harness plot speed
    """
    from harness.scripts import captions, draw_figures
    from harness.tables import newest_run, read

    for word in words:
        run = read(newest_run(results, word))
        made = draw_figures(run, studies)
        for path in made:
            click.echo(path)
        if not made and captions(run.name, studies):
            raise UserError(f"{word}: nothing was drawn: of FIGURES of {studies / run.name}.py this run can show none")
        if not made:
            click.echo(f"{word}: nothing to draw: there are no FIGURES in {studies / run.name}.py")


@cli.command()
@click.argument("words", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.result_names)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there [RESULTS/report.html].")
@_STUDIES
@_RESULTS
def report(words: tuple[str, ...], output: Path | None, studies: Path, results: Path) -> None:
    """One HTML page of runs and duels: folders, or names of studies for the newest run or duel of each.

    It needs nothing but a browser. Two runs of one study are compared, the first as the base.

    Example: python -m harness report precision speed
    """
    from harness.publish import publish

    click.echo(publish(words, results, studies, output, click.echo))


@cli.command()
@click.argument("study", default="regression", shell_complete=completion.study_names)
@click.option("--base-rev", metavar="REV", help="The base is this commit, checked out beside the working tree.")
@click.option("--base-python", metavar="PATH", help="The base runs under this interpreter, so under its torch.")
@_ONLY
@_STRICT
@_STUDIES
@_RESULTS
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
    from harness.origin import base_origin
    from harness.runs import load_study
    from harness.scripts import find_study

    if base_rev is None and base_python is None:
        raise UserError("duel: name a --base-rev, a --base-python, or both")
    loaded = load_study(find_study(study, studies), only)
    with base_origin(base_rev, base_python) as base:
        fought = fight(loaded, base, results, only, studies, click.echo)
    click.echo(f"{loaded.name}: {fought.path}")
    _judged(fought.verdicts, fought.base, fought.head, results, strict)


@cli.command()
@click.argument("bases", metavar="BASE...", nargs=-1, required=True, shell_complete=completion.base_names)
@click.argument("head", shell_complete=completion.base_names)
@_STRICT
@_RESULTS
def compare(bases: tuple[str, ...], head: str, strict: bool, results: Path) -> None:
    """A recorded run against one or several that are pooled: folders, or names of studies for their newest run.

    STUDY/baseline stands for the runs that `make baseline` recorded.

    Example: python -m harness compare regression/baseline regression
    """
    from harness.runs import load_study_of
    from harness.tables import baseline_runs, newest_run, read
    from harness.verdicts.comparison import compare_verdicts

    of_base = [read(folder) for word in bases for folder in baseline_runs(results, word)]
    of_head = read(newest_run(results, head))
    verdicts = compare_verdicts(of_base, of_head, load_study_of(of_head).gate)
    _judged(verdicts, of_base[-1], of_head, results, strict)


@cli.command()
@click.argument("word", metavar="RUN", shell_complete=completion.result_names)
@click.option(
    "--to", required=True, metavar="FORMAT", help=f"{', '.join(EXPORTS)}.", shell_complete=completion.export_formats
)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to standard output.")
@_RESULTS
def export(word: str, to: str, output: Path | None, results: Path) -> None:
    """A run or a duel for other tools: a folder, or the name of a study for its newest run or duel.

    pytest-benchmark: its JSON, which `pytest-benchmark compare` reads; of a duel the head's times.
    junit: JUnit XML. markdown: a summary for the page of a job.

    Example: python -m harness export regression --to markdown
    """
    from harness.tables import newest_result
    from harness.verdicts.export import export as text_of

    text = text_of(newest_result(results, word), to)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{output}: {error.strerror}") from None


@cli.command()
@click.option(
    "--machine",
    metavar="SLUG",
    help="Another machine than this one: its folder in the results.",
    shell_complete=completion.machine_names,
)
@_STUDIES
@_RESULTS
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
        click.echo(line)
    for made in draw_trends(rows, found, path.with_suffix(""), studies):
        click.echo(made)


@cli.command(name="list")
@click.option("--schema", is_flag=True, help="A JSON Schema of a study file instead.")
@_STUDIES
def list_(schema: bool, studies: Path) -> None:
    """What there is: studies, methods, distributions, metrics.

    With --schema: what a study file may say, for editors. Print it into studies/study.schema.json, and begin a study
    with the line `#:schema ./study.schema.json` (Taplo, Even Better TOML).

    Example: python -m harness list
    """
    from harness.report.listing import listing
    from harness.report.study_schema import study_schema
    from harness.runs import known_names

    if schema:
        click.echo(json.dumps(study_schema(known_names()), indent=1))
        return
    for line in listing(studies):
        click.echo(line)


@cli.command()
def doctor() -> None:
    """What makes this machine noisy, with advice; it measures A/A, and takes about ten seconds.

    A line a check: ok, warn or unknown (could not be read). Exit code 0 whatever it finds.

    Example: python -m harness doctor
    """
    from harness.doctor import closing_line, examine

    findings = []
    for finding in examine():
        click.echo(finding)
        findings.append(finding)
    click.echo(closing_line(findings))


def _judged(verdicts: Any, base: Any, head: Any, results: Path, strict: bool) -> None:
    """Tell the verdicts, add them to the history, and end with their exit code."""
    from harness.report.judgement import judgement_lines
    from harness.verdicts.comparison import exit_code
    from harness.verdicts.history import record

    for line in judgement_lines(verdicts):
        click.echo(line)
    try:
        record(results, verdicts, base, head)
    except OSError as error:  # the verdicts hold all the same
        click.echo(f"harness: not added to the history: {error}", err=True)
    sys.exit(exit_code(verdicts, head.cells, strict))


def _close(finished: Any, studies: Path, drawn: bool) -> None:
    from harness.report.terminal import closing
    from harness.scripts import draw_figures

    figures = len(draw_figures(finished, studies)) if drawn else None
    for line in closing(finished, studies, figures):
        click.echo(line)


def main() -> None:
    """The command line; a name for the script `harness`."""
    try:
        code = cli.main(prog_name="harness", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"harness: {error.format_message()}", err=True)
        code = EXIT_USAGE
    except click.Abort:
        code = EXIT_INTERRUPTED
    except Exception:  # a fault of the harness: the traceback is what its author needs
        traceback.print_exc()
        click.echo("harness: internal error: please report the lines above", err=True)
        code = EXIT_INTERNAL
    sys.exit(code)
