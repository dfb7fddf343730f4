"""Timing adds no bias: kernels of 10 µs and more against torch.utils.benchmark, interleaved, on the same tensors."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch.utils.benchmark import Timer

import harness
from harness.device.clock import Clock
from tests.acceptance.line import Line

BOUND = 0.02
ROUNDS = 200
BLOCK_SECONDS = 0.002
SMALLEST_KERNEL = 1e-5


def measure() -> Iterator[Line]:
    """One line a kernel, and the cost of a call that does nothing."""
    torch.set_num_threads(1)
    for n, k in ((4096, 64), (65536, 64), (262144, 1024)):
        y = harness.draw(harness.Case(n=n, k=k)).y
        kernels: dict[str, Callable[[], Any]] = {
            "topk": partial(torch.topk, y, k),
            "sort": partial(torch.sort, y),
            "exp": partial(torch.exp, y),
        }
        for name, kernel in kernels.items():
            ratio, seconds = interleaved(kernel)
            if seconds >= SMALLEST_KERNEL:
                what = f"bias of {name}, n = {n} ({seconds * 1e6:.0f} us): |ours / torch.utils.benchmark - 1|"
                yield Line(what, abs(ratio - 1), BOUND)
    empty = statistics.median(Clock().block(lambda: None, 10_000) for _ in range(ROUNDS))
    yield Line(f"an empty call costs {empty * 1e9:.0f} ns; in seconds", empty, None)


def interleaved(kernel: Callable[[], Any]) -> tuple[float, float]:
    """Median over rounds of (seconds by this clock / by torch.utils.benchmark), taking turns; the latter's median."""
    clock, timer = Clock(), Timer("kernel()", globals={"kernel": kernel})
    calls = clock.calls_for(kernel, BLOCK_SECONDS)
    ours: list[float] = []
    theirs: list[float] = []

    def block() -> None:
        kernel()  # one call that is not timed, as before every block of a worker; timeit makes two
        ours.append(clock.block(kernel, calls))

    for number in range(ROUNDS):
        if number % 2:
            block()
        theirs.append(timer.timeit(calls).mean)
        if not number % 2:
            block()
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), statistics.median(theirs)
