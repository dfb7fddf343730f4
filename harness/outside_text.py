"""Text that comes from outside (torch's messages, files of other machines): kept as it is, and safe where it is shown.

A spreadsheet takes a cell for a formula by its first character, whatever quotes stand around it; OWASP's advice (CSV
injection) is an apostrophe before it. A terminal obeys control characters.
"""

from __future__ import annotations

import codecs
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


_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # begins as UTF-16 does: it is asked first
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def refuse_other_encoding(head: bytes) -> None:
    """Raise ValueError, which names the encoding, where a file that begins with these bytes is not UTF-8."""
    for mark, encoding in _OTHER_ENCODINGS.items():
        if head.startswith(mark):
            raise ValueError(f"{encoding}, not UTF-8: save it as UTF-8")
    if b"\0" in head[:4]:
        raise ValueError("UTF-16, it seems, not UTF-8: save it as UTF-8")


def decoded(data: bytes) -> str:
    """The text of a file, without its byte-order mark and with one kind of line end. Raises ValueError, which names the
    cause, where it is not UTF-8."""
    refuse_other_encoding(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8: line {line} has byte 0x{data[error.start]:02x}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
