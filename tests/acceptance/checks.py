"""What it costs to open a case and to check a method at the sizes of an accelerator, on one core of this machine.

Seconds are CPU time of the process, so that other processes do not count. Run as a program it measures one case.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from harness.methods import method
from harness.session.request import opening
from harness.study.cells import Case
from harness.study.tables import Precision
from harness.topk.outcome import run_once
from harness.topk.problems import Drawn
from harness.topk.transforms import as_run
from harness.worker.open_case import OpenCase
from tests.acceptance.line import Line

CASES = (
    Case(dtype="bfloat16", rows=16384, n=128, k=8, d=256),
    Case(dtype="bfloat16", rows=256, n=65536, k=64, d=256),
    Case(dtype="bfloat16", rows=1, n=10_000_000, k=64, d=16),
)
CHECK_SECONDS = (0.5, 0.5, 1.0)
OPENING_SECONDS = 1.0
TIMES_THE_TENSORS = 3.0
LEAN = ("native", "gather", "coo")
METHODS = (*LEAN, "fused")
"""fused gathers rows of W: its own calls take more than the bound."""

RETURNED_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
"""Variables by which glibc gives freed memory back at once: the peak is then what is held, and not what is kept for
the next allocation. It costs time, so that the seconds are of a process without them."""

ASKED: dict[str, list[str]] = {"before timing": [], "with errors": ["errors"]}
"""The check that every launch makes, and the one of the first launch, with the figures of a timing study."""


def measure() -> Iterator[Line]:
    """CPU seconds beyond drawing and beyond the method's own calls; peak memory over that of the case's tensors."""
    for case, seconds in zip(CASES, CHECK_SECONDS, strict=True):
        found, lean = measured(case), measured(case, RETURNED_AT_ONCE)
        size = f"rows {case.rows}, n {case.n}, k {case.k}, d {case.d}"
        drawing, own = found["drawing"], found["own calls"]
        yield Line(f"{size}: drawing (s)", drawing, None)
        yield Line(f"{size}: opening beyond drawing (s)", found["opening"] - drawing, OPENING_SECONDS)
        yield Line(f"{size}: of this, native's own calls (s)", own["native"], None)
        for what in ASKED:
            for name, lasted in found[what].items():
                yield Line(f"{size}: {name} checked {what}, beyond its own calls (s)", lasted - own[name], seconds)
        for what, bound in zip(ASKED, (TIMES_THE_TENSORS, None), strict=True):
            times = lean[f"peak {what}"] / lean["tensors"]
            told = f"peak memory over x, W, y, weights, values and gradients, {', '.join(LEAN)} checked {what}"
            yield Line(f"{size}: {told}", times, bound)


def measured(case: Case, environment: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """What this program prints of a case, in a process with these variables."""
    command = [sys.executable, "-m", "tests.acceptance.checks", json.dumps(case.axes)]
    given = os.environ | environment
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=given)
    costs: dict[str, Any] = json.loads(done.stdout)
    return costs


def main(axes: str) -> None:
    """Measure the case of these axes (JSON), after a small one: what torch loads at first calls belongs to no case."""
    torch.set_num_threads(1)
    case = Case.from_axes(json.loads(axes))
    small = replace(case, rows=min(case.rows, 2), n=256, d=4)
    for each in (small, case):
        found = costs(each)
    print(json.dumps(found))  # noqa: T201  (a program's own output)


def costs(case: Case) -> dict[str, Any]:
    """CPU seconds and peak bytes of drawing, opening, and checking each method."""
    compared = Precision()
    asked = {name: getattr(compared, name) for name in ("loss", "tensors", "references", "metrics")}
    drawing = seconds(lambda: Drawn.of(case).tensors)
    opened: list[OpenCase] = []
    found: dict[str, Any] = {"drawing": drawing}

    def open_and_check(what: str, measured: Sequence[str]) -> None:
        found["opening"] = seconds(lambda: opened.append(OpenCase(opening(case, **asked))))
        found[what] = {name: seconds(lambda: check(opened[0], name, measured)) for name in LEAN}  # noqa: B023

    for what, measured in ASKED.items():
        opened.clear()
        found[f"peak {what}"] = peak_bytes(lambda: open_and_check(what, measured))  # noqa: B023  (called at once)
        found[what]["fused"] = seconds(lambda: check(opened[0], "fused", measured))  # noqa: B023
    y_bytes = case.rows * case.n * case.itemsize
    found["tensors"] = case.input_bytes + case.output_bytes + y_bytes  # the third y is the weights
    found["own calls"] = {name: seconds(lambda: own_calls(opened[0], name)) for name in METHODS}  # noqa: B023
    return found


def peak_bytes(call: Callable[[], Any]) -> float:
    """By how much a call raises the high-water mark of the resident set (proc(5)): all that the process holds, whoever
    allocated it."""
    Path("/proc/self/clear_refs").write_text("5")
    before = status_bytes("VmRSS")
    call()
    return status_bytes("VmHWM") - before


def status_bytes(field: str) -> float:
    """A size that the kernel tells of this process."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(f"{field}:"))
    return 1024.0 * int(line.split()[1])


def seconds(call: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def check(opened: OpenCase, name: str, measured: Sequence[str]) -> None:
    """Check a method, which must be right."""
    reply = opened.check(name, measured)
    assert reply["status"] == "ok", reply["reason"]


def own_calls(opened: OpenCase, name: str) -> None:
    """What a check runs of the method itself."""
    run_once(as_run(method(name), opened.problem.case), opened.problem, opened.correctness.loss, with_dS=False)


if __name__ == "__main__":
    main(sys.argv[1])
