"""Checks of what was measured: the timer, and a worker with its torch."""

from __future__ import annotations

from collections.abc import Mapping

from harness.doctor.files import parsed
from harness.doctor.finding import UNREAD, Finding, at_most, combined

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

CLOCK_SOURCES = "/sys/devices/system/clocksource/clocksource0/available_clocksource"

TIMER_SECONDS = 1e-6
"""A block lasts 1 ms: a tick of this size is 0.1 % of it, well under the 0.7 % that A/A shows on a quiet machine."""

AA_SPREAD = 0.015
"""What rounds reach on two shared cores, also beside two busy processes (0.8 to 1.3 %); `make acceptance` holds it."""


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
        return Finding("denormals", "unknown", "no worker told")
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
