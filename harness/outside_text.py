"""Untrusted text, such as torch's messages and files of other machines: escape it before it is written or printed.

A spreadsheet decides by its first character whether a cell is a formula, even where the cell is quoted; OWASP (CSV
injection) advises an apostrophe before it. A terminal obeys control characters.
"""

from __future__ import annotations

import codecs
import re

FORMULA = r"[=+\-@\t\uFF1D\uFF0B\uFF0D\uFF20]"
"""The characters with which a formula can begin, full-width forms included. (No cell of a table begins with a line
break, so it need not be one of them.)"""

NUMBER = r"[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|inf|nan)"
"""A signed number is not a formula, so it needs no apostrophe. (No digit can be matched by two parts of this pattern:
else a long row of digits would take quadratic time.)"""

_NEUTRALISED = re.compile(rf"'*(?!({NUMBER})\Z){FORMULA}")
"""Matches a formula, also behind apostrophes: text that already has some gets one more, so that taking one away always
restores it."""

PLAIN_WORD = rf"^(?![\s\S]*[\x00-\x1f\x7f-\x9f])(?!(?!({NUMBER})$){FORMULA})"
"""Matches a word that may be a name in a study: no formula and no control character, since names are written into
tables and read back unchanged."""


def neutral(text: str) -> str:
    """The text for a cell of a table, with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{text}" if _NEUTRALISED.match(text) else text


def restored(cell: str) -> str:
    """The inverse of `neutral`: the text that was written into this cell."""
    return cell[1:] if cell.startswith("'") and _NEUTRALISED.match(cell) else cell


def printable(text: object) -> str:
    """Text that is safe to print on a terminal: invisible characters (control characters, changes of direction, halves
    of surrogate pairs) become Python's escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in str(text)
    )


_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\":,;()]+/)+")
"""The folders of an absolute path."""


def without_folders(text: str) -> str:
    """The text without the folders of absolute paths, which tell where somebody keeps files; names of files stay."""
    return _FOLDERS.sub("", text)


_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, since the mark of UTF-16 LE is its beginning
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def refuse_other_encoding(head: bytes) -> None:
    """Raise ValueError, which names the encoding, if a file that begins with these bytes is UTF-16 or UTF-32."""
    for mark, encoding in _OTHER_ENCODINGS.items():
        if head.startswith(mark):
            raise ValueError(f"{encoding}, not UTF-8: save it as UTF-8")
    if b"\0" in head[:4]:  # ASCII letters in UTF-16 or UTF-32 without a byte-order mark
        raise ValueError("UTF-16, it seems, not UTF-8: save it as UTF-8")


def decoded(data: bytes) -> str:
    r"""The text of a file, without its byte-order mark and with \n as its only line end. Raises ValueError, which names
    the encoding or the first wrong byte, if the file is not UTF-8."""
    refuse_other_encoding(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8: line {line} has byte 0x{data[error.start]:02x}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
