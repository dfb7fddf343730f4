"""The group of the verbs, and the options that several of them share.

Bad input, and whatever the operating system refuses (a full disk), ends here as one line on standard error and exit
code 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from harness.cli import completion
from harness.errors import UserError, refused
from harness.machine import UNKNOWN, package_revision
from harness.outside_text import printable
from harness.version import __version__
from harness.vocabulary import EXIT_INTERRUPTED, EXIT_USAGE, RESULTS, STUDIES


class _Verbs(click.Group):
    """A group whose verbs report a UserError, an OSError and Ctrl-C in one line."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except UserError as error:
            click.echo(f"harness: {error}", err=True)
            context.exit(EXIT_USAGE)
        except OSError as error:
            click.echo(f"harness: {refused(error)}", err=True)
            context.exit(EXIT_USAGE)
        except KeyboardInterrupt as stop:
            click.echo("; ".join(filter(None, ("harness: interrupted", str(stop)))), err=True)
            context.exit(EXIT_INTERRUPTED)


def tell(line: object) -> None:
    """Print a line on standard output, with control characters escaped so that no text can control the terminal."""
    click.echo(printable(line))


ONLY = click.option(
    "--only",
    multiple=True,
    metavar="AXIS=V,V",
    help="Narrow an axis, or `method`, to these values.",
    shell_complete=completion.only_items,
)
LAUNCHES = click.option(
    "--launches",
    type=click.IntRange(1),
    metavar="N",
    help="Launches of a timed study, instead of its own number. More launches give narrower intervals, and the budget "
    "grows with them.",
)


def _there(_: click.Context, __: click.Parameter, folder: Path) -> Path:
    """The folder that the user named. Raises UserError if it does not exist; only the default one may be missing."""
    if folder != STUDIES and not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    return folder


STUDIES_FOLDER = click.option(
    "--studies",
    type=click.Path(path_type=Path),
    default=STUDIES,
    callback=_there,
    help="Folder of your studies; studies that come with the harness are found as well.",
)
STRICT = click.option("--strict", is_flag=True, help="Exit with 3 if something is inconclusive, or nothing was judged.")
QUANTITY = click.option(
    "--quantity",
    metavar="WORDS",
    default="",
    help="Only these quantities decide: time, memory, error, or part of a name such as 'time of forward'.",
)
FOR_BISECT = "--for-bisect"
COUNT = click.option(
    "--count", is_flag=True, help="Also count instructions with valgrind; the load of the machine does not change them."
)
UNTIL_DECIDED = click.option(
    "--until-decided",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Go on until everything is decided, for at most this many minutes, whatever the study's budget.",
)
STRICT_COUNTS = click.option(
    "--strict-counts", is_flag=True, help="Let the count of instructions decide where a time is inconclusive."
)
RESULTS_FOLDER = click.option(
    "--results", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the results."
)


def _tell_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    """Print the version and the commit of this package, and exit."""
    if asked:
        revision = package_revision()
        tell(f"harness {__version__}" + (f", commit {revision.label}" if revision != UNKNOWN else ""))
        context.exit()


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Print the version and the commit.",
)
def cli() -> None:
    """Benchmark and numerical precision of top-k selection in PyTorch.

    Example: python -m harness run smoke --plot
    """
    try:
        sys.path.insert(0, str(Path.cwd()))  # a study may name methods of a package in the current folder
    except FileNotFoundError:
        raise UserError("the current folder no longer exists: change to another") from None
