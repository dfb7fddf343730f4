"""The verbs that show, keep or export results, begin a study, or list what there is: plot, keep, report, history,
export, new, list."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click

from harness.cli import completion
from harness.cli.group import RESULTS_FOLDER, STUDIES_FOLDER, cli, tell
from harness.errors import UserError
from harness.vocabulary import EXIT_USAGE, EXPORTS, studies_option


@cli.command()
@click.argument("words", metavar="[RUN]...", nargs=-1, shell_complete=completion.run_names)
@STUDIES_FOLDER
@RESULTS_FOLDER
def plot(words: tuple[str, ...], studies: Path, results: Path) -> None:
    """Draw the figures of runs, and print their summaries.

    A run is a folder, or the name of a study for its newest run. Without a word the newest run of every study is drawn.
    If one cannot be drawn, the others are, and the exit code is 2.

    Example: python -m harness plot speed
    """
    from harness.tables import studies_with_runs

    words = words or tuple(studies_with_runs(results))
    if not words:
        raise UserError(f"{results}: no run yet: `harness run STUDY` makes one")
    failed = False
    for word in words:
        try:
            _plot(word, studies, results)
        except UserError as error:
            failed = True
            click.echo(f"harness: {error}", err=True)
    if failed:
        sys.exit(EXIT_USAGE)


def _plot(word: str, studies: Path, results: Path) -> None:
    """Draw the figures of one run, and print their paths and the summary."""
    from harness.scripts.drawing import draw_figures
    from harness.scripts.studies import load_script
    from harness.study.folders import home_named
    from harness.tables import by_machine, newest_run, read

    home = home_named(word, studies)
    run = read(newest_run(results, word))
    made = [path for part in by_machine(run) for path in draw_figures(part, home, tell)]
    for path in made:
        tell(path)
        if path.suffix == ".md":
            for line in path.read_text(encoding="utf-8").splitlines():
                tell(line)
    script = load_script(run.name, home)
    if not made and script.figures:
        raise UserError(f"{word}: nothing was drawn: this run can show none of the FIGURES in {script.path}")
    if not made:
        tell(f"{word}: nothing to draw: {script.path} has no FIGURES")


@cli.command()
@click.argument("words", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.run_names)
@STUDIES_FOLDER
@RESULTS_FOLDER
def keep(words: tuple[str, ...], studies: Path, results: Path) -> None:
    """Make runs the references of their studies. A reference is a copy to commit, with large tables compressed and
    figures drawn.

    A run is a folder, or the name of a study for its newest run. The run itself stays where it is.

    Example: python -m harness keep speed
    """
    from harness.report.keep import keep as kept
    from harness.study.folders import home_named
    from harness.tables import newest_run

    for word in words:
        tell(kept(newest_run(results, word), home_named(word, studies)))


@cli.command()
@click.argument("words", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.result_names)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to this file [RESULTS/report.html]."
)
@STUDIES_FOLDER
@RESULTS_FOLDER
def report(words: tuple[str, ...], output: Path | None, studies: Path, results: Path) -> None:
    """Write one HTML page about runs and duels. Name them by folder, or by study for its newest run or duel.

    The page needs nothing but a browser. Two runs of one study are compared, the first as the base. Name a duel of a
    pytest suite by its folder, or by the folder of its suite, such as pytest-tests-benchmarks.

    Example: python -m harness report precision speed
    """
    from harness.cli.publish import publish

    tell(publish(words, results, studies, output, tell))


@cli.command()
@click.option(
    "--machine",
    metavar="SLUG",
    help="Another machine than this one, by the name of its folder in the results.",
    shell_complete=completion.machine_names,
)
@click.option("--page", is_flag=True, help="Write one HTML page, instead of figures of the trends.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the page to this file [RESULTS/MACHINE/history.html].",
)
@click.option("--reports", is_flag=True, help="With --page: also write the reports that judged runs still lack.")
@STUDIES_FOLDER
@RESULTS_FOLDER
def history(machine: str | None, page: bool, output: Path | None, reports: bool, studies: Path, results: Path) -> None:
    """Show what the judged runs of a machine saw, and its trends. The trends are also drawn, into its folder `history`.

    With --page it writes a page instead: the trends of times, counts, memory and errors over the commits, what each
    judged run saw, a comparison of any two commits that you click on, and links to the reports of the runs.

    Example: python -m harness history --page
    """
    from harness.cli.publish import publish_history, publish_reports
    from harness.report.trend import history_lines
    from harness.scripts.drawing import draw_trends
    from harness.tables import SUITE_HISTORY_FILE, history_of, read_history, read_suite_history
    from harness.verdicts.history import suites_as_history
    from harness.verdicts.steps import steps

    path = history_of(results, machine)
    rows, suites = read_history(path), suites_as_history(read_suite_history(path.with_name(SUITE_HISTORY_FILE)))
    found = steps(rows)
    for judged, its_steps in ((rows, found), (suites, steps(suites))):
        for line in history_lines(judged, its_steps) if len(judged) else ():
            tell(line)
    if page or output:
        if reports:
            publish_reports(path.parent, (rows, suites), results, studies, tell)
        tell(publish_history(path.parent, (rows, suites), output))
        return
    if reports:
        raise UserError("history: --reports is for --page, which links to them")
    for made in draw_trends(rows, found, path.with_suffix(""), studies):
        tell(made)


@cli.command()
@click.argument("word", metavar="RUN", shell_complete=completion.result_names)
@click.option(
    "--to", required=True, metavar="FORMAT", help=f"{', '.join(EXPORTS)}.", shell_complete=completion.export_formats
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to this file, not to standard output."
)
@RESULTS_FOLDER
def export(word: str, to: str, output: Path | None, results: Path) -> None:
    """Convert a run or a duel for other tools. Name it by folder, or by study or suite for its newest run or duel.

    json: the closing table and the answer, or the verdicts, for programs; `harness list --schema results` describes it.
    pytest-benchmark: the JSON that `pytest-benchmark compare` reads; for a duel the head's times.
    junit: JUnit XML. markdown: a summary for the page of a CI job.

    Example: python -m harness export regression --to markdown
    """
    from harness.export import export as text_of
    from harness.tables import newest_result

    text = text_of(newest_result(results, word), to)
    if output is None:
        click.echo(text.encode(), nl=False)  # other tools expect UTF-8, whatever the terminal's encoding
        return
    try:
        output.write_text(text, encoding="utf-8")  # in place and not by renaming, since it may be a pipe
    except OSError as error:
        raise UserError(f"{output}: {error.strerror}") from None


@cli.command()
@click.argument("name")
@STUDIES_FOLDER
def new(name: str, studies: Path) -> None:
    """Write a study to start from, and a script that draws it. They are NAME.toml, with comments, and NAME.py.

    NAME is a name in the folder of the studies, or a path. Existing files are not changed.

    Example: python -m harness new mine
    """
    from harness.scripts.new import new_study
    from harness.study.folders import is_path

    made = new_study(name, studies)
    for path in made:
        tell(path)
    word = shlex.quote(str(made[0]) if is_path(name) else name) + studies_option(studies)
    tell(f"next: `harness plan {word}` (what it would cost), `harness run {word} --plot` (measure it and draw it)")


@cli.command(name="list")
@click.option(
    "--schema",
    is_flag=False,
    flag_value="study",
    type=click.Choice(["study", "results"]),
    help="Print the JSON Schema of study files, or of what `export --to json` writes, instead.",
)
@STUDIES_FOLDER
def list_(schema: str | None, studies: Path) -> None:
    """List the studies, methods, distributions and metrics.

    With --schema it prints what a study file may contain, for editors: write that to studies/study.schema.json, and
    begin a study with the line `#:schema ./study.schema.json` (Taplo, Even Better TOML).

    Example: python -m harness list
    """
    from harness.cli.listing import listing
    from harness.planning.loading import known_names
    from harness.study.schema import study_schema

    if schema == "results":
        from harness.export.json_schema import results_schema

        click.echo(json.dumps(results_schema(), indent=1))
        return
    if schema == "study":
        click.echo(json.dumps(study_schema(known_names()), indent=1))
        return
    for line in listing(studies):
        tell(line)
