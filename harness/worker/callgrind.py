"""How many instructions a call executes, as callgrind counts them: of a worker that runs under valgrind.

callgrind is a simulator: it executes the instructions of the process one by one, so what other processes do at the same
time changes nothing that it counts. It counts only between two requests of the process itself, and writes the sum into
a file, which is read here.
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
"""request(block, otherwise) for x86-64: mov rax, rdi; mov rdx, rsi; four rotations of rdi by 128 bits together, and
xchg rbx, rbx, which change nothing and which valgrind takes for a request of the block at rax (valgrind.h, `Client
requests`); mov rax, rdx; ret. Outside valgrind it returns `otherwise`."""

RUNNING_ON_VALGRIND = 0x1001
DUMP, ZERO, START, STOP = ((ord("C") << 24) + (ord("T") << 16) + each for each in (0, 1, 4, 5))
"""Requests of valgrind.h and callgrind.h: is this valgrind; write the counters, set them to zero, begin to count,
end it. Between STOP and START the counters are lost, but not what was written last, from which the next DUMP would
count: hence ZERO. Before START the process runs several times faster than while it is counted."""

REQUEST_WORDS = 6
"""A request is its number and five arguments, of 64 bits each."""

WARM_CALLS = 100
"""Calls before the first counted one: Python 3.11 specialises its bytecode within some 60 calls."""

FEWEST_INSTRUCTIONS = 1_000_000
MOST_CALLS = 100
"""A loop has as many calls as execute about so many instructions, but at most MOST_CALLS. What lies around it is taken
off with an empty loop; what is left over is under the floor of a verdict (FLOOR of harness/verdicts/counts.py)."""

LOOPS = 3
"""How many loops are counted; the median counts. What happens in one call of many, such as the growth of a table or of
the heap, was half a percent of a loop of nine calls, in one process and not in the next."""

TOTAL = re.compile(rb"^totals: (\d+)", re.MULTILINE)


@cache
def _requests() -> Callable[[int], int]:
    """What sends a request to valgrind, by its number, and returns the answer; 0 where this is no valgrind."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(MACHINE_CODE)
    start = ctypes.c_char.from_buffer(page)
    function = ctypes.PYFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)(ctypes.addressof(start))

    def request(number: int, mapped: object = start) -> int:  # the page stays mapped as long as it has a buffer
        block = (ctypes.c_uint64 * REQUEST_WORDS)(number)
        return int(function(ctypes.addressof(block), 0))

    return request


def count(call: Callable[[], Any]) -> tuple[int, float]:
    """Calls of the loop that was counted, and instructions a call, after those of an empty loop are taken off.

    Raises RuntimeError where this process does not run under callgrind.
    """
    if PREFIX not in os.environ or not _requests()(RUNNING_ON_VALGRIND):
        raise RuntimeError("this worker does not run under valgrind")
    for _ in repeat(None, WARM_CALLS):
        call()
    gc.collect()
    gc.disable()  # else a collection would fall into one loop and not into the next
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
    """The instructions of each of so many runs of a loop, and of the requests around it."""
    request = _requests()
    request(START)
    loop(call, 1)  # pays for what other code left behind, such as freed memory that the heap has yet to merge
    for _ in repeat(None, times):
        request(ZERO)
        loop(call, calls)
        request(DUMP)
    request(STOP)
    return _totals_of_dumps(times)


def _totals_of_dumps(expected: int) -> list[int]:
    """The sums of the files that callgrind has written, which are removed."""
    prefix = Path(os.environ[PREFIX])
    written = list(prefix.parent.glob(f"{prefix.name}.*"))  # the file without a number is that of the end
    totals = [TOTAL.search(each.read_bytes()) for each in written]
    for each in written:
        each.unlink()
    found = [int(total[1]) for total in totals if total]
    if len(found) != expected:
        raise RuntimeError(f"callgrind has written {len(found)} totals, not {expected}")
    return found
