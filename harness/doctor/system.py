"""Checks of what the kernel says about the machine; each reads /proc and /sys under a root."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from harness.doctor.files import CPU, cgroups, cores, is_guest, number, numbers_of, online, parsed, text
from harness.doctor.finding import UNREAD, Finding, at_most, combined
from harness.machine import GIB

LOAD_PER_CORE = 0.5
"""A run of the harness keeps one core busy, which is this much on the smallest machine that leaves the system one."""

STEADY = "performance"
"""The governor that holds the clock; every other moves it with the load."""

TRIP_MARGIN = 5.0
"""Degrees Celsius below a trip point: a core under full load gets warmer by that within a study."""

SLOWING_TRIPS = ("passive", "hot", "critical")
"""Types of trip points (kernel, thermal/sysfs-api) at which the clock falls or the machine stops; `active` turns a fan
on."""

FREQUENCY = "sudo cpupower frequency-set -g performance"


def load(root: Path) -> Finding:
    """Whether other work keeps the cores busy."""
    own, count = number(root / "proc/loadavg"), cores(root)
    found = f"{own:.2f} over the last minute on {count:.0f} cores"
    advice = "end what keeps the cores busy (top -o %CPU), wait a minute"
    return at_most("load", own / count, LOAD_PER_CORE, found, "load or number of cores not told", advice)


def governor(root: Path) -> Finding:
    """Whether the clock of every core is held."""
    words = [text(root / CPU / f"cpu{core}/cpufreq/scaling_governor") for core in online(root)]
    unread = words.count(None)
    moving = sorted({word for word in words if word not in (None, STEADY)})
    if moving:
        return Finding("governor", "warn", f"{' '.join(map(str, moving))}: the clock moves with the load", FREQUENCY)
    if unread or not words:
        found = f"not told for {unread} of {len(words)} cores: firmware or a hypervisor decides"
        return Finding("governor", "unknown", found)
    return Finding("governor", "ok", f"{STEADY} on {len(words)} cores")


def turbo(root: Path) -> Finding:
    """Whether the clock rises above its nominal rate while it is cool enough."""
    for switch, off in (("intel_pstate/no_turbo", "1"), ("cpufreq/boost", "0")):
        word = text(root / CPU / switch)
        if word == off:
            return Finding("turbo", "ok", f"off ({switch} is {word})")
        if word in ("0", "1"):
            found = f"on ({switch} is {word}): the clock depends on heat and on neighbours"
            return Finding("turbo", "warn", found, f"echo {off} | sudo tee /{CPU}/{switch}")
    return Finding("turbo", "unknown", "neither intel_pstate/no_turbo nor cpufreq/boost is told")


def smt(root: Path) -> Finding:
    """Whether two hardware threads share a core."""
    active = text(root / CPU / "smt/active")
    if active == "1":
        found = "on: two threads share each core, its caches and its units"
        return Finding("smt", "warn", found, f"echo off | sudo tee /{CPU}/smt/control")
    if active == "0" and is_guest(root):
        return Finding("smt", "unknown", "off in this virtual machine; its host's is not told")
    return Finding("smt", "ok", "off") if active == "0" else Finding("smt", "unknown", "not told")


def thermal(root: Path) -> Finding:
    """Whether heat has slowed the cores, or is about to."""
    counts = [number(root / CPU / f"cpu{core}/thermal_throttle/core_throttle_count") for core in online(root)]
    events = sum(counts) if counts else UNREAD
    found, unread = f"slowed down by heat {events:.0f} times since the start", "no count of slow-downs by heat"
    advice = "let it cool down and see to its fans; if the count grows during a run, measure again"
    return combined("thermal", [at_most("thermal", events, 0, found, unread, advice), _warmest(root)])


def _warmest(root: Path) -> Finding:
    """The thermal zone that is nearest to a trip point; ok only if every zone that has one can be read."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    margins = {zone: margin for zone in zones if (margin := _margin(zone)) is not None}
    read = {zone: margin for zone, margin in margins.items() if not math.isnan(margin)}
    if not read:
        return Finding("thermal", "unknown", "no thermal zone tells its temperature and trip points")
    zone = min(read, key=read.__getitem__)
    found = f"{text(zone / 'type')} at {number(zone / 'temp') / 1000:.0f} °C, {read[zone]:.0f} °C below a trip point"
    if read[zone] < TRIP_MARGIN:
        return Finding("thermal", "warn", found, "let it cool down")
    unread = len(margins) - len(read)
    return Finding("thermal", "unknown", f"{found}, {unread} not told") if unread else Finding("thermal", "ok", found)


