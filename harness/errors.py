"""The errors that end in one line for the user: bad input, a side that cannot be measured, Ctrl-C."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from harness.outside_text import printable

LONGEST_WORD = 200
"""An error message repeats at most this many characters of a wrong word: a file can contain one of any length."""


class UserError(Exception):
    """Bad input: one line that names the place, the wrong word and what is allowed. The CLI exits with 2."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.splitlines())))


class CannotRun(UserError):
    """A side of a duel cannot be measured: `bisect` skips such a commit, every other verb reports the reason."""


class NotAsked(UserError):
    """A figure shows something that this run was never asked to measure: it is left out without a message."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a measurement; the message says what is kept and how to continue. The CLI exits with 130."""


def shortened(word: object) -> str:
    """The word, or its first LONGEST_WORD characters and an ellipsis."""
    text = str(word)
    return text if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}..."


def refused(error: OSError) -> str:
    """What the operating system refused, in one line: the file, if the error names one, and the reason."""
    return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)


def unknown(where: str, kind: str, word: object, allowed: Iterable[str]) -> UserError:
    """The error for a word that is not among the allowed ones; it lists them, and suggests the nearest."""
    words, word = [str(each) for each in allowed], shortened(word)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    guess = f"; did you mean '{near[0]}'?" if near else ""
    return UserError(f"{where}: unknown {kind} '{word}' (allowed: {', '.join(words)}){guess}")
