"""How a worker is started in order to count instructions, under valgrind's callgrind; and what cannot be counted."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from harness.study.cells import Case
from harness.vocabulary import HOST

VALGRIND = "valgrind"

PREFIX = "TOPK_HARNESS_COUNTS"
"""The environment variable of a counting worker that holds the path with which callgrind's files begin."""

MACHINES = ("x86_64", "AMD64")
"""Machines on which harness/worker/callgrind.py knows how to send a request to valgrind."""


def without_counts() -> str:
    """Why instructions cannot be counted on this machine, or ''."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return f"instructions are counted on Linux and x86-64 only, not on {sys.platform} {platform.machine()}"
    if shutil.which(VALGRIND) is None:
        return "valgrind is not installed (apt-get install valgrind)"
    return ""


def not_countable(case: Case) -> str:
    """Why the instructions of a case cannot be counted, or ''."""
    if case.device != HOST:
        return f"valgrind counts what a CPU executes, not {case.device}"
    if case.threads > 1:
        return "instructions are counted for one thread only: several spin while they wait for each other"
    if case.transform == "compile":
        return "valgrind may lack instructions that torch.compile chooses for this CPU"
    return ""


def callgrind(prefix: Path) -> list[str]:
    """The words that run a command under callgrind, which writes its counts into files that begin with `prefix`."""
    return [
        VALGRIND,
        "--quiet",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--combine-dumps=no",
        "--dump-line=no",
        f"--callgrind-out-file={prefix}",
    ]


def counting_environment(prefix: Path) -> dict[str, str]:
    """The environment variables of a process that runs under callgrind."""
    # Hashes that differ between processes would change the instructions of a call by some tenths of a percent.
    return {PREFIX: str(prefix), "PYTHONHASHSEED": "0"}
