"""Checks of the kernel's facts about the machine; each reads /proc and /sys below a root."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from harness.doctor.files import CPU, cgroups, cores, is_guest, number, numbers_of, online, parsed, text
from harness.doctor.finding import UNREAD, Finding, at_most, combined
from harness.machine import GIB

LOAD_PER_CORE = 0.5
"""Load average per core above which the machine counts as busy. A run keeps one core busy, so on two cores, the fewest
that leave one to the system, it causes a load of 0.5 per core by itself."""

STEADY = "performance"
"""The frequency governor that keeps the clock constant; all others change it with the load."""

TRIP_MARGIN = 5.0
"""Degrees Celsius below a trip point that are too close: a study at full load can warm a core by that much."""

SLOWING_TRIPS = ("passive", "hot", "critical")
"""Types of trip points (kernel documentation, thermal/sysfs-api) at which the clock slows down or the machine stops;
the type `active` only turns on a fan."""

FREQUENCY = "sudo cpupower frequency-set -g performance"


def load(root: Path) -> Finding:
    """Whether other work keeps the cores busy."""
    own, count = number(root / "proc/loadavg"), cores(root)
    found = f"{own:.2f} over the last minute on {count:.0f} cores"
    advice = "end the processes that keep the cores busy (top -o %CPU), then wait a minute"
    unread = "the load or the number of cores cannot be read"
    return at_most("load", own / count, LOAD_PER_CORE, found, unread, advice)


def governor(root: Path) -> Finding:
    """Whether the clock of every core is kept constant."""
    words = [text(root / CPU / f"cpu{core}/cpufreq/scaling_governor") for core in online(root)]
    unread = words.count(None)
    moving = sorted({word for word in words if word not in (None, STEADY)})
    if moving:
        return Finding("governor", "warn", f"{' '.join(map(str, moving))}: the clock moves with the load", FREQUENCY)
    if unread or not words:
        found = f"cannot be read for {unread} of {len(words)} cores: firmware or a hypervisor decides"
        return Finding("governor", "unknown", found)
    return Finding("governor", "ok", f"{STEADY} on {len(words)} cores")


def turbo(root: Path) -> Finding:
    """Whether the clock may rise above its nominal rate while the CPU is cool enough."""
    for switch, off in (("intel_pstate/no_turbo", "1"), ("cpufreq/boost", "0")):
        word = text(root / CPU / switch)
        if word == off:
            return Finding("turbo", "ok", f"off ({switch} is {word})")
        if word in ("0", "1"):
            found = f"on ({switch} is {word}): the clock depends on heat and on neighbours"
            return Finding("turbo", "warn", found, f"echo {off} | sudo tee /{CPU}/{switch}")
    return Finding("turbo", "unknown", "neither intel_pstate/no_turbo nor cpufreq/boost can be read")


def smt(root: Path) -> Finding:
    """Whether two hardware threads share each core."""
    active = text(root / CPU / "smt/active")
    if active == "1":
        found = "on: two threads share each core, its caches and its units"
        return Finding("smt", "warn", found, f"echo off | sudo tee /{CPU}/smt/control")
    if active == "0" and is_guest(root):
        return Finding("smt", "unknown", "off in this virtual machine; it cannot see whether it is on in its host")
    return Finding("smt", "ok", "off") if active == "0" else Finding("smt", "unknown", "cannot be read")


def thermal(root: Path) -> Finding:
    """Whether heat has slowed the cores down, or is about to."""
    counts = [number(root / CPU / f"cpu{core}/thermal_throttle/core_throttle_count") for core in online(root)]
    events = sum(counts) if counts else UNREAD
    found, unread = f"slowed down by heat {events:.0f} times since the start", "slow-downs by heat are not counted here"
    advice = "let it cool down and see to its fans; if the count grows during a run, measure again"
    return combined("thermal", [at_most("thermal", events, 0, found, unread, advice), _warmest(root)])


def _warmest(root: Path) -> Finding:
    """The thermal zone that is nearest to a trip point; ok only if every zone with a trip point can be read."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    margins = {zone: margin for zone in zones if (margin := _margin(zone)) is not None}
    read = {zone: margin for zone, margin in margins.items() if not math.isnan(margin)}
    if not read:
        return Finding("thermal", "unknown", "no thermal zone shows its temperature and trip points")
    zone = min(read, key=read.__getitem__)
    found = f"{text(zone / 'type')} at {number(zone / 'temp') / 1000:.0f} °C, {read[zone]:.0f} °C below a trip point"
    if read[zone] < TRIP_MARGIN:
        return Finding("thermal", "warn", found, "let it cool down")
    unread = len(margins) - len(read)
    if unread:
        return Finding("thermal", "unknown", f"{found}, {unread} more cannot be read")
    return Finding("thermal", "ok", found)


