"""A duel of a pytest suite from the command line: its own options, and what it prints."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from harness.cli.group import tell
from harness.errors import UserError

PYTEST = click.option(
    "--pytest",
    "pytest_path",
    metavar="PATH",
    help="Measure the tests in this file or folder that use the fixture `benchmark`, instead of a study.",
)
BUDGET = click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="With --pytest: seconds for all launches [300].",
)
TOLERANCE = click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="With --pytest: relative change of a time that does not matter [0.02].",
)


@dataclass(frozen=True)
class Base:
    """The base as the options of the command line name it."""

    revision: str | None
    path: Path | None
    python: str | None

    @property
    def options(self) -> list[str]:
        named = {"rev": self.revision, "path": self.path, "python": self.python}
        return [f"--base-{name}={value}" for name, value in named.items() if value]


def refuse_mixed(path: str | None, budget: float | None, tolerance: float | None, of_study: bool) -> None:
    """Raise UserError if options of a study and of a suite are combined. of_study: whether an option that only a study
    has was given."""
    has_study = click.get_current_context().get_parameter_source("study") != ParameterSource.DEFAULT
    if path is None and (budget is not None or tolerance is not None):
        raise UserError(
            "duel: --budget and --tolerance are for --pytest: a study sets them itself, in [timing] and [gate]"
        )
    for name, value in (("--budget", budget), ("--tolerance", tolerance)):
        if value is not None and not math.isfinite(value):
            raise UserError(f"duel: {name} {value}: must be a finite number")
    if path is not None and (has_study or of_study):
        raise UserError(
            "duel: --pytest cannot be combined with STUDY, --quantity, --count, --strict-counts or --until-decided: "
            "a test has one quantity, the time of a call"
        )


def duel_suite(
    path: str,
    base: Base,
    only: tuple[str, ...],
    budget: float | None,
    tolerance: float | None,
    results: Path,
    strict: bool,
) -> int:
    """Duel a suite, print the verdicts, and return the exit code."""
    from harness.duel.origin import base_origin
    from harness.duel.suites import duel_suite as fight
    from harness.report.judgement import judgement_lines
    from harness.report.suites import next_after_suite
    from harness.suite.definition import Suite
    from harness.verdicts.comparison import exit_code
    from harness.verdicts.history import record_suite
    from harness.verdicts.suites import as_cells, suite_sides_text

    suite = Suite.of(path, only, budget, tolerance)
    with base_origin(base.revision, base.python, base.path) as origin:
        fought = fight(suite, origin, results, tell, is_clone=base.revision is not None)
    again = shlex.join(["harness", "duel", "--pytest", path, *base.options])
    cells = as_cells(fought.head).cells
    tell(f"{path}: {fought.path}")
    for line in judgement_lines(fought.verdicts, cells):
        tell(line)
    tell(suite_sides_text(fought.base.info, fought.head.info))
    for line in next_after_suite(fought.verdicts, again):
        tell(line)
    try:
        record_suite(results, fought.verdicts, fought.base, fought.head)
    except (OSError, UserError) as error:  # the verdicts are valid without a history
        click.echo(f"harness: not added to the history: {error}", err=True)
    return exit_code(fought.verdicts, cells, strict)


def told_again(folder: Path, to: str | None, strict: bool) -> int:
    """Print the verdicts of a recorded duel of a suite, as lines or in the format `to`, and return the exit code."""
    from harness.export import export
    from harness.report.judgement import judgement_lines
    from harness.tables import BASE, HEAD, read_suite, read_suite_verdicts
    from harness.verdicts.comparison import exit_code
    from harness.verdicts.suites import as_cells, suite_sides_text

    base, head = (read_suite(folder / side) for side in (BASE, HEAD))
    verdicts, cells = read_suite_verdicts(folder), as_cells(head).cells
    if to is not None:
        click.echo(export(folder, to).encode(), nl=False)
    else:
        for line in (*judgement_lines(verdicts, cells), suite_sides_text(base.info, head.info)):
            tell(line)
    return exit_code(verdicts, cells, strict)
