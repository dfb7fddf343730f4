"""The command line, whole: importing it puts every verb into its group."""

from __future__ import annotations

import os
import signal
import sys
import traceback

import click

from harness.cli import judging, measuring, reading, streams
from harness.cli.group import FOR_BISECT, cli
from harness.errors import refused
from harness.outside_text import printable
from harness.repository.git import forget_repository
from harness.vocabulary import EXIT_FAILED, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_SKIP, EXIT_UNREAD, EXIT_USAGE

__all__ = ["cli", "judging", "main", "measuring", "reading"]


def main() -> None:
    """The command line; a name for the script `harness`."""
    streams.prepare()
    forget_repository()
    os.environ["MPLBACKEND"] = "agg"  # nothing here opens a window, and matplotlib is not imported under a wrong name
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: no worker is left, and what is kept is told
    code = _code()
    try:
        sys.stdout.flush()
    except OSError as error:
        click.echo(f"harness: {refused(error)}", err=True)
        code = EXIT_USAGE
    if streams.unread() and code not in (EXIT_INTERNAL, EXIT_USAGE, EXIT_INTERRUPTED):
        code = EXIT_UNREAD  # no verdict's: whoever asked has not read it
    sys.exit(for_git(code) if FOR_BISECT in sys.argv else code)


def for_git(code: int) -> int:
    """The exit code as `git bisect run` takes it: 0 good, 1 bad, else 125, which skips the commit; but after Ctrl-C
    the bisection shall stop, as it does at every code above 127."""
    return code if code in (0, EXIT_FAILED, EXIT_INTERRUPTED) else EXIT_SKIP


def _code() -> int:
    """Run the verb, and return its exit code."""
    try:
        return int(cli.main(prog_name="harness", standalone_mode=False) or 0)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        click.echo(f"harness: a package ended the program: {printable(ended.code)}", err=True)
        return EXIT_USAGE
    except click.ClickException as error:
        click.echo(f"harness: {error.format_message()}", err=True)
        return EXIT_USAGE
    except click.Abort:
        return EXIT_INTERRUPTED
    except Exception:  # a fault of the harness: the traceback is what its author needs
        traceback.print_exc()
        click.echo("harness: internal error: please report the lines above", err=True)
        return EXIT_INTERNAL
