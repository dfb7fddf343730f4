"""What a worker needs in order to count instructions: valgrind's callgrind around it, and why there may be none."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from harness.study.cells import Case
from harness.vocabulary import HOST

VALGRIND = "valgrind"

PREFIX = "TOPK_HARNESS_COUNTS"
"""The variable that names what callgrind's files begin with, of a worker that runs under it."""

MACHINES = ("x86_64", "AMD64")
"""Machines whose requests of valgrind are known here (harness/worker/callgrind.py)."""


def without_counts() -> str:
    """Why no instruction can be counted on this machine, or ''."""
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
        return "instructions are counted of one thread: several spin while they wait for one another"
    if case.transform == "compile":
        return "valgrind may lack instructions that torch.compile chooses for this CPU"
    return ""


def callgrind(prefix: Path) -> list[str]:
    """What stands before the command of a process whose counts callgrind writes into files that begin with `prefix`."""
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
    """The variables of such a process. The order of what Python hashes is the same in each: it decides by some tenths
    of a percent how many instructions a call has."""
    return {PREFIX: str(prefix), "PYTHONHASHSEED": "0"}
