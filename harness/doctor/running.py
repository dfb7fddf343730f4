"""Checks of what was measured: the timer, and a worker with its torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.doctor.files import parsed
from harness.doctor.finding import UNREAD, Finding, at_most, combined

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

CLOCK_SOURCES = "/sys/devices/system/clocksource/clocksource0/available_clocksource"

TIMER_SECONDS = 1e-6
"""A block lasts 1 ms: a tick of this size is 0.1 % of it, under the 0.4 % that A/A shows on a quiet machine."""

TWICE = (1.5, 3.0)
"""Between which twice the calls take twice as long, whatever disturbs: a clock that does not wait says 1."""

MORE_WORK = 1.5
"""What 16 times the n takes at least, of the time of the n: on an accelerator a launch may be half of the latter."""

AA_SPREAD = 0.015
"""What rounds reach on two shared cores, also beside two busy processes (at most 1.3 %); `make acceptance` holds it."""


def timer(seconds: float) -> Finding:
    """Whether a tick of the timer is small beside a block."""
    found = f"time.perf_counter_ns moves by {seconds * 1e9:.0f} ns"
    advice = f"longer blocks (block_seconds of the study), or a better source: cat {CLOCK_SOURCES}"
    return at_most("timer", seconds, TIMER_SECONDS, found, "time.perf_counter_ns was not seen to move", advice)


def threads(environment: Mapping[str, str], allowed: int, of_torch: float) -> Finding:
    """Whether more threads are asked for than there are cores for them; allowed: number of cores, 0 if not known."""
    asked = {name: parsed(environment[name].split(",")) for name in THREAD_VARIABLES if name in environment}
    asked["torch"] = of_torch
    parts = []
    for name, count in asked.items():
        found = f"{name} {count:.0f} on {allowed} cores"
        advice = f"export {name}={allowed}" if name in environment else f"export OMP_NUM_THREADS={allowed}"
        parts.append(at_most("threads", count, allowed or UNREAD, found, f"{name} or its cores not told", advice))
    return combined("threads", parts)


def denormals(kept: bool | None) -> Finding:
    """Whether torch flushes subnormal numbers to zero: other values, and other times where there are many."""
    if kept is None:
        return _not_told("denormals")
    if kept:
        return Finding("denormals", "ok", "kept by torch")
    advice = "leave out torch.set_flush_denormal(True), LD_PRELOAD and extensions built with -ffast-math"
    return Finding("denormals", "warn", "flushed to zero by torch", advice)


def aa(spread: float, reason: str = "") -> Finding:
    """Whether the same kernel under two arms takes the same time now."""
    found = f"the same kernel twice differs by {spread:.2%} (95th percentile; at most {AA_SPREAD:.1%})"
    unread = "not measured" + (f": {reason}" if reason else "")
    advice = "see to the warnings above; if there are none, other tenants disturb: come back later, or more launches"
    return at_most("aa", spread, AA_SPREAD, found, unread, advice)


def growth(ratios: Mapping[str, tuple[float, float]]) -> Finding:
    """Whether time grows with the work on every device; device -> times of twice the calls and of 16 times the n, over
    that of the calls and the n."""
    return combined("growth", [_grows(device, *each) for device, each in ratios.items()] or [_not_told("growth")])


def _grows(device: str, twice: float, more: float) -> Finding:
    if math.isnan(twice) or math.isnan(more):
        return Finding("growth", "unknown", f"{device}: not measured")
    found = f"{device}: twice the calls take {twice:.2f} times as long, 16 times the n {more:.2f} times"
    if TWICE[0] <= twice <= TWICE[1] and more >= MORE_WORK:
        return Finding("growth", "ok", found)
    return Finding(
        "growth", "warn", found, "trust no time of it: the clock does not wait for the work, or is disturbed"
    )


def throttling(greeting: Mapping[str, Any]) -> Finding:
    """Whether the clock of the accelerator is held down, by what the worker read from NVML."""
    if "accelerator" not in greeting:
        return _not_told("throttling")
    name, reasons = greeting["accelerator"], greeting.get("throttling")
    if not name:
        return Finding("throttling", "ok", "no accelerator whose clock could be held down")
    if reasons is None:
        return Finding("throttling", "unknown", f"{name}: NVML not read (pip install nvidia-ml-py lets it be)")
    if not reasons:
        return Finding("throttling", "ok", f"{name}: its clock is not held down")
    advice = "let it cool, raise its power limit, or hold its clock lower (nvidia-smi --lock-gpu-clocks)"
    return Finding("throttling", "warn", f"{name}: its clock is held down: {', '.join(reasons)}", advice)


def _not_told(name: str) -> Finding:
    return Finding(name, "unknown", "no worker told")
