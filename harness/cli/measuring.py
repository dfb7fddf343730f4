"""The verbs that measure, or forecast a measurement: plan, run, doctor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import completion
from harness.cli.group import LAUNCHES, ONLY, RESULTS_FOLDER, STUDIES_FOLDER, cli, tell
from harness.errors import UserError
from harness.vocabulary import BROKEN, EXIT_CELLS, install

if TYPE_CHECKING:
    from harness.study.definition import Study


@cli.command()
@click.argument("study", shell_complete=completion.study_names)
@ONLY
@LAUNCHES
@STUDIES_FOLDER
@RESULTS_FOLDER
def plan(study: str, only: tuple[str, ...], launches: int | None, studies: Path, results: Path) -> None:
    """Show what a study would measure, and how long it takes. The time is estimated from its last run, if there is one.

    Example: python -m harness plan speed --only dtype=float32
    """
    from harness.planning.earlier import earlier_run
    from harness.planning.forecast import forecast
    from harness.planning.loading import plan_of

    loaded = _study_for(study, only, launches, studies)
    for line in forecast(plan_of(loaded), earlier_run(results, loaded)):
        tell(line)


@cli.command()
@click.argument("studies_named", metavar="[STUDY]...", nargs=-1, shell_complete=completion.study_names)
@ONLY
@LAUNCHES
@click.option("--resume", "folder", type=click.Path(path_type=Path), help="Go on with the run in this folder.")
@click.option("--plot", "drawn", is_flag=True, help="Also draw the figures.")
@click.option("--scheduler", metavar="ADDRESS", help="Measure on the workers of this Dask scheduler.")
@click.option(
    "--local-cluster", "local", type=click.IntRange(1), metavar="N", help="Measure on N Dask workers on this machine."
)
@click.option("--baseline", is_flag=True, help="Add the runs to those that `compare` pools as STUDY/baseline.")
@STUDIES_FOLDER
@RESULTS_FOLDER
def run(
    studies_named: tuple[str, ...],
    only: tuple[str, ...],
    launches: int | None,
    folder: Path | None,
    drawn: bool,
    scheduler: str | None,
    local: int | None,
    baseline: bool,
    studies: Path,
    results: Path,
) -> None:
    """Measure studies, each into a new folder of results.

    On a cluster, timed studies run one case at a time on workers with the resource `timing`; other studies run in
    parallel on all workers.

    Example: python -m harness run smoke --plot
    """
    from harness.session import runs

    if bool(studies_named) == (folder is not None):
        raise UserError("run: name a study, or a folder to --resume")
    if folder is not None and (only or launches is not None or baseline):
        raise UserError("run: --resume goes on as the run began, without --only, --launches and --baseline")
    loaded = [_study_for(word, only, launches, studies) for word in studies_named]
    homes = [study.folder or studies for study in loaded] or [studies]
    broken = False
    with _place(scheduler, local) as place:
        begun = (runs.run(study, results, None, tell, baseline=baseline, place=place) for study in loaded)
        measured = begun if folder is None else (runs.resume(folder, studies, tell, place=place),)
        for finished, home in zip(measured, homes, strict=True):
            _close(finished, home, drawn)
            broken |= bool(finished.cells["status"].isin(BROKEN).any())
    if broken:
        sys.exit(EXIT_CELLS)


@cli.command()
def doctor() -> None:
    """Find out what makes this machine noisy, and what to do about it. It takes about ten seconds, mostly to measure
    A/A.

    Each check prints a line: ok, warn or unknown (cannot be read). The exit code is always 0.

    Example: python -m harness doctor
    """
    from harness.doctor import closing_line, examine

    findings = []
    for finding in examine():
        tell(finding)
        findings.append(finding)
    tell(closing_line(findings))


def _study_for(word: str, only: tuple[str, ...], launches: int | None, studies: Path) -> Study:
    """The study that a word means, narrowed by `only`, with this number of launches unless it is None."""
    from harness.planning.loading import load_study
    from harness.study.folders import find_study

    loaded = load_study(find_study(word, studies), only)
    return loaded if launches is None else loaded.with_launches(launches)


@contextmanager
def _place(scheduler: str | None, local: int | None) -> Iterator[Any]:
    """The place to measure: a cluster, or None for this machine."""
    if scheduler is None and local is None:
        yield None
        return
    if scheduler is not None and local is not None:
        raise UserError("run: name a --scheduler or a --local-cluster, not both")
    try:
        from harness.distribute import on_local_workers, on_scheduler
    except ImportError as error:
        raise UserError(f"run: a cluster needs the extra `cluster`: {install('cluster')} ({error})") from None
    with on_local_workers(local, tell) if local else on_scheduler(str(scheduler), tell) as place:
        yield place


def _close(finished: Any, studies: Path, drawn: bool) -> None:
    """Draw the figures if asked to, and print the closing lines."""
    from harness.report.terminal import closing
    from harness.scripts.drawing import draw_figures
    from harness.tables import by_machine

    figures = None
    if drawn:
        made = [path for part in by_machine(finished) for path in draw_figures(part, studies, tell)]
        figures = sum(path.suffix == ".png" for path in made)  # the others are summaries
    for line in closing(finished, studies, figures):
        tell(line)
