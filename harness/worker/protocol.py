"""What a parent and a worker agree on, even if they belong to different versions of the harness."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Sequence

PROTOCOL = 4
"""Incremented when a request or a reply changes its meaning. A worker of another protocol is sent no request."""

WITH_PARENT = "--end-with-parent"
"""The argument that tells a worker to end when its parent ends."""

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(arguments: Sequence[str]) -> None:
    """Let this worker, if its arguments say so, end when its parent is killed, even inside a call that never returns.

    Between calls a worker ends anyway, when its input ends.
    """
    if WITH_PARENT in arguments:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
