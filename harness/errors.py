"""The one error that a user can cause, and the words it is told in; and that a user stops what is measured."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from harness.outside_text import printable

LONGEST_WORD = 200
"""Characters of a word that an error repeats: a file can hold one of any length."""


class UserError(Exception):
    """Bad input: one line that names where, the wrong word and what is allowed. The CLI exits with 2."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.splitlines())))


class CannotRun(UserError):
    """A side of a duel cannot be measured: `bisect` skips such a commit, any other verb tells why."""


class NotAsked(UserError):
    """A figure shows what this run was never asked to measure: it is left out, and nothing is said."""


def shortened(word: object) -> str:
    """The word, or its beginning where it is long."""
    text = str(word)
    return text if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}..."


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while cells were measured; the message says what is kept, and how to go on. The CLI exits with 130."""


def refused(error: OSError) -> str:
    """What the system would not do, in one line: the file where it is known, and the reason."""
    return ": ".join(str(each) for each in (error.filename, error.strerror or error) if each)


def unknown(where: str, kind: str, word: object, allowed: Iterable[str]) -> UserError:
    """The error for a word that is not in a vocabulary, with its nearest neighbour as a guess."""
    words, word = [str(each) for each in allowed], shortened(word)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    guess = f"; did you mean '{near[0]}'?" if near else ""
    return UserError(f"{where}: unknown {kind} '{word}' (allowed: {', '.join(words)}){guess}")
