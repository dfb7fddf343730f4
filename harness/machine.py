"""Where it ran: facts of this machine and of the code, never a host name or a path."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from harness.repository.git import ask_git
from harness.vocabulary import RESULTS, SHIPPED

GIB = 2**30

PACKAGE = Path(__file__).parent
COMMIT_FILE = "commit.json"
"""In the package, where it was built into a wheel: the revision that it was built from."""


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


NEW_CODE = (":/", f":(exclude){RESULTS}", ":(exclude,glob)**/__pycache__/**")
"""Pathspecs of untracked files that make a tree dirty. Neither what the harness writes nor what Python caches does: in
a repository without a .gitignore the second duel would otherwise be of a dirty commit, because of the first."""

DIRTY = "-dirty"
"""What a label ends with of code that had changes in no commit."""


@dataclass(frozen=True)
class Revision:
    """The commit of the working tree, and whether it has changes; 'none' outside a repository."""

    commit: str
    dirty: bool

    @property
    def label(self) -> str:
        return self.commit[:8] + (DIRTY if self.dirty else "")


UNKNOWN = Revision("none", dirty=False)


def measured_revision(outside: bool) -> Revision:
    """The revision of the code that a run measures.

    It is that of the harness, whose methods it measures. Where methods come from outside it is that of the repository
    that the current folder lies in, if there is one: whoever measures their own package stands in it.
    """
    here = this_revision() if outside else UNKNOWN
    return package_revision() if here == UNKNOWN else here


def package_revision() -> Revision:
    """The revision of the harness itself: what its wheel was built from, or that of the clone that it lies in.

    A package that was installed below somebody's repository is of no commit there: git does not know its files.
    """
    try:
        built = json.loads((PACKAGE / COMMIT_FILE).read_bytes())
        return Revision(str(built["commit"]), bool(built["dirty"]))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN
    try:
        ask_git("ls-files", "--error-unmatch", "__init__.py", folder=PACKAGE)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return this_revision(PACKAGE)


def this_revision(folder: Path | None = None) -> Revision:
    """The revision of the repository that a folder (default: the current one) lies in, or UNKNOWN outside of one.

    Of a repository with several worktrees it is that of the worktree.
    """
    try:
        commit = ask_git("rev-parse", "--verify", "HEAD", folder=folder)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    try:
        changed = ask_git("status", "--porcelain", "--untracked-files=no", folder=folder)
        added = ask_git("ls-files", "--others", "--exclude-standard", "--", *NEW_CODE, folder=folder)
    except (OSError, subprocess.CalledProcessError):  # a bare repository has no files that could have changed
        changed = added = ""
    return Revision(commit, bool(changed or added))


@cache
def code_digest() -> str:
    """First 12 hex digits of a SHA-256 over the sources of the harness: of what a run is measured by.

    It is the same for a clone and for the wheel that was built from it: the studies, which only a wheel has inside the
    package, are left out.
    """
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.is_relative_to(SHIPPED):
            digest.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def utc_now() -> datetime:
    return datetime.now(UTC)
