"""Text that comes from outside (torch's messages, files of other machines): kept as it is, and safe where it is shown.

A spreadsheet takes a cell for a formula by its first character, whatever quotes stand around it; OWASP's advice (CSV
injection) is an apostrophe before it. A terminal obeys control characters.
"""

from __future__ import annotations

import re

FORMULA = r"[=+\-@\t\uFF1D\uFF0B\uFF0D\uFF20]"
"""What a formula begins with, full-width forms included. (No cell of a table begins with a line break.)"""

NUMBER = r"[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|inf|nan)"
"""A number may begin with a sign: a spreadsheet takes it for what it is. (A digit has one place here, or a long row of
them would take time by its square.)"""

_NEUTRALISED = re.compile(rf"'*(?!({NUMBER})\Z){FORMULA}")
"""Of text and of what it is neutralised to: so that one apostrophe less is the text again."""

PLAIN_WORD = rf"^(?![\s\S]*[\x00-\x1f\x7f-\x9f])(?!(?!({NUMBER})$){FORMULA})"
"""Of a word that names something, and so is read back as it was written: no formula, no control character."""


def neutral(text: str) -> str:
    """The text as a table may hold it: with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if _NEUTRALISED.match(text) else text


def restored(cell: str) -> str:
    """The text that `neutral` made this cell of."""
    return cell[1:] if cell.startswith("'") and _NEUTRALISED.match(cell) else cell


def printable(text: object) -> str:
    """Text as a terminal may be given it: what is no character to be seen (an escape, a change of direction, half a
    surrogate pair) is written as an escape of Python."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "backslashreplace").decode() for each in str(text)
    )
