"""The threads of this process: which ones a method has started, and which of those keep working after its call."""

from __future__ import annotations

import time
from pathlib import Path

TASKS = "/proc/self/task"
"""The folder that lists the threads of this process, on Linux."""

WAITING_SECONDS = 0.02
SETTLING_WAITS = 15
"""Threads of a pool keep spinning after their work, for 0.2 s in Intel's OpenMP. One that is busy in this many waits in
a row, 0.3 s together, is working."""

BUSY_SHARE = 0.01
"""A thread is busy if it uses more than this share of a wait; an idle thread uses none."""


class Threads:
    """Remembers the threads that exist now, to find those that a method starts later."""

    def __init__(self) -> None:
        self._known = set(_threads())

    def busy(self) -> int:
        """How many threads were started since and keep working while this one waits."""
        working = [thread for thread in _threads() if thread not in self._known]
        if not working:
            return 0
        for _ in range(SETTLING_WAITS):
            start, used = time.monotonic(), {thread: _cpu_seconds(thread) for thread in working}
            time.sleep(WAITING_SECONDS)
            allowed = BUSY_SHARE * (time.monotonic() - start)
            working = [
                thread for thread in working if _cpu_seconds(thread) - used[thread] > allowed or _is_running(thread)
            ]
            if not working:
                self._known.update(_threads())  # all of them are idle, so they are not checked again in this case
                return 0
        return len(working)


def _threads() -> list[int]:
    """The ids of this process's threads; none if the system does not list them."""
    try:
        return [int(task.name) for task in Path(TASKS).iterdir()]
    except OSError:  # not Linux, or /proc is not mounted
        return []


def _cpu_seconds(thread: int) -> float:
    """CPU seconds of a thread of this process; 0 if it has ended.

    Linux derives the id of a thread's clock from the id of the thread: see clock_getcpuclockid(3) and
    CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED in the kernel's include/linux/posix-timers.h.
    """
    try:
        return time.clock_gettime((~thread << 3) | 6)
    except OSError:
        return 0.0


def _is_running(thread: int) -> bool:
    """Whether a thread has work to do, even if the machine is too busy to run it."""
    try:
        state = (
            Path(TASKS, str(thread), "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
        )
    except OSError:
        return False
    return state == "R"
