"""Writes files whole or not at all, and names the file in every error of the system."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COMPRESSED = ".gz"
"""Suffix of a compressed table, after the name of the table."""

BLOCK_BYTES = 1 << 16
"""How much of a table is read at a time, backwards, to find the end of its last whole line."""


def compressed(data: bytes) -> bytes:
    """The bytes compressed by gzip; equal bytes give equal files, since no time is stored."""
    return gzip.compress(data, compresslevel=9, mtime=0)


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError, which names the file."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises OSError, which names the file."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[io.BufferedWriter]:
    """A new file that replaces `path` once it is written without an error; else `path` stays as it was.

    A device or a pipe cannot be replaced, so it is written to directly.
    """
    if path.exists() and not path.is_file():
        with naming(path), path.open("wb") as file:
            yield file
        return
    partial = path.with_name(path.name + ".partial")
    try:
        with naming(path):
            with partial.open("wb") as file:
                yield file
            partial.replace(path)
    except BaseException:  # Ctrl-C too leaves no half file behind
        with suppress(OSError):
            partial.unlink()
        raise


def write_all(file: io.FileIO, text: str, path: Path) -> None:
    """Write all of a text, in as many pieces as the system takes. Raises OSError, which names the file."""
    left = memoryview(text.encode())
    with naming(path):
        while left:
            left = left[file.write(left) :]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the name of the file to an OSError, since the one of a failed write does not have it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def cut_half_line(path: Path) -> None:
    """Cut off an unfinished last line, as a kill leaves it."""
    if not path.exists():
        return
    with path.open("rb") as file:
        size = begin = file.seek(0, os.SEEK_END)
        newline = -1
        while begin and newline < 0:
            end, begin = begin, max(0, begin - BLOCK_BYTES)
            file.seek(begin)
            newline = file.read(end - begin).rfind(b"\n")
    if (whole := begin + newline + 1) < size:
        os.truncate(path, whole)