def _margin(zone: Path) -> float | None:
    """Degrees Celsius below the zone's lowest trip point in SLOWING_TRIPS (NaN if unread); None if it has no such
    point."""
    types = [path for path in zone.glob("trip_point_*_type") if text(path) in SLOWING_TRIPS]
    trips = [number(path.with_name(path.name.replace("_type", "_temp"))) for path in types]
    real = [trip for trip in trips if not trip <= 0]  # drivers write 0 or less for a trip point that is not set
    if not real:
        return None
    lowest = UNREAD if any(map(math.isnan, real)) else min(real)
    return (lowest - number(zone / "temp")) / 1000


def limits(root: Path) -> Finding:
    """Whether a container, a service or taskset allows less than the whole machine (cgroup v2)."""
    groups = cgroups(root)
    return combined("limits", [_quota(root, groups), _throttled(groups), _memory(root, groups), _affinity(root)])


def _quota(root: Path, groups: list[Path]) -> Finding:
    least = _tightest([group / "cpu.max" for group in groups], _cores_of)
    found = "no CPU quota" if least == math.inf else f"CPU quota of {least:.3g} cores"
    advice = "lift the quota (docker run without --cpus, systemctl set-property UNIT CPUQuota=)"
    return at_most("limits", cores(root), least, found, "CPU quota cannot be read", advice)


def _cores_of(words: list[str]) -> float:
    """How many cores a quota of cpu.max allows: '50000 100000' is 50000 of every 100000 microseconds, half a core."""
    quota, period = parsed(words), parsed(words[1:])
    return quota / period if period > 0 else UNREAD


def _throttled(groups: list[Path]) -> Finding:
    counts = [number(group / "cpu.stat", "nr_throttled") for group in groups]
    events = max((count for count in counts if not math.isnan(count)), default=UNREAD)
    advice = "the quota stops the process in the middle of a block: lift it"
    return at_most("limits", events, 0, f"throttled {events:.0f} times", "throttling cannot be read", advice)


def _memory(root: Path, groups: list[Path]) -> Finding:
    least = _tightest([group / "memory.max" for group in groups], parsed)
    total = number(root / "proc/meminfo", "MemTotal") * 1024  # it is in KiB
    found = "no memory limit" if least == math.inf else f"memory {least / GIB:.3g} of {total / GIB:.3g} GiB"
    advice = "keep [limits] memory of the studies well below it, or lift it (docker run without --memory)"
    return at_most("limits", total, least, found, "memory limit cannot be read", advice)


def _affinity(root: Path) -> Finding:
    status = (text(root / "proc/self/status") or "").splitlines()
    listed = [line.partition(":")[2].strip() for line in status if line.startswith("Cpus_allowed_list:")]
    allowed = len(set(online(root)) & set(numbers_of(listed[0] if listed else None))) or UNREAD
    found = f"{allowed:.0f} of {cores(root):.0f} cores allowed"
    advice = "allow all cores (without taskset, docker run without --cpuset-cpus)"
    return at_most("limits", cores(root), allowed, found, "allowed cores cannot be read", advice)


def _tightest(files: list[Path], limit_of: Callable[[list[str]], float]) -> float:
    """The least limit in those of the files that exist (the topmost group has none); NaN if there is none, or one is
    not understood."""
    lines = [content.split() for file in files if (content := text(file)) is not None]
    values = [math.inf if words[:1] == ["max"] else limit_of(words) for words in lines]
    return UNREAD if not values or any(map(math.isnan, values)) else min(values)


CHECKS: tuple[Callable[[Path], Finding], ...] = (load, governor, turbo, smt, thermal, limits)
"""The checks in the order of their lines; load comes first, before the doctor's own measurements cause any."""
