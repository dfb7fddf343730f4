"""Files that are whole or as they were before, and named where the system refuses them."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COMPRESSED = ".gz"
"""What the name of a compressed table ends with, after that of the table."""

BLOCK_BYTES = 1 << 16
"""Of a table: what is read at once to find the end of its last whole line."""


def compressed(data: bytes) -> bytes:
    """The bytes, compressed; the same bytes give the same file."""
    return gzip.compress(data, compresslevel=9, mtime=0)


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError with its name."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises OSError with its name."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[io.BufferedWriter]:
    """A file that takes the place of `path` once it is whole; else it is as if it had not been begun.

    A device or a pipe is written to: nothing takes its place.
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
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def write_all(file: io.FileIO, text: str, path: Path) -> None:
    """All of a text, in as many pieces as the system takes."""
    left = memoryview(text.encode())
    with naming(path):
        while left:
            left = left[file.write(left) :]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What the system refuses inside is told with the name of the file, which a write does not know."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def cut_half_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb") as file:
        size = begin = file.seek(0, os.SEEK_END)
        found = -1
        while begin and found < 0:
            end, begin = begin, max(0, begin - BLOCK_BYTES)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
    if (whole := begin + found + 1) < size:
        os.truncate(path, whole)
