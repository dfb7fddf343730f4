"""The requests and replies of a worker, out of reach of what it runs.

Whatever prints, reads its standard input or captures both, as pytest does, must not come between them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

STDIN, STDOUT, STDERR = 0, 1, 2


class Lines:
    """JSON lines over what were this process's standard input and output; those lead nowhere from now on."""

    def __init__(self) -> None:
        self._requests = os.fdopen(os.dup(STDIN), "r", encoding="utf-8")
        self._replies = os.fdopen(os.dup(STDOUT), "w", encoding="utf-8")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, STDIN)
        os.close(nothing)
        os.dup2(STDERR, STDOUT)

    def read(self) -> dict[str, Any] | None:
        """The next request, or None where there will be none."""
        line = self._requests.readline()
        request: dict[str, Any] | None = json.loads(line) if line else None
        return request

    def write(self, reply: Mapping[str, Any]) -> None:
        """Send a reply; nobody may be there to read it any more."""
        with suppress(BrokenPipeError):
            self._replies.write(json.dumps(reply) + "\n")
            self._replies.flush()
