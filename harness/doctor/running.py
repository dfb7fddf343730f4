"""Checks by measurement: the timer, and a worker with its torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.doctor.files import parsed
from harness.doctor.finding import UNREAD, Finding, at_most, combined

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

CLOCK_SOURCES = "/sys/devices/system/clocksource/clocksource0/available_clocksource"

TIMER_SECONDS = 1e-6
"""A block lasts 1 ms, so a tick of this size is 0.1 % of it: less than the A/A spread of a quiet machine (0.4 %)."""

TWICE = (1.5, 3.0)
"""Twice the calls must take between 1.5 and 3 times as long, which leaves room for disturbances. A clock that does not
wait for the work measures a factor of 1."""

MORE_WORK = 1.5
"""16 times the n must take at least this many times as long: on an accelerator half of the time at the smaller n may be
the launch of the kernel."""

AA_SPREAD = 0.015
"""Rounds reach at most 1.3 % on two shared cores, even beside two busy processes; `make acceptance` checks this."""


def timer(seconds: float) -> Finding:
    """Whether a tick of the timer is small beside a block."""
    found = f"time.perf_counter_ns moves by {seconds * 1e9:.0f} ns"
    advice = f"longer blocks (block_seconds of the study), or a better source: cat {CLOCK_SOURCES}"
    return at_most("timer", seconds, TIMER_SECONDS, found, "time.perf_counter_ns was not seen to move", advice)


def threads(environment: Mapping[str, str], allowed: int, of_torch: float) -> Finding:
    """Whether environment variables or torch ask for more threads than the allowed cores.

    allowed: number of cores, 0 if unknown; of_torch: the number of torch's threads in a worker.
    """
    counts = {name: parsed(environment[name].split(",")) for name in THREAD_VARIABLES if name in environment}
    counts["torch"] = of_torch
    parts = []
    for name, count in counts.items():
        found = f"{name} {count:.0f} on {allowed} cores"
        advice = f"export {name}={allowed}" if name in environment else f"export OMP_NUM_THREADS={allowed}"
        parts.append(at_most("threads", count, allowed or UNREAD, found, f"{name} or its cores cannot be read", advice))
    return combined("threads", parts)


def denormals(kept: bool | None) -> Finding:
    """Whether torch flushes subnormal numbers to zero, which changes values, and times if there are many of them."""
    if kept is None:
        return _unreported("denormals")
    if kept:
        return Finding("denormals", "ok", "kept by torch")
    advice = "leave out torch.set_flush_denormal(True), LD_PRELOAD and extensions built with -ffast-math"
    return Finding("denormals", "warn", "flushed to zero by torch", advice)


def aa(spread: float, reason: str = "") -> Finding:
    """Whether the same kernel, measured as two arms, takes the same time now. spread: 95th percentile of the absolute
    log ratio; reason: why it could not be measured."""
    found = f"the same kernel twice differs by {spread:.2%} (95th percentile; at most {AA_SPREAD:.1%})"
    unread = "not measured" + (f": {reason}" if reason else "")
    advice = "see to the warnings above; if there are none, other tenants disturb: try later, or use more launches"
    return at_most("aa", spread, AA_SPREAD, found, unread, advice)


def growth(ratios: Mapping[str, tuple[float, float]]) -> Finding:
    """Whether time grows with the work on every device. ratios: device -> the factors by which the time grows with
    twice the calls and with 16 times the n."""
    return combined("growth", [_grows(device, *pair) for device, pair in ratios.items()] or [_unreported("growth")])


def _grows(device: str, twice: float, more: float) -> Finding:
    if math.isnan(twice) or math.isnan(more):
        return Finding("growth", "unknown", f"{device}: not measured")
    found = f"{device}: twice the calls take {twice:.2f} times as long, 16 times the n {more:.2f} times"
    if TWICE[0] <= twice <= TWICE[1] and more >= MORE_WORK:
        return Finding("growth", "ok", found)
    return Finding(
        "growth", "warn", found, "trust no times of this device: its clock does not wait for the work, or is disturbed"
    )


def throttling(greeting: Mapping[str, Any]) -> Finding:
    """Whether the accelerator's clock is held down, according to NVML in the worker."""
    if "accelerator" not in greeting:
        return _unreported("throttling")
    name, reasons = greeting["accelerator"], greeting.get("throttling")
    if not name:
        return Finding("throttling", "ok", "no accelerator whose clock could be held down")
    if reasons is None:
        return Finding("throttling", "unknown", f"{name}: NVML cannot be read (try `pip install nvidia-ml-py`)")
    if not reasons:
        return Finding("throttling", "ok", f"{name}: its clock is not held down")
    advice = "let it cool, raise its power limit, or hold its clock lower (nvidia-smi --lock-gpu-clocks)"
    return Finding("throttling", "warn", f"{name}: its clock is held down: {', '.join(reasons)}", advice)


def _unreported(name: str) -> Finding:
    return Finding(name, "unknown", "no worker reported it")
