"""The standard streams as people leave them: closed, full, in another encoding, or in a pipe that nobody reads."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO


class _Unfailing(io.FileIO):
    """A standard stream that fails once at most: what is written later goes nowhere.

    A pipe that nobody reads does not even fail: the work goes on to its end, and `unread` says so.
    """

    def __init__(self, descriptor: int, name: str, raises: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._told, self._raises, self.unread = name, raises, False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            _to_nowhere(self.fileno())
            self.unread = self.unread or error.errno == errno.EPIPE
            if self._raises and not self.unread:
                raise OSError(error.errno, error.strerror, self._told) from None
            return memoryview(data).nbytes


def prepare() -> None:
    """Make the standard streams safe to use, once, before anything is printed.

    A closed one becomes /dev/null: else the first file that is opened takes its number, and what a library prints would
    be written into a table. What its encoding has no character for is printed as an escape of Python. A full disk is an
    OSError that names standard output, of standard error it is ignored.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    if sys.stdout is sys.__stdout__:  # else whoever put another there knows what becomes of it
        sys.stdout = _text(sys.stdout, _Unfailing(1, "standard output", raises=True))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(sys.stderr, _Unfailing(2, "standard error", raises=False), line_buffering=True)


def unread() -> bool:
    """Whether something was printed that nobody reads: the reader of a pipe has gone, as `head` does."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Unfailing) and raw.unread


def _text(stream: TextIO | None, raw: _Unfailing, line_buffering: bool = False) -> io.TextIOWrapper:
    encoding = stream.encoding if stream is not None else "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=line_buffering or raw.isatty()
    )


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
