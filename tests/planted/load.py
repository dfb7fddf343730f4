"""Other tenants of the machine, planted: processes that do nothing but take turns on its cores."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BUSY_PROCESSES = 2
LOADS = {"quiet": 0, "busy": BUSY_PROCESSES}
"""How a load is called in the facts of `instrument`, and how many busy processes it is."""


BUSY = "import os; parent = os.getppid()\nwhile os.getppid() == parent: sum(range(1000))"
"""Ends with its parent, even if that is killed."""


@contextmanager
def busy(processes: int = BUSY_PROCESSES) -> Iterator[None]:
    """So many of them while the context lasts."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()
