"""The command line, whole: importing it puts every verb into its group."""

from __future__ import annotations

import signal
import sys
import traceback

import click

from harness.cli import judging, measuring, reading
from harness.cli.group import cli
from harness.git import forget_repository
from harness.vocabulary import EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_USAGE

__all__ = ["cli", "judging", "main", "measuring", "reading"]


def main() -> None:
    """The command line; a name for the script `harness`."""
    forget_repository()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: no worker is left, and what is kept is told
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
