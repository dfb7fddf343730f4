"""How many instructions a call executes, counted by callgrind, in a worker that runs under valgrind.

callgrind simulates the process instruction by instruction, so other processes do not change its counts. It counts only
between two requests of the process itself and writes the sum into a file, which is read here.
"""

from __future__ import annotations

import ctypes
import gc
import math
import mmap
import os
import re
from collections.abc import Callable
from functools import cache
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

from harness.worker.counting import PREFIX

MACHINE_CODE = bytes.fromhex("4889f8 4889f2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
"""request(block, otherwise) for x86-64: mov rax, rdi; mov rdx, rsi; four rotations of rdi, by 128 bits in total, and
xchg rbx, rbx, which change nothing but make valgrind read a request from the block at rax (valgrind.h, `Client
requests`); mov rax, rdx; ret. Outside valgrind it returns `otherwise`."""

RUNNING_ON_VALGRIND = 0x1001
DUMP, ZERO, START, STOP = ((ord("C") << 24) + (ord("T") << 16) + number for number in (0, 1, 4, 5))
"""Requests of valgrind.h and callgrind.h: ask whether this is valgrind; write the counters; set them to zero; begin to
count; stop. STOP discards the counters, but a DUMP reports the difference to the last DUMP, hence ZERO. Before START
the process runs several times faster than while instructions are counted."""

REQUEST_WORDS = 6
"""A request consists of its number and five arguments, of 64 bits each."""

WARM_CALLS = 100
"""Warm-up calls before the first counted one: Python 3.11 specialises its bytecode within some 60 calls."""

FEWEST_INSTRUCTIONS = 1_000_000
MOST_CALLS = 100
"""A loop has as many calls as execute at least FEWEST_INSTRUCTIONS, but at most MOST_CALLS. The overhead of the loop is
subtracted by counting an empty one; the rest of it is below the floor of a verdict (FLOOR of
harness/verdicts/counts.py)."""

LOOPS = 3
"""How many loops are counted; their median is the result. Rare events, such as the growth of a table or of the heap,
were half a percent of a loop of nine calls in one process and absent from the next."""

TOTAL = re.compile(rb"^totals: (\d+)", re.MULTILINE)


@cache
def _requests() -> Callable[[int], int]:
    """A function that sends a request to valgrind, by its number, and returns the answer; 0 outside valgrind."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(MACHINE_CODE)
    start = ctypes.c_char.from_buffer(page)
    function = ctypes.PYFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)(ctypes.addressof(start))

    def request(number: int, mapped: object = start) -> int:  # the page stays mapped as long as it has a buffer
        block = (ctypes.c_uint64 * REQUEST_WORDS)(number)
        return int(function(ctypes.addressof(block), 0))

    return request


def count(call: Callable[[], Any]) -> tuple[int, float]:
    """The calls of a counted loop, and the instructions per call, less those of an empty loop.

    Raises RuntimeError if this process does not run under callgrind.
    """
    if PREFIX not in os.environ or not _requests()(RUNNING_ON_VALGRIND):
        raise RuntimeError("this worker does not run under valgrind")
    for _ in repeat(None, WARM_CALLS):
        call()
    gc.collect()
    gc.disable()  # a collection would fall into one loop and not into another
    try:
        (once,) = _counted(_loop, call, 1)
        calls = min(MOST_CALLS, max(1, math.ceil(FEWEST_INSTRUCTIONS / max(1, once))))
        loops, (empty,) = _counted(_loop, call, calls, LOOPS), _counted(_empty_loop, call, calls)
        return calls, (median(loops) - empty) / calls
    finally:
        gc.enable()


def _loop(call: Callable[[], Any], calls: int) -> None:
    for _ in repeat(None, calls):
        call()


def _empty_loop(call: Callable[[], Any], calls: int) -> None:
    for _ in repeat(None, calls):
        pass


def _counted(
    loop: Callable[[Callable[[], Any], int], None], call: Callable[[], Any], calls: int, times: int = 1
) -> list[int]:
    """The instructions of a loop and the requests around it, in each of `times` runs."""
    request = _requests()
    request(START)
    loop(call, 1)  # takes over the work that other code left behind, such as merging freed memory in the heap
    for _ in repeat(None, times):
        request(ZERO)
        loop(call, calls)
        request(DUMP)
    request(STOP)
    return _totals_of_dumps(times)


def _totals_of_dumps(expected: int) -> list[int]:
    """The totals in the files that callgrind has written, which are removed."""
    prefix = Path(os.environ[PREFIX])
    written = list(prefix.parent.glob(f"{prefix.name}.*"))  # the file without a number is written when the process ends
    matches = [TOTAL.search(file.read_bytes()) for file in written]
    for file in written:
        file.unlink()
    totals = [int(match[1]) for match in matches if match]
    if len(totals) != expected:
        raise RuntimeError(f"callgrind has written {len(totals)} totals, not {expected}")
    return totals
