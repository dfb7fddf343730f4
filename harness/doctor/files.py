"""Reads files of /proc and /sys below any root; a value that cannot be read is None, NaN or empty."""

from __future__ import annotations

from pathlib import Path

from harness.doctor.finding import UNREAD

CPU = "sys/devices/system/cpu"
CGROUP = "sys/fs/cgroup"


def text(path: Path) -> str | None:
    """The text of a file without whitespace around it, or None."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


def number(path: Path, field: str | None = None) -> float:
    """The first number of a file, or the number after the word `field` at the start of a line; NaN if there is none."""
    for line in (text(path) or "").splitlines():
        words = line.replace(":", " ").split()
        if field is None or words[:1] == [field]:
            return parsed(words[0 if field is None else 1 :])
    return UNREAD


def parsed(words: list[str]) -> float:
    """The first word as a number, or NaN."""
    try:
        return float(words[0])
    except (IndexError, ValueError):
        return UNREAD


def numbers_of(listed: str | None) -> list[int]:
    """The numbers of a list such as '0-3,8'; empty if it is not such a list."""
    numbers: list[int] = []
    try:
        for part in (listed or "").split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError:
        return []
    return numbers


def online(root: Path) -> list[int]:
    """The numbers of the cores that are online."""
    return numbers_of(text(root / CPU / "online"))


def cores(root: Path) -> float:
    """How many cores are online, or NaN."""
    return len(online(root)) or UNREAD


def is_guest(root: Path) -> bool:
    """Whether the flags of the CPU say that this is a virtual machine."""
    lines = (text(root / "proc/cpuinfo") or "").splitlines()
    return any(line.startswith("flags") and "hypervisor" in line.split() for line in lines)


def cgroups(root: Path) -> list[Path]:
    """The folders of this process's control group (cgroup v2) and of all groups above it, the topmost first."""
    lines = (text(root / "proc/self/cgroup") or "").splitlines()
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")
    parts = [part for part in own.split("/") if part not in ("", "..")]
    return [(root / CGROUP).joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
