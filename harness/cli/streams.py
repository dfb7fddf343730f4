"""Makes the standard streams safe however a user leaves them: closed, full, in another encoding, or a pipe that nobody
reads."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO


class _Unfailing(io.FileIO):
    """A standard stream that fails at most once; later output is discarded.

    A pipe that nobody reads does not fail at all: the work goes on to its end, and `unread` becomes True.
    """

    def __init__(self, descriptor: int, name: str, raises: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._name, self._raises, self.unread = name, raises, False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            _to_nowhere(self.fileno())
            self.unread = self.unread or error.errno == errno.EPIPE
            if self._raises and not self.unread:
                raise OSError(error.errno, error.strerror, self._name) from None
            return memoryview(data).nbytes


def prepare() -> None:
    """Make the standard streams safe to use; called once, before anything is printed.

    A closed stream becomes /dev/null: otherwise the first file that is opened would get its number, and a library that
    prints would write into a table. Characters that the encoding lacks are printed as Python's escapes. A full disk
    raises an OSError that names standard output; on standard error it is ignored.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    if sys.stdout is sys.__stdout__:  # a stream that somebody put in its place (a test) is left alone
        sys.stdout = _text(sys.stdout, _Unfailing(1, "standard output", raises=True))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(sys.stderr, _Unfailing(2, "standard error", raises=False), line_buffering=True)


def unread() -> bool:
    """Whether output was lost because the reader of a pipe has gone, as `head` does after its last line."""
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
