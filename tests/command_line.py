"""The command line as tests call it, in their own process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from harness.cli import cli
from harness.vocabulary import EXIT_USAGE


def call(*arguments: object, color: bool = False) -> Result:
    """The result of a verb and its arguments; color: as on a terminal, which is given its escapes."""
    return CliRunner().invoke(cli, [str(each) for each in arguments], color=color)


def refused(result: Result, after_lines: int = 0) -> str:
    """The message of a call that was refused: one line on standard error, and nothing else but so many lines before."""
    assert (result.exit_code, type(result.exception)) == (EXIT_USAGE, SystemExit), result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("harness: ")
    assert len(result.stdout.splitlines()) == after_lines
    return line