def _margin(zone: Path) -> float | None:
    """Degrees Celsius below the lowest trip point that slows; None where the zone has none."""
    kinds = [each for each in zone.glob("trip_point_*_type") if text(each) in SLOWING_TRIPS]
    trips = [number(each.with_name(each.name.replace("_type", "_temp"))) for each in kinds]
    real = [trip for trip in trips if not trip <= 0]  # drivers write 0 or less for one that is not set
    if not real:
        return None
    lowest = UNREAD if any(map(math.isnan, real)) else min(real)
    return (lowest - number(zone / "temp")) / 1000


def limits(root: Path) -> Finding:
    """Whether a container, a service or taskset gives less than the machine has (cgroup v2)."""
    groups = cgroups(root)
    return combined("limits", [_quota(root, groups), _throttled(groups), _memory(root, groups), _affinity(root)])


def _quota(root: Path, groups: list[Path]) -> Finding:
    least = _tightest([group / "cpu.max" for group in groups], _cores_of)
    found = "no CPU quota" if least == math.inf else f"CPU quota of {least:.3g} cores"
    advice = "lift the quota (docker run without --cpus, systemctl set-property UNIT CPUQuota=)"
    return at_most("limits", cores(root), least, found, "CPU quota not told", advice)


def _cores_of(words: list[str]) -> float:
    """Cores' worth of time of a cpu.max: 'max 100000' or '50000 100000', microseconds of a period."""
    quota, period = parsed(words), parsed(words[1:])
    return quota / period if period > 0 else UNREAD


def _throttled(groups: list[Path]) -> Finding:
    counts = [number(group / "cpu.stat", "nr_throttled") for group in groups]
    events = max((count for count in counts if not math.isnan(count)), default=UNREAD)
    advice = "the quota stops the process in the middle of a block: lift it"
    return at_most("limits", events, 0, f"throttled {events:.0f} times", "throttling not told", advice)


def _memory(root: Path, groups: list[Path]) -> Finding:
    least = _tightest([group / "memory.max" for group in groups], parsed)
    total = number(root / "proc/meminfo", "MemTotal") * 1024
    found = "no memory limit" if least == math.inf else f"memory {least / GIB:.3g} of {total / GIB:.3g} GiB"
    advice = "keep [limits] memory of the studies well under it, or lift it (docker run without --memory)"
    return at_most("limits", total, least, found, "memory limit not told", advice)


def _affinity(root: Path) -> Finding:
    status = (text(root / "proc/self/status") or "").splitlines()
    listed = [line.partition(":")[2].strip() for line in status if line.startswith("Cpus_allowed_list:")]
    allowed = len(set(online(root)) & set(numbers_of(listed[0] if listed else None))) or UNREAD
    found = f"{allowed:.0f} of {cores(root):.0f} cores allowed"
    advice = "allow all cores (without taskset, docker run without --cpuset-cpus)"
    return at_most("limits", cores(root), allowed, found, "allowed cores not told", advice)


def _tightest(files: list[Path], limit_of: Callable[[list[str]], float]) -> float:
    """The least limit of the files that there are (the topmost group has none); NaN where one is not understood."""
    words = [told.split() for file in files if (told := text(file)) is not None]
    found = [math.inf if each[:1] == ["max"] else limit_of(each) for each in words]
    return UNREAD if not found or any(map(math.isnan, found)) else min(found)


CHECKS: tuple[Callable[[Path], Finding], ...] = (load, governor, turbo, smt, thermal, limits)
"""In the order of their lines; load comes first, before the doctor makes some itself."""
