"""Where it ran: facts of this machine and of the code, never a host name or a path."""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from harness.git import ask_git

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """The facts that name a machine: runs of machines that differ in one of them are not compared."""

    cpu: str
    cores: int
    memory_gib: int
    os: str
    accelerator: str = ""

    @property
    def slug(self) -> str:
        """The name of its folder in results/."""
        words = [self.cpu, f"{self.cores} cores", f"{self.memory_gib} GiB", self.os, self.accelerator]
        return "_".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words if word)

    @property
    def facts(self) -> dict[str, Any]:
        return asdict(self) | {"slug": self.slug}


def this_machine(accelerator: str = "") -> Machine:
    """This machine; the name of the accelerator comes from whoever has torch."""
    import cpuinfo
    import psutil

    return Machine(
        cpu=cpuinfo.get_cpu_info().get("brand_raw") or platform.machine(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / GIB),
        os=platform.system(),
        accelerator=accelerator,
    )


@dataclass(frozen=True)
class Revision:
    """The commit of the working tree, and whether it has changes; 'none' outside a repository."""

    commit: str
    dirty: bool

    @property
    def label(self) -> str:
        return self.commit[:8] + ("-dirty" if self.dirty else "")


def this_revision(folder: Path | None = None) -> Revision:
    """The revision of the repository that a folder (default: the current one) lies in: of its worktree, where it has
    several."""
    try:
        commit = ask_git("rev-parse", "--verify", "HEAD", folder=folder)
    except (OSError, subprocess.CalledProcessError):
        return Revision("none", dirty=False)
    try:
        changes = ask_git("status", "--porcelain", "--untracked-files=normal", folder=folder)
    except (OSError, subprocess.CalledProcessError):  # a bare repository has no files that could have changed
        changes = ""
    return Revision(commit, bool(changes))


@cache
def code_digest() -> str:
    """First 12 hex digits of a SHA-256 over the sources of the harness: of what a run is measured by."""
    digest = hashlib.sha256()
    home = Path(__file__).parent
    for path in sorted(home.rglob("*.py")):
        digest.update(str(path.relative_to(home)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def utc_now() -> datetime:
    return datetime.now(UTC)
