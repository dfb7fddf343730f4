"""The verbs. Bad input ends here: one line on standard error, and exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from harness.errors import UserError

EXIT_USAGE = 2
EXIT_CELLS = 4
EXIT_INTERRUPTED = 130


class _Verbs(click.Group):
    """A group in which the one user error ends as one line."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except UserError as error:
            click.echo(f"harness: {error}", err=True)
            context.exit(EXIT_USAGE)


_ONLY = click.option("--only", multiple=True, metavar="AXIS=V,V", help="Narrow an axis, or `method`, to these values.")
_STUDIES = click.option(
    "--studies", type=click.Path(path_type=Path), default=Path("studies"), help="Folder of the studies."
)
_RESULTS = click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), help="Folder of the results."
)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Benchmark and numerical precision of top-k selection in PyTorch.

    Example: python -m harness run smoke --plot
    """
    sys.path.insert(0, str(Path.cwd()))  # methods may be named by an import path from here


@cli.command()
@click.argument("study")
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
@click.argument("studies_named", metavar="[STUDY]...", nargs=-1)
@_ONLY
@click.option("--resume", "folder", type=click.Path(path_type=Path), help="Go on with the run in this folder.")
@click.option("--plot", "drawn", is_flag=True, help="Draw the figures too.")
@_STUDIES
@_RESULTS
def run(
    studies_named: tuple[str, ...],
    only: tuple[str, ...],
    folder: Path | None,
    drawn: bool,
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
    try:
        if folder is not None:
            finished = [runs.resume(folder, studies, click.echo)]
        else:
            loaded = [runs.load_study(find_study(word, studies), only) for word in studies_named]
            finished = [runs.run(study, results, only, studies, click.echo) for study in loaded]
    except KeyboardInterrupt:
        click.echo("harness: interrupted; what is measured is kept: go on with `harness run --resume FOLDER`", err=True)
        sys.exit(EXIT_INTERRUPTED)
    for each in finished:
        _close(each, studies, drawn)
    if any(each.cells["status"].isin(("crashed", "incorrect")).any() for each in finished):
        sys.exit(EXIT_CELLS)


@cli.command()
@click.argument("words", metavar="RUN...", nargs=-1, required=True)
@_STUDIES
@_RESULTS
def plot(words: tuple[str, ...], studies: Path, results: Path) -> None:
    """Draw the figures of runs: folders, or names of studies, whose newest run is taken.

    Example: python -m harness plot speed
    """
    from harness.scripts import draw_figures
    from harness.tables import newest_run, read

    for word in words:
        for path in draw_figures(read(newest_run(results, word)), studies):
            click.echo(path)


@cli.command(name="list")
@_STUDIES
def list_(studies: Path) -> None:
    """What there is: studies, methods, distributions, metrics.

    Example: python -m harness list
    """
    from harness.report.listing import listing

    for line in listing(studies):
        click.echo(line)


def _close(finished: Any, studies: Path, drawn: bool) -> None:
    from harness.report.terminal import closing_table, proof_line
    from harness.scripts import draw_figures

    made = draw_figures(finished, studies) if drawn else []
    if proof := proof_line(finished):
        click.echo(proof)
    click.echo(f"\n{finished.name}: {finished.path}" + (f", {len(made)} files in figures/" if made else ""))
    click.echo(closing_table(finished))


def main() -> None:
    """The command line; a name for the script `harness`."""
    try:
        code = cli.main(prog_name="harness", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"harness: {error.format_message()}", err=True)
        code = EXIT_USAGE
    except click.Abort:
        code = EXIT_INTERRUPTED
    sys.exit(code)
