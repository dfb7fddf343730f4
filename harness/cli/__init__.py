"""The whole command line: importing this package adds every verb to the group."""

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
    """Run the command line, and exit with its code. This is the entry point of the script `harness`."""
    streams.prepare()
    forget_repository()  # a git hook sets GIT_DIR and the like, which nothing that we start may inherit
    os.environ["MPLBACKEND"] = "agg"  # no window is ever opened, and a wrong value would make importing matplotlib fail
    _end_in_order()
    code = _code()
    try:
        sys.stdout.flush()  # a full disk may show only now
    except OSError as error:
        click.echo(f"harness: {refused(error)}", err=True)
        code = EXIT_USAGE
    if streams.unread() and code not in (EXIT_INTERNAL, EXIT_USAGE, EXIT_INTERRUPTED):
        code = EXIT_UNREAD  # not the code of a verdict, which nobody has read
    sys.exit(for_git(code) if FOR_BISECT in sys.argv else code)


def for_git(code: int) -> int:
    """The exit code for `git bisect run`: 0 good, 1 bad, and otherwise 125, which skips the commit. Only the code of
    Ctrl-C stays, since git stops the bisection at every code above 127."""
    return code if code in (0, EXIT_FAILED, EXIT_INTERRUPTED) else EXIT_SKIP


def _end_in_order() -> None:
    """Let SIGTERM, and the SIGHUP of a closed terminal, do what Ctrl-C does: workers end, a line says what is kept."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, signal.default_int_handler)


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
    except Exception:  # a fault of the harness, whose developers need the traceback
        traceback.print_exc()
        click.echo("harness: internal error: please report the lines above", err=True)
        return EXIT_INTERNAL
