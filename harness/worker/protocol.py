"""What the parent and a worker agree upon, whichever versions of the harness they are of."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Sequence

PROTOCOL = 4
"""Raised when a request or a reply changes its meaning: a worker of another protocol is not asked anything."""

WITH_PARENT = "--end-with-parent"
"""An argument of a worker: it is to end when its parent does."""

PR_SET_PDEATHSIG = 1


def end_with_parent(arguments: Sequence[str]) -> None:
    """Of a worker that was told so: it ends when its parent is killed, even inside a call that never returns.

    A worker that is not inside a call ends with its input.
    """
    if WITH_PARENT in arguments:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
