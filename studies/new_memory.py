"""How much of the time of torch.topk goes by while it gets new memory from the operating system.

On a CPU torch.topk pairs each entry with its index, in 16 bytes an entry. malloc of glibc keeps pieces of up to 32 MiB
for the next call, at most; larger ones are given back at the end of each call, and come back page by page, each page
zeroed by the kernel. Two variables make it keep more (mallopt(3)). Here both ways are measured, one process after the
other, so that it is known what a user can gain without another method.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import Row

FACT = "native_over_blockmax"
KEPT = str(1 << 30)
WAYS = {"as usual": {}, "kept": {"MALLOC_MMAP_THRESHOLD_": KEPT, "MALLOC_TRIM_THRESHOLD_": KEPT}}
"""What malloc does with memory that a call gives back, and the variables of its process."""

MEASURED = ("float32", 10_000_000, 100)
"""dtype, n and k of the one row."""

PROCESSES = 3
SECONDS = 1.0
ROUNDS = 7
TIMEOUT = 120.0


def native_over_blockmax(study: Study) -> Iterator[Row]:
    """Facts, one for each of WAYS: the time of native's forward over blockmax's, the median of PROCESSES processes."""
    dtype, n, k = MEASURED
    if not (sys.platform == "linux" and dtype in study.axes.dtype and n in study.axes.n and k in study.axes.k):
        return
    case = Case(n=n, k=k, dtype=dtype)
    found = [{way: _in_a_process(case, variables) for way, variables in WAYS.items()} for _ in range(PROCESSES)]
    for way in WAYS:
        ratios, faults = zip(*(each[way] for each in found), strict=True)
        key = {"case": case.id, "method": "native", "fact": FACT, "item": way} | case.axes
        yield key | {"value": float(np.median(ratios)), "detail": f"{np.median(faults):.0f} page faults a call"}


def told(facts: pd.DataFrame) -> Iterator[str]:
    """The line of the summary, if the facts were measured."""
    rows = facts[facts["fact"] == FACT].set_index("item")
    if not len(rows):
        return
    usual, kept = (rows.loc[way] for way in WAYS)
    yield (
        f"{usual['dtype']}, n = {usual['n']}, k = {usual['k']}: blockmax is {usual['value']:.2g}x native, of which "
        f"{kept['value']:.2g}x is left where malloc keeps the memory of a call for the next "
        f"({', '.join(WAYS['kept'])}): torch.topk has {usual['detail']}, and then {kept['detail'].split()[0]}."
    )


def _in_a_process(case: Case, variables: dict[str, str]) -> tuple[float, float]:
    """Time of native over that of blockmax, and page faults of a call of native, in a process with these variables."""
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(case.axes)],
        env=os.environ | variables | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT,
    )
    ratio, faults = json.loads(done.stdout)
    return ratio, faults


def _main(axes: str) -> None:
    """Measure in this process, and print both numbers as JSON."""
    import resource

    import torch

    from harness.device.clock import Clock
    from harness.device.devices import device_of
    from harness.methods.blockmax import topk
    from harness.session.rounds import in_rounds
    from harness.topk.problems import draw

    torch.set_num_threads(1)
    case = Case(**json.loads(axes))
    y = draw(case).y
    calls: dict[str, Callable[[], Any]] = {"native": lambda: y.topk(case.k), "blockmax": lambda: topk(y, case.k)}
    times = in_rounds(calls, Clock(device_of(case.device).synchronize), ROUNDS, SECONDS, seed=0)
    ratio = np.median(np.array(times["native"]) / np.array(times["blockmax"]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(ROUNDS):
        calls["native"]()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    print(json.dumps([float(ratio), faults / ROUNDS]))  # noqa: T201  (a program's own output)


if __name__ == "__main__":
    _main(sys.argv[1])
