"""The requests and replies of a worker, on file descriptors that the code it runs does not know.

That code may print, read standard input, or capture both (as pytest does) without disturbing the protocol.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

STDIN, STDOUT, STDERR = 0, 1, 2


class Lines:
    """JSON lines over the original standard input and output of this process. From now on file descriptor 0 reads from
    /dev/null, and 1 writes to standard error."""

    def __init__(self) -> None:
        self._requests = os.fdopen(os.dup(STDIN), "r", encoding="utf-8")
        self._replies = os.fdopen(os.dup(STDOUT), "w", encoding="utf-8")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, STDIN)
        os.close(nothing)
        os.dup2(STDERR, STDOUT)

    def read(self) -> dict[str, Any] | None:
        """The next request, or None at the end of the input."""
        line = self._requests.readline()
        request: dict[str, Any] | None = json.loads(line) if line else None
        return request

    def write(self, reply: Mapping[str, Any]) -> None:
        """Send a reply, unless the parent is gone."""
        with suppress(BrokenPipeError):
            self._replies.write(json.dumps(reply) + "\n")
            self._replies.flush()
