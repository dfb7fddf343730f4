"""The threads of this process: which a method has begun, and which of them go on working."""

from __future__ import annotations

import sys
import time
from pathlib import Path

TASKS = "/proc/self/task"
"""The threads of this process, on Linux."""

WAITING_SECONDS = 0.02
SETTLING_WAITS = 15
"""A pool of threads spins for a while after its work, 0.2 s in Intel's OpenMP: a thread that is busy in so many waits
in a row is working."""

BUSY_SHARE = 0.01
"""Of the time waited; a thread with nothing to do uses none."""


class Threads:
    """The threads that there are now; what is asked later is asked of those that were begun since."""

    def __init__(self) -> None:
        self._known = set(_threads())

    def busy(self) -> int:
        """How many threads were begun since, and go on working while this one waits."""
        begun = [each for each in _threads() if each not in self._known]
        if not begun:
            return 0
        for _ in range(SETTLING_WAITS):
            start, used = time.monotonic(), {each: _cpu_seconds(each) for each in begun}
            time.sleep(WAITING_SECONDS)
            lasted = time.monotonic() - start
            begun = [
                each for each in begun if _cpu_seconds(each) - used[each] > BUSY_SHARE * lasted or _is_running(each)
            ]
            if not begun:
                self._known.update(_threads())  # they wait: nothing more is asked of them in this case
                return 0
        return len(begun)


def _threads() -> list[int]:
    """The identities of this process's threads; none where the system does not list them."""
    return [int(each.name) for each in Path(TASKS).iterdir()] if sys.platform == "linux" else []


def _cpu_seconds(thread: int) -> float:
    """CPU time of a thread of this process; 0 for one that has ended.

    Linux makes the number of a thread's clock of its identity: see clock_getcpuclockid(3) and the kernel's
    include/linux/posix-timers.h (CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED).
    """
    try:
        return time.clock_gettime((~thread << 3) | 6)
    except OSError:
        return 0.0


def _is_running(thread: int) -> bool:
    """Whether it has something to do, even on a machine too busy to let it."""
    try:
        state = (
            Path(TASKS, str(thread), "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
        )
    except OSError:
        return False
    return state == "R"
